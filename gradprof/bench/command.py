"""The arguments of `gradprof bench`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_DESCRIPTION = """\
What gradprof costs on this machine: a training step watched / bare, every
iteration recorded, each figure beside the bound it is held to; split by part,
and beside what else people use.

It first checks that watching changes nothing, and reports no speed if it does.
A missed bound is only said; a wrong result makes the exit status 1. Ctrl-C ends
it after the round in progress and prints what was measured."""

_PAIRS = 40
_BACKENDS = ("auto", "triton", "numba", "torch")
_ALTERNATIVES = ("hook", "add_histogram", "foreach_norm", "wandb", "torchinstruments")
_PER_LAYER_STEPS = 10
_STEP_SECONDS = 80.0
"""The rounds end then, unless their number was given."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "bench",
        help="measure what gradprof costs in a training",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("benchmark", nargs="?", choices=["step"], default="step", help="a training step")
    add_output_arguments(parser, _PAIRS)
    add_device_arguments(parser)
    _add_training_arguments(parser)
    _add_scope_arguments(parser)
    parser.set_defaults(run_command=run)


def add_output_arguments(parser: argparse.ArgumentParser, pairs: int) -> None:
    """What every benchmark takes.

    Args:
        pairs: how many rounds it has by default.
    """
    parser.add_argument("--json", action="store_true", help="one document with all raw figures")
    parser.add_argument("--pairs", type=positive, metavar="N", help=f"rounds (default: {pairs})")
    parser.add_argument(
        "--logdir",
        metavar="DIR",
        help="also a run there, such as runs/bench, to see the rounds in TensorBoard",
    )


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--backend", choices=_BACKENDS, default="auto", help="what reduces (default: auto)")


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is trained")
    group.add_argument(
        "--model",
        default="resnet18",
        help="one of torchvision's, such as resnet50 or vit_b_16, or transformers' gpt2 or llama "
        "(default: resnet18)",
    )
    group.add_argument(
        "--batch-size", type=positive, metavar="N", help="default: 32 images, or 4 sequences of tokens"
    )
    group.add_argument("--image-size", type=positive, default=64, metavar="N", help="default: 64")
    group.add_argument("--tokens", type=positive, default=64, metavar="N", help="of a sequence (default: 64)")
    group.add_argument(
        "--scale",
        type=_scale,
        metavar="S",
        help="a decoder's layers, heads and vocabulary, as a part of the published ones "
        "(default: gpt2 1, llama 1/4; 1/4 and 1/16 on a CPU)",
    )
    group.add_argument(
        "--target",
        metavar="MODULE:FUNCTION",
        help="your own training instead: the function returns (model, data, loss), where data gives "
        "batches and loss(model, batch) is a tensor of one element",
    )


def _add_scope_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is measured besides")
    group.add_argument(
        "--against",
        nargs="?",
        const=_ALTERNATIVES,
        default=(),
        type=_alternatives,
        metavar="A,B",
        help=f"these in the same pairs, or all: {', '.join(_ALTERNATIVES)}",
    )
    group.add_argument(
        "--budget", type=_share, metavar="SHARE", help="also gradprof with a budget, such as 0.02"
    )
    group.add_argument("--per-layer", action="store_true", help="also what each site costs alone")


def run(args: argparse.Namespace) -> int:
    """Measure and print.

    Returns:
        0; 1 if a result was wrong, 2 for wrong arguments, said on stderr, 130 after Ctrl-C.
    """
    from .output import measure_and_print
    from .step import Scope, check_setup, measure_step
    from .target import TargetError
    from .trainings import Setup

    refused = (ValueError, ImportError, OSError)
    try:
        device = usable_device(args)
        if args.logdir is not None:
            Path(args.logdir).mkdir(parents=True, exist_ok=True)
    except refused as error:
        return _refuse(error)
    setup = Setup(args.model, args.batch_size, args.image_size, device, args.tokens, args.scale, args.target)
    # What else a target raises is of the caller's own code, and needs its traceback.
    expected = refused if args.target is None else (TargetError,)
    try:
        check_setup(setup)
    except expected as error:
        return _refuse(error)
    pairs = args.pairs or _PAIRS
    scope = Scope(
        against=args.against,
        seconds=_STEP_SECONDS if args.pairs is None else None,
        per_layer=min(pairs, _PER_LAYER_STEPS) if args.per_layer else 0,
        backend=args.backend,
        budget=args.budget,
    )
    return measure_and_print(
        lambda rounds: measure_step(rounds, setup, pairs, scope=scope),
        device,
        as_json=args.json,
        logdir=args.logdir,
    )


def usable_device(args: argparse.Namespace) -> torch.device:
    """The device that was asked for, on which the backend runs.

    Raises:
        ValueError, ImportError: there is no such device, or the backend does not run on it.
    """
    from gradprof.kernels.reducer import make_reducer
    from gradprof.workloads.devices import choose_device

    device = choose_device(args.device, ("cpu", "cuda"))
    make_reducer(args.backend, device, threshold=1.0, locate=False)
    return device


def _refuse(error: Exception) -> int:
    print(f"gradprof bench: error: {error}", file=sys.stderr)
    return 2


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _scale(text: str) -> float:
    """0.25, or 1/4."""
    above, _, below = text.partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0 and at most 1, such as 1/4")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share of step time, such as 0.02")
    return value


def _alternatives(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in _ALTERNATIVES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"there is no {unknown[0]!r}: expected some of {','.join(_ALTERNATIVES)}, or nothing for all"
        )
    return names
