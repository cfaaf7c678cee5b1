"""Compiling the kernels for a device, and launching them.

Triton's usual way decides at each call which variant the arguments need, and compiles it if it is new: in
the middle of training, if a size first turns up there. Here a variant is named by what it is for, compiled
when that is known, and launched as it is, which also spares the host half of the cost of a call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from .histogram import INTERPRETED

Launch = Callable[[int, tuple[int, ...]], None]
"""Launches so many programs with these arguments on the current stream."""


@dataclass(frozen=True)
class Config:
    """How a device is used.

    A block is what a program reads at once, 32 values for each of its threads: enough loads in flight to
    cover the latency of memory, and few enough registers for four programs beside each other.
    """

    block: int = 4096
    careful_block: int = 512
    threads: int = 128
    max_registers: int = 128
    programs: int = 8
    """Programs per multiprocessor, or in all in the interpreter; two waves even out where one ends early."""

    def __post_init__(self) -> None:
        # With fewer values than threads, several threads would hold and count the same one.
        assert self.careful_block % self.threads == 0 == self.block % (8 * self.threads), self


CONFIGS = {80: Config(), 90: Config(), 100: Config()}
"""By compute capability, the nearest one below counts. Chosen from machine code, see README.md: on each,
the loop of the widest variant keeps within its registers, and 64 KiB a multiprocessor are in flight."""

OLDEST = min(CONFIGS)


@dataclass(frozen=True)
class Variant:
    """What a compiled kernel is for.

    `dtype_set` is the sum of 2**code over the dtypes it reads, see `kernels.DTYPES`.
    """

    dtype_set: int
    scaled: bool = False
    above: bool = False
    locate: bool = False


@cache
def config_of(device: torch.device) -> Config:
    """The configuration of a device, `programs` in all."""
    if INTERPRETED:
        return Config(programs=4)
    config = config_for(_capability(device))
    n_processors = torch.cuda.get_device_properties(device).multi_processor_count
    return Config(**{**asdict(config), "programs": config.programs * n_processors})


def config_for(capability: int) -> Config:
    """The configuration of a compute capability, such as 90."""
    return CONFIGS[max(known for known in CONFIGS if known <= capability)]


@cache
def launcher(kernel: Any, device: torch.device, variant: Variant, config: Config) -> Launch:
    """Compile a variant, unless this process has done so before; the disk keeps it for the next."""
    if INTERPRETED:
        return partial(_interpret, kernel, _constants(variant, config))
    with torch.cuda.device(device):
        binary = compile_variant(kernel, GPUTarget("cuda", _capability(device), 32), variant, config)
        binary._init_handles()  # load it now, not at the first launch
    return partial(_launch, binary, device.index)


def compile_variant(kernel: Any, target: GPUTarget, variant: Variant, config: Config) -> Any:
    """The machine code of a variant; needs no device. All its arguments are int64."""
    constants = _constants(variant, config)
    signature = {name: "constexpr" if name in constants else "i64" for name in kernel.arg_names}
    options = {
        "num_warps": config.threads // 32,
        "maxnreg": config.max_registers,
        "enable_fp_fusion": True,
    }
    return triton.compile(ASTSource(kernel, signature, constants), target=target, options=options)


def _constants(variant: Variant, config: Config) -> dict[str, Any]:
    return {
        "DTYPE_SET": variant.dtype_set,
        "SCALED": variant.scaled,
        "ABOVE": variant.above,
        "LOCATE": variant.locate,
        "BLOCK": config.block,
        "CAREFUL_BLOCK": config.careful_block,
        "LANES": config.threads,
    }


_NO_CONSTANTS = (None,) * len(_constants(Variant(0), Config()))
"""A launcher expects as many arguments as the source has, and passes over those compiled in."""


def _interpret(kernel: Any, constants: dict[str, Any], programs: int, arguments: tuple[int, ...]) -> None:
    with warnings.catch_warnings():  # on a device, NaN and inf are values like others
        warnings.simplefilter("ignore", RuntimeWarning)
        kernel[(programs,)](*arguments, **constants)


def _launch(binary: Any, device_index: int, programs: int, arguments: tuple[int, ...]) -> None:
    stream = torch._C._cuda_getCurrentRawStream(device_index)
    binary[(programs, 1, 1)](*arguments, *_NO_CONSTANTS, stream=stream)


def _capability(device: torch.device) -> int:
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor
