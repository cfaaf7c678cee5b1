"""The arguments of `tests/benchmarks/kernels.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from gradprof.bench.command import add_device_arguments, add_output_arguments, positive, usable_device
from gradprof.bench.output import measure_and_print

from .measure import measure_kernels
from .sizes import PREFIXES, QUICK, Sizes

_DESCRIPTION = """\
GB/s of the reductions beside the speed of reading, for one tensor and for a
model's parameters; launch cost; gradprof.measure against numpy. A wrong result
has no speed, and makes the exit status 1."""

_PAIRS = 20


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_output_arguments(parser, _PAIRS)
    add_device_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="two rounds of small tensors, to see it work")
    parser.add_argument("--dtype", choices=Sizes.dtypes, help="one of them alone (default: both)")
    parser.add_argument(
        "--max-numel",
        type=_numel,
        metavar="N",
        help="of one tensor and of a model, such as 64Mi (default: what the GPU's memory holds; "
        "16Mi and 32Mi on a CPU)",
    )
    args = parser.parse_args(argv)
    try:
        device = usable_device(args)
    except (ValueError, ImportError) as error:
        parser.error(str(error))
    pairs, sizes = args.pairs or (2 if args.quick else _PAIRS), _sizes(args)
    return measure_and_print(
        lambda rounds: measure_kernels(rounds, device, pairs, sizes, args.backend),
        device,
        as_json=args.json,
        logdir=args.logdir,
    )


def _sizes(args: argparse.Namespace) -> Sizes:
    sizes = QUICK if args.quick else Sizes()
    if args.pairs is not None:  # so many rounds, however long they take
        sizes = replace(sizes, seconds_per_comparison=None)
    if args.dtype is not None:
        sizes = replace(sizes, dtypes=(args.dtype,))
    if args.max_numel is not None:
        sizes = replace(sizes, max_numel=args.max_numel)
    return sizes


def _numel(text: str) -> int:
    """16777216, or 16Mi."""
    factor = PREFIXES.get(text[-2:], 1)
    return positive(text if factor == 1 else text[:-2]) * factor
