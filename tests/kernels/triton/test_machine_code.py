"""The machine code of the compiled kernels: within its budget of instructions, wide loads, no spills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import triton
from machine_code import ARCHITECTURES, count, main_loops

BUDGETS = {"float32": 20, "bfloat16": 16, "float16": 16, "all four": 20}
"""Instructions of the main loop per 32 values, for a whole row without options."""

BUDGET_WITH_OPTIONS = 20
N_LOOPS = {"float32": 1, "bfloat16": 1, "float16": 1, "float64": 0, "all four": 3}

TODAY = tuple(int(part) for part in triton.__version__.split(".")[:2]) >= (3, 8)


@pytest.fixture(scope="module")
def machine_code() -> list[dict[str, Any]]:
    """In a process of its own, because in this one the kernels are interpreted."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "machine_code.py", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_every_variant_is_there(machine_code: list[dict[str, Any]]) -> None:
    seen = {(code["architecture"], code["kernel"], code["dtypes"]) for code in machine_code}
    assert {architecture for architecture, _, _ in seen} == set(ARCHITECTURES)
    for architecture in ARCHITECTURES:
        for dtypes in ("float32", "bfloat16", "float16", "float64"):
            assert (architecture, "reduce_tensor", dtypes) in seen
        assert (architecture, "reduce_many", "all four") in seen


def test_the_main_loop_keeps_to_its_budget(machine_code: list[dict[str, Any]]) -> None:
    for code in machine_code:
        assert code["loops"] == N_LOOPS[code["dtypes"]], code
        if code["loops"]:
            budget = BUDGETS[code["dtypes"]] if code["options"] == "plain" else BUDGET_WITH_OPTIONS
            assert 8 < code["instructions"] <= budget, code


def test_loads_of_16_bytes_and_one_increment_a_value(
    machine_code: list[dict[str, Any]],
) -> None:
    for code in machine_code:
        if code["loops"]:
            assert code["narrow_loads"] == 0, code
            assert code["increments"] == 1, code


def test_threads_do_not_wait_for_each_other_in_the_loop(machine_code: list[dict[str, Any]]) -> None:
    assert not any(code["exchanges"] for code in machine_code)


def test_nothing_is_spilled(machine_code: list[dict[str, Any]]) -> None:
    for code in machine_code:
        assert code["spills_in_loop"] == 0, code
        if TODAY:  # Triton 3.6 keeps 8 bytes elsewhere
            assert code["stack_bytes"] == 0, code


def test_loops_are_found() -> None:
    """Of two nested loops and one without wide loads, the inner one with them."""
    lines = [
        ".L_x_1:",
        "/*0000*/ LDG.E.128 R0, [R2] ;",
        ".L_x_2:",
        "/*0010*/ LDG.E.128.CONSTANT R0, [R2] ;",
        "/*0020*/ ATOMS.POPC.INC.32 RZ, [R4] ;",
        "/*0030*/ @P0 BRA `(.L_x_2) ;",
        "/*0040*/ @P1 BRA `(.L_x_1) ;",
        ".L_x_3:",
        "/*0050*/ LDG.E R0, [R2] ;",
        "/*0060*/ STL [R1], R0 ;",
        "/*0070*/ @P1 BRA `(.L_x_3) ;",
        "/*0080*/ @P1 BRA `(.L_x_4) ;",
        ".L_x_4:",
    ]
    (loop,) = main_loops("\n".join(lines))
    assert len(loop) == 3
    assert (count("LDG", loop), count("LDG.E.128", loop), count("ATOMS.POPC.INC", loop)) == (1, 1, 1)
    assert count("STL", ["STL [R1], R0"]) == count("STL", ["@!P0 STL.64 [R1], R0"]) == 1
    assert count("STL", ["STLX"]) == 0
