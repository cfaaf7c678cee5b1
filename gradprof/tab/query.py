"""Parameters of a request: each given at most once, of its type, within its bounds."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Protocol

MAX_TEXT = 4096
"""Characters of a parameter. Names of runs are paths."""
MAX_COLUMNS = 4096
MAX_INTEGER = 2**53
"""The largest number that JavaScript counts to."""

_INTEGER = re.compile(r"-?[0-9]{1,16}")
_SHOWN = 100


class BadRequest(ValueError):
    """The request cannot be answered as it was asked; the message says what to do."""


class Arguments(Protocol):
    """What is used of werkzeug's `Request.args`."""

    def getlist(self, key: str) -> list[str]: ...


class Query:
    """The parameters of one request. Every method raises `BadRequest`."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments

    def has(self, name: str) -> bool:
        """Whether the parameter was given."""
        return bool(self._arguments.getlist(name))

    def text(self, name: str, default: str | None = None) -> str:
        """A parameter of any text; required if there is no default."""
        given = self._arguments.getlist(name)
        if not given and default is not None:
            return default
        if len(given) != 1:
            raise BadRequest(f"the parameter {name!r} was given {len(given)} times: give it once")
        if len(given[0]) > MAX_TEXT:
            raise BadRequest(
                f"the parameter {name!r} has {len(given[0])} characters: expected at most {MAX_TEXT}"
            )
        return given[0]

    def choice(self, name: str, choices: Collection[str], default: str | None = None) -> str:
        """One of several words."""
        given = self.text(name, default)
        if given not in choices:
            raise BadRequest(f"the {name} is {shown(given)}: expected one of {', '.join(choices)}")
        return given

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A decimal number with `low` <= number <= `high`."""
        given = self.text(name, None if default is None else str(default))
        if not _INTEGER.fullmatch(given) or not low <= int(given) <= high:
            raise BadRequest(f"{name} is {shown(given)}: expected a whole number from {low} to {high}")
        return int(given)

    def window(self, n: int) -> tuple[int, int]:
        """Ordinals `from` (inclusive) and `to` (exclusive) within a run of `n` observed steps.

        What lies beyond the run's end is cut off, since another run may be longer; so the window is empty
        where it begins behind the end.
        """
        start = self.integer("from", 0, MAX_INTEGER, default=0)
        stop = self.integer("to", 0, MAX_INTEGER, default=max(n, start))
        if stop < start:
            raise BadRequest(f"the window runs from {start} to {stop}: expected 'from' before 'to'")
        return min(start, n), min(stop, n)

    def columns(self) -> int:
        """How many columns a picture may have."""
        return self.integer("columns", 1, MAX_COLUMNS, default=1024)


def shown(text: str) -> str:
    """A text of a stranger within a sentence: quoted and cut."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
