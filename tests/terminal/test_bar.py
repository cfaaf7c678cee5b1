"""The bar is drawn on a terminal only, lines stay anywhere, and rounds end where Ctrl-C asks for it."""

from __future__ import annotations

import io
import re
import signal
from collections.abc import Iterator

import pytest

from gradprof.terminal import bar
from gradprof.terminal.bar import Bar, Rounds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is drawn as often as it is asked to be, on a terminal that can."""
    monkeypatch.setattr(bar, "REFRESH_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(stream: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def test_rounds_are_counted_on_a_terminal_only() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    assert list(Rounds(terminal)(2, "[step]: warming up")) == [0, 1]
    assert list(Rounds(pipe)(2, "[step]: warming up")) == [0, 1]
    assert "2/2 [step]: warming up" in shown(terminal)
    assert terminal.getvalue().endswith("\x1b[2K"), "it goes"
    assert pipe.getvalue() == ""


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_no_bar_where_no_line_can_be_redrawn(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    terminal = Terminal()
    assert list(Rounds(terminal)(2, "step")) == [0, 1]
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_lines_stay_as_they_are(stream: io.StringIO) -> None:
    line = "epoch [1] :smile: " + "long " * 30
    with Bar(2, stream) as drawn:
        drawn.show(1, lambda: "loss")
        drawn.line(line)
    assert f"{line}\n" in shown(stream).replace("\r\n", "\n")


def test_what_is_not_shown_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def costly() -> str:
        pytest.fail("nobody sees it")

    with Bar(2, io.StringIO()) as drawn:
        drawn.show(1, costly)
    monkeypatch.setattr(bar, "REFRESH_SECONDS", 1000.0)
    with Bar(2, Terminal()) as drawn:
        drawn.show(1, lambda: "first")
        drawn.show(2, costly)


def test_ctrl_c_ends_the_rounds_after_this_one() -> None:
    def interrupted(rounds: Iterator[int]) -> Iterator[int]:
        for i in rounds:
            if i == 1:
                signal.raise_signal(signal.SIGINT)
            yield i

    with Rounds(io.StringIO()) as rounds:
        assert list(interrupted(rounds(10, "step"))) == [0, 1]
        assert list(rounds(10, "step")) == []
    assert rounds.requested
