"""Whoever waits is told for what, and nobody else."""

from __future__ import annotations

import time

import pytest

from gradprof.terminal.progress import note_if_slow


def test_a_note_after_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    with note_if_slow("compiling ...", seconds=0.05):
        deadline = time.monotonic() + 10
        said = ""
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
            said = capsys.readouterr().err
    assert said == "compiling ...\n"


def test_no_note_when_it_was_quick(capsys: pytest.CaptureFixture[str]) -> None:
    with note_if_slow("compiling ...", seconds=0.2):
        pass
    with pytest.raises(ValueError, match="wrong"), note_if_slow("compiling ...", seconds=0.2):
        raise ValueError("wrong")
    time.sleep(0.4)
    assert capsys.readouterr() == ("", "")
