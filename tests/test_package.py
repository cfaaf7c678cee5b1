"""The package as it is imported and installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import gradprof

ROOT = Path(__file__).parents[1]

_LOADED = "import sys; print([name for name in ('torch', 'tensorboard', 'rich') if name in sys.modules])"


def loaded_after(statement: str) -> str:
    """Which heavy packages a fresh interpreter has loaded after `statement`."""
    result = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{_LOADED}"], capture_output=True, text=True, check=True
    )
    return result.stdout.splitlines()[-1]


def test_importing_loads_nothing_heavy() -> None:
    assert loaded_after("import gradprof; gradprof.BIN_EDGES; dir(gradprof)") == "[]"


def test_reading_loads_no_torch() -> None:
    assert loaded_after("import gradprof; gradprof.load, gradprof.Record") == "['tensorboard']"
    assert "torch" not in loaded_after("import gradprof.diagnosis.answer, gradprof.report.command")


def test_the_command_line_answers_before_torch_is_loaded() -> None:
    assert loaded_after("import gradprof.cli") == "[]"


def test_the_check_for_torch_can_fail() -> None:
    assert "torch" in loaded_after("import gradprof; gradprof.measure")


def test_every_public_name_exists_and_has_a_docstring() -> None:
    assert set(gradprof.__all__) <= set(dir(gradprof))
    for name in gradprof.__all__:
        value = getattr(gradprof, name)
        if callable(value):
            assert value.__doc__
            assert not (value.__module__ or "").startswith("torch")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'wacth'"):
        gradprof.wacth  # noqa: B018


def test_the_command_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="gradprof")
    assert script.value == "gradprof.cli:main"


@pytest.mark.parametrize("command", [["gradprof"], [sys.executable, "-m", "gradprof"]])
def test_version_help_and_wrong_commands(command: list[str]) -> None:
    if command == ["gradprof"]:
        command = [str(Path(sys.executable).with_name("gradprof"))]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.split() == ["gradprof", gradprof.__version__]
    usage = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(name in usage for name in ("demo", "report", "bench"))
    assert all(len(line) <= 80 for line in usage.splitlines())
    wrong = subprocess.run([*command, "reprot"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "invalid choice" in wrong.stderr
    missing = subprocess.run([*command, "report", "no/such/run"], capture_output=True, text=True, check=False)
    assert missing.returncode == 2
    assert missing.stderr.startswith("gradprof report: error: there is no run 'no/such/run'")
    assert "Traceback" not in missing.stderr
