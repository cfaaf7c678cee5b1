"""Ctrl-C: asked for once, work ends when it can; twice, at once."""

from __future__ import annotations

import os
import signal

import pytest

from gradprof.terminal.interruption import Interruption


def test_interruption_restores_the_handler_and_takes_the_second_ctrl_c() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGINT)
            assert interruption.requested
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("the second Ctrl-C did not leave the context")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
