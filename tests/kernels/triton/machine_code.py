"""What the compiler makes of the kernels, read from the machine code; no device is needed.

    python tests/kernels/triton/machine_code.py [--json]

For each architecture, kernel and dtype: the instructions of the main loop (the one with the 16-byte
loads) per 32 values, the registers, and what was spilled.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ARCHITECTURES = (80, 90, 100)
WITH_OPTIONS = 90
"""The architecture whose variants with options are looked at, too: they differ from the plain ones alike."""

DTYPE_SETS = {"float32": 1, "bfloat16": 2, "float16": 4, "float64": 8, "all four": 15}
OPTIONS = ({}, {"scaled": True}, {"above": True, "locate": True})


@dataclass(frozen=True)
class MachineCode:
    """Of one variant: `loops` are the main loops, one for each dtype but float64, which has none.

    What is said of loops is the most in any one; instructions are per 32 values.
    """

    architecture: int
    kernel: str
    dtypes: str
    options: str
    loops: int
    instructions: float
    narrow_loads: int
    increments: float
    exchanges: int
    """Barriers, shuffles and stores to shared memory: threads that wait for each other."""
    spills_in_loop: int
    registers: int
    stack_bytes: int


def main_loops(sass: str) -> list[list[str]]:
    """The innermost loops with 16-byte loads, one a dtype, each from its label to its branch."""
    labels: dict[str, int] = {}
    code: list[str] = []
    for line in sass.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(code)
        elif instruction := re.search(r"/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line):
            code.append(instruction[1])
    loops: dict[int, list[str]] = {}
    for end, instruction in enumerate(code):
        target = re.search(r"\bBRA\b.*(\.L_x_\d+)", instruction)
        if target and (start := labels.get(target[1], end + 1)) <= end:
            loops[start] = code[start : end + 1]

    def holds_another(start: int, loop: list[str]) -> bool:
        end = start + len(loop)
        return any(start < other and other + len(inner) <= end for other, inner in loops.items())

    return [
        loop for start, loop in loops.items() if count("LDG.E.128", loop) and not holds_another(start, loop)
    ]


def count(opcode: str, code: list[str]) -> int:
    return sum(re.search(rf"(^|\s){re.escape(opcode)}(\.|\s|$)", line) is not None for line in code)


def inspect(kernel: Any, architecture: int, dtypes: str, options: dict[str, bool]) -> MachineCode:
    from triton.backends.compiler import GPUTarget

    from gradprof.kernels.triton.compiler import Variant, compile_variant, config_for

    config = config_for(architecture)
    target = GPUTarget("cuda", architecture, 32)
    binary = compile_variant(kernel, target, Variant(DTYPE_SETS[dtypes], **options), config)
    loops = main_loops(_tool("nvdisasm", "-c", cubin=binary.asm["cubin"]))
    values_per_thread = config.block / config.threads
    usage = _tool("cuobjdump", "-res-usage", cubin=binary.asm["cubin"])
    return MachineCode(
        architecture=architecture,
        kernel=kernel.__name__,
        dtypes=dtypes,
        options=" ".join(options) or "plain",
        loops=len(loops),
        instructions=max((len(loop) / values_per_thread for loop in loops), default=0),
        narrow_loads=max((count("LDG", loop) - count("LDG.E.128", loop) for loop in loops), default=0),
        increments=max((count("ATOMS.POPC.INC", loop) / values_per_thread for loop in loops), default=0),
        exchanges=max((sum(count(op, loop) for op in ("BAR", "SHFL", "STS")) for loop in loops), default=0),
        spills_in_loop=max((count("LDL", loop) + count("STL", loop) for loop in loops), default=0),
        registers=int(re.findall(r"REG:(\d+)", usage)[-1]),
        stack_bytes=int(re.findall(r"STACK:(\d+)", usage)[-1]),
    )


def _tool(name: str, *options: str, cubin: bytes) -> str:
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([tool, *options, file.name], capture_output=True, text=True, check=True).stdout


def inspect_all() -> list[MachineCode]:
    from gradprof.kernels.triton.kernels import reduce_many, reduce_tensor

    found = []
    for architecture in ARCHITECTURES:
        for options in OPTIONS if architecture == WITH_OPTIONS else OPTIONS[:1]:
            for dtypes in DTYPE_SETS:
                if dtypes != "all four":
                    found.append(inspect(reduce_tensor, architecture, dtypes, options))
                if not options or dtypes == "all four":
                    found.append(inspect(reduce_many, architecture, dtypes, options))
    return found


def main() -> None:
    os.environ.pop("TRITON_INTERPRET", None)
    found = inspect_all()
    if "--json" in sys.argv:
        print(json.dumps([asdict(code) for code in found]))
        return
    import triton

    print(f"Triton {triton.__version__}; instructions of the main loops per 32 values, the most in any one\n")
    print("arch   kernel         dtypes    options       instr.  regs  stack  loads  spills")
    for code in found:
        print(
            f"sm_{code.architecture:<4}{code.kernel:<15}{code.dtypes:<10}{code.options:<14}"
            f"{format(code.instructions, '.1f') if code.loops else '-':>6}{code.registers:>6}"
            f"{code.stack_bytes:>7}  {'16 B' if code.loops else '-':>5}{code.spills_in_loop:>8}"
        )


if __name__ == "__main__":
    main()
