"""Event-file records: to bytes and back, and up to where a file broke off."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from gradprof.events.framing import (
    FILE_VERSION,
    TruncatedFile,
    frame,
    read_records,
    summary_event,
    version_event,
)

RECORDS = [b"first", b"", b"the third record", bytes(range(40))]
FRAMED = [frame(record) for record in RECORDS]


def read_until_broken(path: Path) -> tuple[list[bytes], bool]:
    """The whole records, and whether something followed that is none."""
    records = []
    try:
        for record in read_records(path):
            records.append(record)
    except TruncatedFile:
        return records, True
    return records, False


def n_whole(n_bytes: int) -> int:
    """How many of the first records end within the first `n_bytes` of the file."""
    ends = [sum(map(len, FRAMED[: i + 1])) for i in range(len(FRAMED))]
    return sum(end <= n_bytes for end in ends)


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, records: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip"
    path.write_bytes(b"".join(map(frame, records)))
    assert read_until_broken(path) == (records, False)


@pytest.mark.parametrize("record", [*RECORDS, b"long" * 30_000])
def test_bytes_are_those_of_tensorboards_writer(record: bytes) -> None:
    out = io.BytesIO()
    RecordWriter(out).write(record)
    assert frame(record) == out.getvalue()


def test_a_file_cut_anywhere_gives_the_whole_records_before(tmp_path: Path) -> None:
    whole, path = b"".join(FRAMED), tmp_path / "cut"
    boundaries = {sum(map(len, FRAMED[:i])) for i in range(len(FRAMED) + 1)}
    for n in range(len(whole) + 1):
        path.write_bytes(whole[:n])
        assert read_until_broken(path) == (RECORDS[: n_whole(n)], n not in boundaries), n


def test_a_flipped_bit_anywhere_gives_the_records_before(tmp_path: Path) -> None:
    whole, path = b"".join(FRAMED), tmp_path / "flipped"
    for at in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[at] ^= 1 << bit
            path.write_bytes(flipped)
            assert read_until_broken(path) == (RECORDS[: n_whole(at)], True), (at, bit)


def test_whatever_follows_the_last_record_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "followed"
    for rest in (bytes(12), bytes(100), b"#!/bin/sh\n" * 5, b"\xff" * 64):
        path.write_bytes(b"".join(FRAMED) + rest)
        assert read_until_broken(path) == (RECORDS, True), rest


def one_value(tag_length: int) -> Summary:
    return Summary(value=[Summary.Value(tag="t" * tag_length, simple_value=0.25)])


@pytest.mark.parametrize("step", [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("summary", [Summary(), one_value(0), one_value(300)], ids=["empty", "0", "300"])
def test_summary_event_is_what_was_put_in(step: int, summary: Summary) -> None:
    event = Event.FromString(summary_event(1234.5678, step, summary.SerializeToString()))
    assert event == Event(wall_time=1234.5678, step=step, summary=summary)
    assert event.HasField("summary")


def test_summary_event_at_every_width_of_its_length() -> None:
    """The summary's own length is a varint, which grows at 2**7, 2**14 and 2**21."""
    lengths = set()
    for tag_length in (*range(110, 125), *range(16_365, 16_380), *range(2_097_130, 2_097_145)):
        summary = one_value(tag_length)
        lengths.add(summary.ByteSize())
        assert Event.FromString(summary_event(1.0, 3, summary.SerializeToString())).summary == summary
    assert {2**k + d for k in (7, 14, 21) for d in (-1, 0)} <= lengths


def test_version_event() -> None:
    event = Event.FromString(version_event(12.5))
    assert event == Event(wall_time=12.5, file_version="brain.Event:2")
    assert FILE_VERSION == "brain.Event:2"
