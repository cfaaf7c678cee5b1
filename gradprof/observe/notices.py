"""What gradprof has to say of itself while a training runs."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable


class Notices:
    """Gathers what went wrong, and says it, each thing once, when whoever met it has finished its work.

    A warning may be an error (`-W error`), and with `strict` every failure is: so it comes last, and what it
    interrupts is nothing of ours.

    Args:
        strict: raise failures instead of warning of them.
    """

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._known: set[Hashable] = set()
        self._pending: list[str | Exception] = []

    def add(self, message: str, error: Exception | None = None, key: Hashable = None) -> None:
        """Something to say.

        Args:
            message: a sentence or two; said once for each `key`, by default for each message.
            error: the failure that it tells of, which `strict` raises in its place.
        """
        if (key or message) not in self._known:
            self._known.add(key or message)
            self._pending.append(error if error is not None and self._strict else message)

    def add_all(self, messages: Iterable[str]) -> None:
        """Shortcomings, each of them a failure."""
        for message in messages:
            self.add(message, RuntimeError(message))

    def say(self) -> None:
        """Say what is pending.

        Raises:
            Exception: with `strict`, the first failure.
        """
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        for message in pending:
            if isinstance(message, str):
                warn(message)
        for failure in pending:
            if isinstance(failure, Exception):
                raise failure


def warn(message: str) -> None:
    """Say something of gradprof's own, without blaming a line of the caller's."""
    warnings.warn(message, RuntimeWarning, stacklevel=2)
