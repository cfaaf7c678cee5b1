"""The rooms of the house and what each may import, as `pyproject.toml` states them; and that this can fail.

`.ci/run` checks the built wheel. Here the same contracts are held against a copy of the sources laid out as
the wheel lays them out, so that the copy can be broken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = {
    "layers": "data walks one way: model, hooks, reduction, table, step, record, files, views",
    "torch": "torch stays behind its border",
    "backend": "a backend begins at its reducer",
    "circles": "no circles",
    "neighbours": "a room knows its neighbours",
    "files": "files are the business of write and read",
}
_LINT = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(sys.argv[1], no_cache=True))
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The package as it is installed, to be changed."""
    ignored = shutil.ignore_patterns("__pycache__", "static", "node_modules")
    shutil.copytree(ROOT / "gradprof", tmp_path / "gradprof", ignore=ignored)
    shutil.copytree(ROOT / "kernels", tmp_path / "gradprof" / "kernels", ignore=ignored)
    return tmp_path


def broken(house: Path) -> set[str]:
    """The contracts that do not hold."""
    result = subprocess.run(
        [sys.executable, "-c", _LINT, str(ROOT / "pyproject.toml")],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = result.stdout.splitlines()
    for name in CONTRACTS.values():
        assert any(line.startswith(name) and line.endswith(("KEPT", "BROKEN")) for line in lines), result
    return {key for key, name in CONTRACTS.items() if f"{name} BROKEN" in lines}


def append(house: Path, module: str, line: str) -> None:
    with (house / "gradprof" / module).open("a") as file:
        file.write(f"\n{line}\n")


def test_the_house_is_in_order(house: Path) -> None:
    assert broken(house) == set()


@pytest.mark.parametrize(
    ("module", "line", "expected"),
    [
        ("write/thread.py", "from gradprof.observe import ring", {"layers", "torch", "circles"}),
        ("kernels/row.py", "import gradprof.record.sites", {"layers", "circles"}),
        ("read/run.py", "from gradprof.kernels import layouts", {"torch", "neighbours"}),
        ("tab/query.py", "from gradprof.kernels.bins import BIN_EDGES", {"neighbours"}),
        ("observe/step.py", "from gradprof.events import tags", {"files"}),
        ("observe/table.py", "from gradprof.kernels.triton import tables", {"backend"}),
        ("tab/query.py", "from gradprof.report import table", {"layers"}),
        ("bench/pairs.py", "from gradprof.bench import step", {"circles"}),
        ("new_room.py", "", {"layers"}),
    ],
)
def test_each_contract_can_fail(module: str, line: str, expected: set[str], house: Path) -> None:
    append(house, module, line)
    assert broken(house) == expected


@pytest.mark.parametrize(
    ("file", "line", "rule"),
    [
        ("gradprof/write/thread.py", "import torch", "TID251"),
        ("gradprof/tab/query.py", "from torch import Tensor", "TID251"),
        ("kernels/row.py", "import torch", "TID251"),
        ("gradprof/cli.py", "import rich", "TID253"),
        ("gradprof/bench/command.py", "import torch", "TID253"),
        ("gradprof/demo/command.py", "import tensorboard", "TID253"),
        ("gradprof/write/stock/pace.py", "from ..chunks import Chunk", "TID252"),
    ],
)
def test_ruff_says_it_at_once(file: str, line: str, rule: str) -> None:
    assert (ROOT / file).is_file()
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--stdin-filename", file, "--output-format", "concise", "-"],
        cwd=ROOT,
        input=f"{line}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert f" {rule} " in result.stdout


def test_torch_is_where_it_may_be() -> None:
    rooms = [*(ROOT / "gradprof" / "observe").glob("*.py"), ROOT / "kernels" / "torch" / "reducer.py"]
    assert any("import torch" in file.read_text() for file in rooms), "else the border guards nothing"
