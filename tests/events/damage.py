"""Bytes that something happened to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gradprof.events.streams import BadBlock


def assert_damage_is_found(data: bytes, decode: Callable[[bytes], object]) -> None:
    """One bit of any byte, or everything from there on, and `decode` raises `BadBlock`: every third byte."""
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        for bad in (bytes(damaged), data[:at]):
            with pytest.raises(BadBlock):
                decode(bad)
