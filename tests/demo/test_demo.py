"""`gradprof demo`: trains, watches, reports, and says what is wrong with its arguments."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradprof
from gradprof.cli import main
from gradprof.demo.settings import Settings
from gradprof.demo.training import Figures, Training, largest_gradient
from gradprof.terminal.bar import Bar
from gradprof.terminal.interruption import Interruption

TINY = ("--image-size", "32", "--epochs", "1", "--batch-size", "64")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and threads that share cores spin; subprocesses likewise."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # as the demo itself sets it, restored after the test
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and data go to a directory of the test's own."""
    monkeypatch.chdir(tmp_path)


def tiny(**changes: Any) -> Settings:
    return Settings(**{"image_size": 32, "epochs": 1, "batch_size": 64, "device": "cpu", **changes})


def train(settings: Settings, prof: gradprof.Profiler | None = None) -> Training:
    training = Training(settings)
    training.run(prof, Bar(1), Interruption())
    return training


def losses(training: Training) -> list[float]:
    return [float(loss) for loss in training.losses]


def start(*arguments: str, **keywords: Any) -> subprocess.Popen[str]:
    """`gradprof demo` as a process that Ctrl-C reaches even where the tests themselves ignore it."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from gradprof.cli import main; raise SystemExit(main())"
    )
    return subprocess.Popen([sys.executable, "-c", code, "demo", *arguments], text=True, **keywords)


# End to end.


def test_trains_and_reports_through_a_pipe(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gradprof", "demo", *TINY], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert re.search(r"^epoch 1/1  loss [\d.]+ .*max gradient \d\.\de-\d\d$", done.stdout, re.MULTILINE)
    assert re.search(r"^Validation accuracy: [\d.]+%$", done.stdout, re.MULTILINE)
    assert "Did any partial gradient reach 1 in magnitude?" in done.stdout
    [directory] = (tmp_path / "runs").iterdir()
    *_, path_line, command_line = done.stdout.splitlines()
    assert path_line == f"Run: runs/{directory.name}"
    assert command_line == "tensorboard --logdir runs"

    run = gradprof.load(directory)
    assert run.steps.tolist() == [0, 1, 2, 3]
    assert set(run.scalars) == {"loss", "lr"}
    assert len(run.scalars["loss"].steps) == 4
    assert run.scalars["lr"].values[0] == pytest.approx(Settings().lr / 25)  # where one cycle begins
    assert np.isfinite(run.table("abs_max")).all()


def test_draws_a_bar_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    process = start(*TINY, stdout=theirs, env={**environment, "TERM": "xterm-256color"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            if not (chunk := os.read(ours, 65536)):
                break
        except OSError:  # what Linux says at the end of a terminal
            break
        shown += chunk
    os.close(ours)
    assert process.wait(timeout=60) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "\x1b[" in shown.decode()
    assert re.search(r"\d/4 loss \d.*  lr \d.*  max gradient \d", plain)
    assert "epoch 1/1" in plain
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= 80


def test_ctrl_c_keeps_the_run() -> None:
    arguments = ("--image-size", "32", "--epochs", "10000", "--logdir", "exp/kept")
    process = start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch "):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == ""
    assert re.search(r"^Interrupted after step (\d+) of 90000\.$", out, re.MULTILINE)
    assert "Did any partial gradient" in out
    assert "Run: exp/kept\ntensorboard --logdir exp\n" in out
    run = gradprof.load("exp/kept")
    assert len(run.steps) == int(re.findall(r"after step (\d+)", out)[0])
    assert not run.truncated


def test_no_watch_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *TINY, "--no-watch"]) == 0
    out = capsys.readouterr().out
    assert "Not watched" in out
    assert "Validation accuracy" in out
    assert "tensorboard" not in out
    assert "max gradient" not in out
    assert list(tmp_path.iterdir()) == []


def test_a_diverging_loss_is_trained_on_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *TINY, "--epochs", "2", "--lr", "1e30", "--logdir", "diverged"]) == 0
    out = capsys.readouterr().out
    assert "max gradient nan" in out
    assert "NaN or inf" in out
    assert len(gradprof.load("diverged").steps) == 8


# Training.


def test_the_defaults_converge() -> None:
    """Smaller images than the default ones, to be quick."""
    training = train(tiny(epochs=Settings.epochs, batch_size=Settings.batch_size))
    assert training.accuracy is not None
    assert training.accuracy > 0.95
    assert np.mean(losses(training)[-9:]) < 0.05 * np.mean(losses(training)[:3])


def test_a_seed_gives_the_same_losses_watched_or_not() -> None:
    first = train(tiny(seed=3))
    torch.rand(7)  # what happened before does not matter
    second = Training(tiny(seed=3))
    with gradprof.watch(second.model, "seeded", optimizer=second.optimizer) as prof:
        second.run(prof, Bar(1), Interruption())
    assert losses(first) == losses(second)
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert losses(train(tiny(seed=4))) != losses(first)


def test_what_is_logged_is_what_was_trained() -> None:
    training = Training(tiny())
    with gradprof.watch(training.model, "logged", optimizer=training.optimizer) as prof:
        training.run(prof, Bar(1), Interruption())
        assert largest_gradient(prof) == max(stats.abs_max for stats in prof.last.values())
    run = gradprof.load("logged")
    assert run.scalars["loss"].values.tolist() == losses(training)
    assert run.scalars["lr"].values.argmax() == 0.3 * 4 // 1  # one cycle peaks after 30 % of the steps


def test_ascend_makes_the_loss_grow() -> None:
    rising = losses(train(tiny(ascend=True, epochs=2)))
    assert np.mean(rising[-2:]) > 2 * rising[0]


@pytest.mark.parametrize(
    "model", ["mobilenet_v3_small", "squeezenet1_1", "vit_b_16", "googlenet", "densenet121", "swin_v2_t"]
)
def test_other_models_train_a_step(model: str) -> None:
    training = Training(tiny(model=model, dataset="fake", batch_size=4))
    interruption = Interruption()
    interruption.requested = True  # ends after one step
    with gradprof.watch(training.model, "one-step", optimizer=training.optimizer) as prof:
        training.run(prof, Bar(1), interruption)
        assert largest_gradient(prof) > 0
    assert len(training.losses) == 1
    assert training.accuracy is None
    assert np.isfinite(losses(training)).all()


# What is shown.


def test_figures_show_small_numbers() -> None:
    assert str(Figures(0.25, 1e-6, 3e-9)) == "loss 0.25  lr 1.0e-06  max gradient 3.0e-09"
    assert str(Figures(float("nan"), 0.1, None)) == "loss nan  lr 1.0e-01"


def test_help_fits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_help_needs_no_torch() -> None:
    code = "import sys, gradprof.demo.command; print({'torch', 'rich', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# Errors.


@pytest.mark.parametrize(
    "error", [RuntimeError("tried here,\ntried there"), OSError("tried here, tried there")]
)
def test_a_failed_download_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_dataset: Any) -> None:
        raise error

    monkeypatch.setattr("torchvision.datasets.MNIST.download", fail)
    assert main(["demo", "--dataset", "mnist", "--download"]) == 2
    expected = "gradprof demo: error: could not download mnist to 'data': tried here, tried there\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs", "0"), "--epochs is 0: expected 1 or more"),
        (("--batch-size", "-4"), "--batch-size is -4: expected 1 or more"),
        (("--batch-size", "291"), "--batch-size is 291: expected at most 290, .* digits"),
        (("--lr", "-0.1"), "--lr is -0.1: expected a finite number above 0"),
        (("--lr", "nan"), "--lr is nan"),
        (("--seed", "-1"), "--seed is -1"),
        (("--model", "resnet19"), "no classifier 'resnet19'; near names: .*resnet18"),
        (("--device", "gpu"), "--device 'gpu' cannot be used"),
        (("--device", "meta"), "--device 'meta' cannot be used"),
        (("--dataset", "mnist"), "there is no mnist in 'data': add --download"),
        (("--dataset", "cifar10", "--data-root", "a/b"), "there is no cifar10 in 'a/b': add --download"),
        (("--model", "alexnet", "--image-size", "32"), "alexnet .* 32x32 .* try --image-size 224"),
        (("--model", "inception_v3"), "inception_v3 .* 64x64 .* try --image-size 299"),
        (
            ("--model", "vit_b_16", "--image-size", "40"),
            "vit_b_16 .* 40x40 .* try --image-size 224 .*patch size",
        ),
        (("--model", "maxvit_t"), "maxvit_t .* 64x64 .* try --image-size 224"),
        (
            ("--batch-size", "1", "--image-size", "32"),
            "or a larger --batch-size .*Expected more than 1 value",
        ),
        (("--logdir", "file/run"), "'file/run'"),
    ],
)
def test_wrong_settings_are_one_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a directory")
    assert main(["demo", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(f"gradprof demo: error: .*{message}.*\n", shown.err)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_directory_that_holds_a_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    training = Training(tiny())
    gradprof.watch(training.model, "taken", optimizer=training.optimizer).close()
    assert main(["demo", *TINY, "--logdir", "taken"]) == 2
    assert "gradprof demo: error: " in capsys.readouterr().err


@pytest.mark.parametrize(("module", "package"), [("torchvision", "torchvision"), ("sklearn", "scikit-learn")])
def test_missing_packages_are_named(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("gradprof.demo.training", "gradprof.workloads.classifiers"):
        monkeypatch.delitem(sys.modules, name)
    for name in (module, f"{module}.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["demo", *TINY]) == 2
    expected = f'gradprof demo: error: the demo needs {package}: pip install "gradprof[demo]"\n'
    assert capsys.readouterr().err == expected


def test_watching_nowhere_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["demo", "--no-watch", "--logdir", "x"])
    assert stopped.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
