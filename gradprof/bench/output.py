"""Where results go: tables as they come, or one JSON document at the end."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

from .event_file import EventFile
from .machine import Machine
from .results import Result
from .table import new_console, print_machine, print_result


class Output:
    """Collects the results of one run of the command and prints them to stdout."""

    def __init__(
        self, machine: Machine, *, quick: bool, as_json: bool, event_file: EventFile | None = None
    ) -> None:
        self._machine = machine
        self._quick = quick
        self._as_json = as_json
        self._event_file = event_file
        self._started = time.time()
        self._results: list[Result] = []
        self._console = new_console()
        if not as_json:
            print_machine(machine, self._console)

    @property
    def correct(self) -> bool:
        """Whether every check passed."""
        return all(result.correct for result in self._results)

    def add(self, result: Result) -> None:
        self._results.append(result)
        if self._event_file is not None:
            self._event_file.add(result)
        if not self._as_json:
            print_result(result, self._console)

    def close(self, interrupted: bool) -> None:
        if self._as_json:
            json.dump(self._document(interrupted), sys.stdout, indent=1, allow_nan=False)
            sys.stdout.write("\n")
            return
        if self._event_file is not None:
            where = str(self._event_file.path.parent)
            self._console.print(f"\nTensorBoard shows the rounds: {where}", markup=False, soft_wrap=True)
        if interrupted:
            self._console.print("\nInterrupted: this is what was measured until then.")
        if self._quick:
            self._console.print("\nQuick: this shows that it works; the figures mean little.")

    def _document(self, interrupted: bool) -> dict[str, object]:
        return {
            "started": self._started,
            "machine": asdict(self._machine),
            "quick": self._quick,
            "interrupted": interrupted,
            "correct": self.correct,
            "benchmarks": {result.name: result.as_json() for result in self._results},
        }
