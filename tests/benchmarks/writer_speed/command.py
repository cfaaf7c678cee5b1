"""The arguments of `tests/benchmarks/writer.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

from gradprof.bench.command import add_output_arguments
from gradprof.bench.output import measure_and_print

from .measure import QUICK, Extent, measure_writer

_DESCRIPTION = """\
CPU time and bytes of writing one step, against torch's SummaryWriter; and what
of the interpreter the writer leaves to others. A wrong result has no speed, and
makes the exit status 1."""

_PAIRS = 6


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_output_arguments(parser, _PAIRS)
    parser.add_argument("--quick", action="store_true", help="two rounds of few steps, to see that it works")
    args = parser.parse_args(argv)
    pairs, extent = args.pairs or (2 if args.quick else _PAIRS), QUICK if args.quick else Extent()
    return measure_and_print(
        lambda rounds: measure_writer(rounds, pairs, extent),
        torch.device("cpu"),
        as_json=args.json,
        logdir=args.logdir,
    )
