"""The command `gradprof`: each subcommand stands in a `command` module of its own package."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from gradprof.bench.command import add_parser as add_bench
from gradprof.demo.command import add_parser as add_demo
from gradprof.report.command import add_parser as add_report

from .version import __version__


def make_parser() -> argparse.ArgumentParser:
    """All arguments of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="gradprof", description="See what the gradients of a network do, in every layer, at every step."
    )
    parser.add_argument("--version", action="version", version=f"gradprof {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_parser in (add_demo, add_report, add_bench):
        add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit status. Each says itself, in one line, what is wrong with its input."""
    args = make_parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # site names may hold what a terminal cannot show
    try:
        status: int = args.run_command(args)
    except BrokenPipeError:
        # The reader, such as `head`, has gone; keep Python from saying so again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return status
