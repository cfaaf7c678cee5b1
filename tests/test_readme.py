"""The README's snippets run, its commands parse, and its picture exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import gradprof
from gradprof.bench.alternatives import ALTERNATIVES
from gradprof.bench.step_results import BOUNDS, OBSERVED
from gradprof.cli import make_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_snippets_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    snippets = blocks("python")
    assert len(snippets) >= 3
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), namespace)
    assert len(gradprof.load("runs/exp1").steps) > 10


def test_the_commands_parse() -> None:
    commands = [
        line.split("#")[0] for block in blocks("bash") for line in block.splitlines() if "gradprof " in line
    ]
    parsed = 0
    for command in commands:
        for part in command.split("&&"):
            words = shlex.split(part)
            if words and words[0] == "gradprof":
                make_parser().parse_args(words[1:])
                parsed += 1
    assert parsed >= 4


def test_both_install_commands_are_there_for_ci() -> None:
    lines = README.splitlines()
    start = "python3 -m venv .venv && . .venv/bin/activate && "
    assert start + 'pip install -e ".[demo]" && gradprof demo' in lines
    assert start + 'pip install -e ".[test]" && pytest' in lines


def test_the_cost_table_is_what_the_benchmark_prints() -> None:
    (table,) = (block for block in blocks("text") if block.startswith("$ gradprof bench step"))
    command, _, output = table.replace("\\\n", " ").partition("\n")
    arguments = make_parser().parse_args(shlex.split(command)[2:])
    assert "cores" in output, "the machine is named"
    assert "torch" in output
    rows: list[tuple[str, float]] = []
    for line in output.partition("bound\n")[2].splitlines():
        if found := re.match(r"  (\S.*?)  +([\d.]+) ", line):
            rows.append((found[1], float(found[2])))
        else:  # a long name goes on
            rows[-1] = f"{rows[-1][0]} {line.strip()}", rows[-1][1]
    medians = dict(rows)
    expected = [*OBSERVED, *(ALTERNATIVES[name][0] for name in arguments.against)]
    assert list(medians)[: len(expected)] == expected
    assert all(0.9 < medians[name] < 100 for name in expected)
    for name, bound in BOUNDS.items():
        verdict = "met" if bound.met_by(medians[name]) else "missed"
        line = next(line for line in output.splitlines() if line.startswith(f"  {name[:20]}"))
        assert line.endswith(f"<= {bound.limit:g} {verdict}")


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert any(target.endswith(".png") for target in targets)
    for target in targets:
        assert (ROOT / target).exists(), target


def test_the_recorded_demo_loads_and_is_small() -> None:
    run = gradprof.load(ROOT / "runs" / "demo")
    assert len(run.steps) >= 10
    assert run.header["model"] == "ResNet"
    assert not run.truncated
    assert sum(file.stat().st_size for file in (ROOT / "runs" / "demo").iterdir()) < 2_000_000
