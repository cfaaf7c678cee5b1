"""`gradprof demo`: its arguments, what it prints, its exit status."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from gradprof.workloads.names import DATASETS

from .settings import Settings

if TYPE_CHECKING:
    from gradprof import Profiler

    from .training import Training

_DESCRIPTION = """\
Train a classifier from torchvision, untrained at the start, on small images,
and watch its gradients at every iteration. The defaults need no download and no
GPU: resnet18 on handwritten 3s and 7s, in under a minute on two cores.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "demo",
        help="train a small classifier and watch its gradients",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data_arguments(parser)
    _add_training_arguments(parser)
    parser.set_defaults(run_command=run)


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    default = Settings()
    parser.add_argument(
        "--model", metavar="NAME", default=default.model, help="any classifier of torchvision (%(default)s)"
    )
    parser.add_argument(
        "--dataset",
        choices=list(DATASETS),
        default=default.dataset,
        help="; ".join(f"{name}: {what}" for name, what in DATASETS.items()) + " (%(default)s)",
    )
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        type=Path,
        default=default.data_root,
        help="where mnist and cifar10 are (./%(default)s)",
    )
    parser.add_argument("--download", action="store_true", help="fetch the dataset if it is not there")
    parser.add_argument(
        "--image-size",
        metavar="N",
        type=int,
        default=default.image_size,
        help="resize images to N x N (%(default)s)",
    )


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    default = Settings()
    parser.add_argument(
        "--lr", type=float, default=default.lr, help="highest rate of the one-cycle schedule (%(default)s)"
    )
    parser.add_argument("--epochs", metavar="N", type=int, default=default.epochs, help="(%(default)s)")
    parser.add_argument(
        "--batch-size", metavar="N", type=int, default=default.batch_size, help="(%(default)s)"
    )
    parser.add_argument("--device", help="such as cpu or cuda:1 (cuda where there is one, else cpu)")
    parser.add_argument(
        "--seed", metavar="N", type=int, default=default.seed, help="of all random numbers (%(default)s)"
    )
    parser.add_argument("--ascend", action="store_true", help="maximise the loss, to see gradients explode")
    watching = parser.add_mutually_exclusive_group()
    watching.add_argument(
        "--logdir", metavar="DIR", type=Path, help="directory of the run (a new one below ./runs)"
    )
    watching.add_argument(
        "--no-watch", dest="watch", action="store_false", help="train without gradprof, to compare"
    )


def run(args: argparse.Namespace) -> int:
    """Train, then say what the gradients did.

    Returns:
        0, or 130 after Ctrl-C, which keeps what was recorded; 2 for wrong settings, said on stderr.
    """
    settings = Settings(**{field.name: getattr(args, field.name) for field in fields(Settings)})
    try:
        training = _prepare(settings)
        prof = _start_watch(training)
    except (ValueError, OSError, ImportError) as error:
        print(f"gradprof demo: error: {error}", file=sys.stderr)
        return 2
    return _train(training, prof)


def _prepare(settings: Settings) -> Training:
    settings.check()
    try:
        from .training import Training

        return Training(settings)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        missing = {"torchvision": "torchvision", "sklearn": "scikit-learn"}.get(package)
        if missing is None:
            raise
        raise ImportError(f'the demo needs {missing}: pip install "gradprof[demo]"') from error


def _start_watch(training: Training) -> Profiler | None:
    if not training.settings.watch:
        return None
    import gradprof

    return gradprof.watch(training.model, training.settings.logdir, optimizer=training.optimizer)


def _train(training: Training, prof: Profiler | None) -> int:
    from gradprof.terminal.bar import Bar
    from gradprof.terminal.interruption import Interruption

    print(_introduction(training, prof), flush=True)
    with Interruption() as interruption, nullcontext() if prof is None else prof:
        training.run(prof, Bar(training.n_steps), interruption)
    if interruption.requested:
        print(f"Interrupted after step {len(training.losses)} of {training.n_steps}.")
    if training.accuracy is not None:
        print(f"Validation accuracy: {training.accuracy:.1%}")
    if prof is not None:
        _report(prof)
    return 130 if interruption.requested else 0


def _introduction(training: Training, prof: Profiler | None) -> str:
    from .training import count_parameters

    settings, data = training.settings, training.data
    size = f"{settings.image_size}x{settings.image_size}"
    aim = "to maximise the loss, " if settings.ascend else ""
    watched = (
        "Not watched: this is a training without gradprof."
        if prof is None
        else f"Watched at {len(prof.sites)} sites, at every iteration."
    )
    return (
        f"{settings.model}, {count_parameters(training.model) / 1e6:.1f} M parameters, on {training.device}\n"
        f"{settings.dataset}, {len(data.train)} images to train on, "
        f"{len(data.validation)} to validate on, {size}\n"
        f"{settings.epochs} epochs of {training.steps_per_epoch} steps, {aim}lr {settings.lr:g}\n"
        f"{watched}\n"
    )


def _report(prof: Profiler) -> None:
    import gradprof
    from gradprof.report.answer import answer_text

    print(f"\n{answer_text(gradprof.load(prof.logdir))}\n")
    print(f"Run: {prof.logdir}")
    print(f"tensorboard --logdir {shlex.quote(str(prof.logdir.parent))}")
