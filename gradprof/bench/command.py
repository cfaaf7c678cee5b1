"""The arguments of `gradprof bench`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from gradprof.terminal.bar import Rounds

    from .results import Result
    from .sizes import Sizes
    from .trainings import Setup

_DESCRIPTION = """\
What gradprof costs on this machine, each figure beside the bound it is held to:

  step     a training step watched / bare, every iteration recorded; split by part,
           and beside what else people use
  kernels  GB/s of the reductions beside the speed of reading, for one tensor and
           for a model's parameters; launch cost; gradprof.measure against numpy
  writer   writing one step against torch's SummaryWriter, in CPU time

Each first checks that what it measures is right, and reports no speed if it is not.
A missed bound is only said; a wrong result makes the exit status 1. Ctrl-C stops
after the round in progress and prints what was measured."""

_BENCHMARKS = ("step", "kernels", "writer")
_PAIRS = {"step": 40, "kernels": 20, "writer": 6}
_QUICK_PAIRS = 2
_BACKENDS = ("auto", "triton", "numba", "torch")
_DTYPES = ("float32", "bfloat16")
_ALTERNATIVES = ("hook", "add_histogram", "foreach_norm", "wandb", "torchinstruments")
_PER_LAYER_STEPS = 10
_STEP_SECONDS = 80.0
"""The step benchmark's rounds end then, unless their number was given."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "bench",
        help="measure what gradprof costs on this machine",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("benchmark", nargs="?", choices=[*_BENCHMARKS, "all"], default="all")
    parser.add_argument("--json", action="store_true", help="one document with all raw figures")
    parser.add_argument("--quick", action="store_true", help="a few small rounds, to see that it works")
    parser.add_argument(
        "--pairs",
        type=_positive,
        metavar="N",
        help="rounds of each benchmark (default: "
        + ", ".join(f"{n} {k}" for k, n in _PAIRS.items())
        + "; fewer of what takes seconds)",
    )
    parser.add_argument(
        "--logdir",
        metavar="DIR",
        help="also a run there, such as runs/bench, to see the rounds in TensorBoard",
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--backend", choices=_BACKENDS, default="auto", help="what reduces (default: auto)")
    _add_step(parser.add_argument_group("of the step benchmark"))
    kernels = parser.add_argument_group("of the kernels benchmark")
    kernels.add_argument("--dtype", choices=_DTYPES, help="one of them alone (default: both)")
    kernels.add_argument(
        "--max-numel",
        type=_numel,
        metavar="N",
        help="of one tensor and of a model, such as 64Mi (default: what the GPU's memory holds; "
        "16Mi and 32Mi on a CPU)",
    )
    parser.set_defaults(run_command=run)


def _add_step(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model",
        default="resnet18",
        help="gpt2, llama, or one of torchvision's, such as resnet50 or vit_b_16 (default: resnet18)",
    )
    group.add_argument(
        "--batch-size", type=_positive, metavar="N", help="default: 32 images, or 4 sequences of tokens"
    )
    group.add_argument("--image-size", type=_positive, default=64, metavar="N", help="default: 64")
    group.add_argument(
        "--tokens", type=_positive, default=64, metavar="N", help="of a sequence (default: 64)"
    )
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
    from gradprof.terminal.bar import Rounds
    from gradprof.workloads.devices import choose_device

    from .event_file import EventFile
    from .machine import describe_machine
    from .output import Output
    from .target import TargetError

    names = _chosen(args.benchmark)
    refused = (ValueError, ImportError, OSError)
    try:
        device = choose_device(args.device, ("cpu", "cuda"))
        _check_backend(args.backend, device)
    except refused as error:
        return _refuse(error)
    # What else a target raises is of the caller's own code, and needs its traceback.
    expected = refused if args.target is None else (TargetError,)
    try:
        if "step" in names:
            _check_step(args, device)
    except expected as error:
        return _refuse(error)
    try:
        event_file = None if args.logdir is None else EventFile(Path(args.logdir))
    except OSError as error:
        return _refuse(error)
    output = Output(describe_machine(device), quick=args.quick, as_json=args.json, event_file=event_file)
    interrupted = False
    try:
        with Rounds() as rounds:
            for name in names:
                if not rounds.requested:
                    output.add(_measure(name, rounds, args, device))
            interrupted = rounds.requested
    except KeyboardInterrupt:  # a second Ctrl-C, or one outside a round
        interrupted = True
    output.close(interrupted)
    if interrupted:
        return 130
    return 0 if output.correct else 1


def _refuse(error: Exception) -> int:
    print(f"gradprof bench: error: {error}", file=sys.stderr)
    return 2


def _check_step(args: argparse.Namespace, device: torch.device) -> None:
    from .step import check_setup

    check_setup(_setup(args, device))


def _setup(args: argparse.Namespace, device: torch.device) -> Setup:
    from .trainings import Setup

    return Setup(args.model, args.batch_size, args.image_size, device, args.tokens, args.scale, args.target)


def _check_backend(backend: str, device: torch.device) -> None:
    from .kernels import make_reducer

    make_reducer(backend, device)


def _measure(name: str, rounds: Rounds, args: argparse.Namespace, device: torch.device) -> Result:
    quick = args.quick
    pairs = args.pairs or (_QUICK_PAIRS if quick else _PAIRS[name])
    if name == "step":
        from .step import Scope, measure_step

        scope = Scope(
            against=args.against,
            seconds=_STEP_SECONDS if args.pairs is None else None,
            per_layer=min(pairs, _PER_LAYER_STEPS) if args.per_layer else 0,
            backend=args.backend,
            budget=args.budget,
        )
        return measure_step(rounds, _setup(args, device), pairs, scope=scope)
    if name == "kernels":
        from .kernels import measure_kernels

        return measure_kernels(rounds, device, pairs, _sizes(args), args.backend)
    from .writer import QUICK as QUICK_WRITER
    from .writer import Extent, measure_writer

    return measure_writer(rounds, pairs, QUICK_WRITER if quick else Extent())


def _sizes(args: argparse.Namespace) -> Sizes:
    from dataclasses import replace

    from .kernels import QUICK, Sizes

    sizes = QUICK if args.quick else Sizes()
    if args.pairs is not None:  # so many rounds, however long they take
        sizes = replace(sizes, seconds_per_comparison=None)
    if args.dtype is not None:
        sizes = replace(sizes, dtypes=(args.dtype,))
    if args.max_numel is not None:
        sizes = replace(sizes, max_numel=args.max_numel)
    return sizes


def _chosen(benchmark: str) -> list[str]:
    if benchmark != "all":
        return [benchmark]
    from importlib.util import find_spec

    if find_spec("torchvision") is not None:
        return list(_BENCHMARKS)
    print("gradprof bench: step is left out, because torchvision is not installed", file=sys.stderr)
    return [name for name in _BENCHMARKS if name != "step"]


def _positive(text: str) -> int:
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


def _numel(text: str) -> int:
    """16777216, or 16Mi."""
    factor = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}.get(text[-2:], 1)
    return _positive(text if factor == 1 else text[:-2]) * factor
