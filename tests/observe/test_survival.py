"""What was recorded outlives whatever ends the training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from models import mlp

import gradprof

TRAINING = """
import sys, time
import torch
import gradprof
import gradprof.write.run_writer

torch.manual_seed(0)

model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

def step():
    optimizer.zero_grad()
    model(torch.randn(4, 5)).square().sum().backward()
    optimizer.step()

"""


def start(script: str, *args: str, **keywords: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", TRAINING + textwrap.dedent(script), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **keywords,  # type: ignore[call-overload]
    )


def test_an_exception_passes_through_and_the_run_is_complete_up_to_there(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def train() -> None:
        with gradprof.watch(model, tmp_path, optimizer=optimizer):
            for step in range(10):
                model(torch.randn(2, 5)).sum().backward()
                optimizer.step()
                if step == 6:
                    raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        train()
    run = gradprof.load(tmp_path)
    assert run.steps.tolist() == list(range(7))
    assert not run.truncated
    assert not model._forward_pre_hooks


def test_a_program_that_just_ends_leaves_a_complete_run(tmp_path: Path) -> None:
    process = start(
        """
        prof = gradprof.watch(model, sys.argv[1], optimizer=optimizer)
        for _ in range(20):
            step()
        """,
        str(tmp_path),
    )
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (0, "", "")
    assert len(gradprof.load(tmp_path).steps) == 20


def test_ctrl_c_leaves_a_complete_run(tmp_path: Path) -> None:
    process = start(
        """
        with gradprof.watch(model, sys.argv[1], optimizer=optimizer):
            for i in range(10**9):
                step()
                print(i, flush=True)
        """,
        str(tmp_path),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 30:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err
    assert process.returncode != 0
    finished = 31 + len(out.splitlines())
    run = gradprof.load(tmp_path)
    assert not run.truncated
    assert len(run.steps) in (finished, finished + 1), "the step in progress may have been interrupted"


def test_kill_9_leaves_what_was_flushed(tmp_path: Path) -> None:
    process = start(
        """
        gradprof.write.run_writer.FLUSH_SECONDS = 0.3
        with gradprof.watch(model, sys.argv[1], optimizer=optimizer):
            for i in range(10**9):
                step()
                print(i, flush=True)
                time.sleep(0.01)
        """,
        str(tmp_path),
    )
    assert process.stdout is not None
    begun = None
    for line in process.stdout:
        reached = int(line)
        begun = begun or time.monotonic()
        if time.monotonic() - begun > 2.0:
            break
    process.kill()
    process.communicate()
    run = gradprof.load(tmp_path)
    assert run.steps.tolist() == list(range(len(run.steps)))
    # What is lost was recorded in the last 0.3 s of about 2, plus what the machine's noise adds.
    assert len(run.steps) > reached / 2 > 5


def test_a_run_can_be_read_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradprof.write.run_writer.FLUSH_SECONDS", 0.05)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    lengths = []
    with gradprof.watch(model, tmp_path, optimizer=optimizer):
        for _ in range(30):
            model(torch.randn(2, 5)).sum().backward()
            optimizer.step()
            time.sleep(0.02)
            lengths.append(len(gradprof.load(tmp_path).steps))
    assert lengths == sorted(lengths)
    assert lengths[0] < 5 < lengths[-1]


FULL_DISK = """
import resource, signal, warnings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails like one on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))
gradprof.write.run_writer.FLUSH_SECONDS = 0.05
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    prof = gradprof.watch(model, sys.argv[1], optimizer=optimizer)
    for i in range(400):
        step()
        time.sleep(0.001)
    assert prof.last.step == 399
    prof.close()
print(len(caught), caught[0].message)
print(f"{float(model[0].weight.detach().sum()):.9g}")
"""


def test_a_disk_that_fills_costs_one_warning_and_nothing_that_was_flushed(tmp_path: Path) -> None:
    process = start(FULL_DISK, str(tmp_path / "full"))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    warning, weight = out.splitlines()
    assert warning.startswith("1 gradprof stopped writing")
    assert "What was flushed before stays readable, and training goes on" in warning
    run = gradprof.load(tmp_path / "full")
    assert not run.truncated
    assert 0 < len(run.steps) < 400
    assert run.steps.tolist() == list(range(len(run.steps)))

    enough_room = FULL_DISK.replace("250_000, 250_000", "-1, -1").replace("caught[0].message", "''")
    unlimited = start(enough_room, str(tmp_path / "enough"))
    out, err = unlimited.communicate(timeout=120)
    assert out.splitlines() == ["0 ", weight], err


def test_a_forked_child_does_not_close_the_parents_run(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
        child = os.fork()
        if child == 0:
            prof._close_at_exit()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
    assert gradprof.load(tmp_path).steps.tolist() == [0, 1]


class Failing:
    """A stage before the run's writer that cannot do its work."""

    def take(self, record: object) -> None:
        raise ZeroDivisionError("no work done")

    def abandon(self) -> None:
        pass


def test_a_stage_that_fails_is_said_once_and_the_run_is_whole(tmp_path: Path) -> None:
    model = mlp()

    def train() -> None:
        with gradprof.watch(model, tmp_path) as prof:
            prof._writer._before.append(Failing())
            for _ in range(5):
                model(torch.randn(2, 5)).sum().backward()
                prof.step()

    with pytest.warns(RuntimeWarning) as said:
        train()
    (warning,) = (str(warning.message) for warning in said)
    assert warning == "gradprof goes on without its Failing: ZeroDivisionError: no work done"
    assert gradprof.load(tmp_path).steps.tolist() == list(range(5))
