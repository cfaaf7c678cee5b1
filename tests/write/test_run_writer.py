"""The file of a run: its blocks, on disk in time, cut off, on a full disk, and its size."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradprof.events import block, tags
from gradprof.events.framing import frame, read_records, summary_event
from gradprof.events.summary import bytes_value
from gradprof.read.run import load
from gradprof.record.step import StepRecord
from gradprof.write import event_file as event_file_module
from gradprof.write import run_writer
from gradprof.write.run_writer import RunWriter
from runs import (
    Training,
    block_ends,
    event_file,
    events_of,
    foreign_events,
    header_of,
    many,
    python,
    record_of,
    write_gradients,
    write_run,
)

# --- blocks ----------------------------------------------------------------------------------------


def test_the_first_event_is_the_version_and_the_second_the_header(tmp_path: Path) -> None:
    first, second, *_ = events_of(write_run(tmp_path, ["param/a", "param/b"], many(1)))
    assert first.file_version == "brain.Event:2"
    assert [value.tag for value in second.summary.value] == [tags.HEADER]


def test_blocks_hold_64_steps(tmp_path: Path) -> None:
    path = write_run(tmp_path, ["param/a", "param/b"], many(200))
    assert block_ends(path) == [63, 127, 191, 199]


def test_blocks_hold_no_more_bytes_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "BLOCK_BYTES", 10 * 2 * 1152 + 1151)
    path = write_run(tmp_path / "ten", ["param/a", "param/b"], many(25))
    assert block_ends(path) == [9, 19, 24]
    monkeypatch.setattr(block, "BLOCK_BYTES", 100)
    path = write_run(tmp_path / "one", ["param/a", "param/b"], many(3))
    assert block_ends(path) == [0, 1, 2]
    np.testing.assert_array_equal(load(path).table("abs_max"), [[1, 2], [2, 3], [3, 4]])


def test_block_tags_are_unique_and_no_point_comes_twice(tmp_path: Path) -> None:
    """Of the values of one tag TensorBoard keeps a sample; of one tag and step the last."""
    steps = [*many(700), record_of(800, None, scalars={"loss": 1.0}), record_of(900, None)]
    path = write_run(tmp_path, ["param/a", "param/b"], steps)
    points = [(value.tag, event.step) for event in events_of(path) for value in event.summary.value]
    assert len(points) == len(set(points))
    assert ("loss", 800) in points
    own = [tag for tag in map(tags.parse, dict(points)) if tag is not None]
    assert len(own) == sum(isinstance(tags.parse(tag), tags.OwnTag) for tag, _ in points)
    blocks = [tag for tag in own if isinstance(tag, tags.RowsTag)]
    assert blocks == [tags.RowsTag(i, 64 * i) for i in range(11)]
    assert [tag for tag in own if isinstance(tag, tags.HistTag)] == [
        tags.HistTag(*tag, 0, 1) for tag in blocks
    ]
    assert [tag for tag in own if isinstance(tag, tags.PooledTag)] == [
        tags.PooledTag(8, 0),
        tags.PooledTag(64, 0),
    ]


def test_the_text_tab_has_the_shapes_that_became_known(tmp_path: Path) -> None:
    record = record_of(0, [[1.0], [2.0]], shapes={"output/b": [4, 3]})
    path = write_run(tmp_path, ["param/a_b", "output/b"], [record], shapes={"param/a_b": []}, model="A|B")
    (text,) = (
        value.tensor.string_val[0].decode()
        for event in events_of(path)
        for value in event.summary.value
        if value.tag == tags.ABOUT
    )
    assert "gradients of A\\|B" in text
    assert "| 0 | param/a\\_b | scalar |" in text
    assert "| 1 | output/b | 4 × 3 |" in text


# --- on disk in time -------------------------------------------------------------------------------


def test_flushing_is_due_5_seconds_after_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    fake = SimpleNamespace(monotonic=lambda: clock.now, time=time.time)
    for module in (run_writer, event_file_module):
        monkeypatch.setattr(module, "time", fake)
    writer = RunWriter(tmp_path, header_of(["param/a"]))
    assert writer.seconds_to_flush() == 5.0
    clock.now += 3
    writer.write(record_of(0, [[1.0]]))
    assert writer.seconds_to_flush() == 2.0
    clock.now += 9
    assert writer.seconds_to_flush() == 0.0
    writer.flush()
    assert writer.seconds_to_flush() == 5.0
    writer.close()


def test_what_is_flushed_survives_a_kill(tmp_path: Path) -> None:
    """The directory is read as it stands at every moment; nothing is ever closed."""
    writer = RunWriter(tmp_path, header_of(["param/a", "param/b"]))
    assert load(tmp_path).steps.tolist() == []
    for record in many(100):
        record.scalars["loss"] = 0.5
        writer.write(record)
        if record.step % 10 == 9:
            writer.flush()
            seen = load(tmp_path)
            assert seen.steps.tolist() == list(range(record.step + 1))
            assert seen.scalars["loss"].steps.tolist() == list(range(record.step + 1))
            assert not seen.truncated
    writer.abandon()
    np.testing.assert_array_equal(load(tmp_path).table("abs_max")[:, 1], np.arange(100) + 2)


def test_a_flush_writes_the_block_that_is_not_full(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, header_of(["param/a", "param/b"]))
    for record in many(100):
        writer.write(record)
        if record.step in (9, 79):
            writer.flush()
            writer.flush()  # has nothing left to write
    writer.close()
    assert block_ends(event_file(tmp_path)) == [9, 73, 79, 99]


def test_buffered_events_go_out_when_there_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file_module, "_BUFFER_BYTES", 1000)
    writer = RunWriter(tmp_path, header_of(["param/a", "param/b"]))
    at_start = event_file(tmp_path).stat().st_size
    for record in many(100):
        writer.write(record)
    assert event_file(tmp_path).stat().st_size > at_start + 20_000
    assert load(tmp_path).steps.tolist() == list(range(64))
    writer.close()
    assert load(tmp_path).steps.tolist() == list(range(100))


# --- cut off ---------------------------------------------------------------------------------------


def record_ends(path: Path) -> list[int]:
    return np.cumsum([len(frame(data)) for data in read_records(path)]).tolist()


def test_a_file_cut_anywhere_loads_up_to_the_last_whole_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block, "BLOCK_STEPS", 8)
    whole = write_run(tmp_path / "whole", ["param/a", "param/b"], many(40))
    data, ends = whole.read_bytes(), record_ends(whole)
    n_read = [len(block_ends_before) for block_ends_before in blocks_before(whole)]
    header_end = ends[1]
    offsets = sorted({*range(0, len(data), 499), *(end + d for end in ends for d in (-1, 0, 1))})
    cut, outcomes = tmp_path / "cut.tfevents.gradprof", set()
    for n in offsets[:-1]:
        cut.write_bytes(data[:n])
        if n < header_end:
            with pytest.raises(ValueError, match="holds no gradprof run, or was cut off before it began"):
                load(cut)
            continue
        run = load(cut)
        n_records = sum(end <= n for end in ends)
        assert run.truncated is (n not in ends), n
        assert run.steps.tolist() == list(range(8 * n_read[n_records])), n
        np.testing.assert_array_equal(run.table("l1")[:, 0], run.steps + 1)
        outcomes.add(len(run.steps))
    assert outcomes == {0, 8, 16, 24, 32, 40}


def blocks_before(path: Path) -> Iterator[list[str]]:
    """The tags of the blocks in the first 0, 1, 2, … records of a file."""
    found: list[str] = []
    yield list(found)
    for event in events_of(path):
        found += [v.tag for v in event.summary.value if v.tag.startswith(tags.ROWS_PREFIX)]
        yield list(found)


def test_a_damaged_byte_ends_the_run_before_it(tmp_path: Path) -> None:
    path = write_run(tmp_path, ["param/a", "param/b"], many(200))
    data = bytearray(path.read_bytes())
    data[data.index(str(tags.RowsTag(1, 64)).encode()) + 200] ^= 1
    path.write_bytes(data)
    run = load(path)
    assert run.truncated
    assert run.steps.tolist() == list(range(64))


def test_a_block_of_another_format_is_named(tmp_path: Path) -> None:
    path = write_run(tmp_path, ["param/a"], many(3, 1))
    value = bytes_value(str(tags.RowsTag(1, 3)), b"GPB9" + bytes(30))
    path.write_bytes(path.read_bytes() + frame(summary_event(1.0, 9, value)))
    with pytest.raises(
        ValueError, match=r"gradprof/rows/0000001_0000000003: expected a block .* got b'GPB9'"
    ):
        load(path)


# --- directories in use ----------------------------------------------------------------------------


def test_a_directory_that_holds_a_run_is_left_alone(tmp_path: Path) -> None:
    path = write_gradients(tmp_path, {"param/a": [[1.0]]})
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"already holds a gradprof run \(.*\); .* Choose another"):
        RunWriter(tmp_path, header_of(["param/a"]))
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [before]


def test_event_files_of_others_may_stand_beside(tmp_path: Path) -> None:
    foreign_events(tmp_path)
    write_gradients(tmp_path, {"param/a": [[1.0]]})
    assert len(list(tmp_path.iterdir())) == 2
    assert load(tmp_path).steps.tolist() == [0]


def test_a_directory_is_made(tmp_path: Path) -> None:
    write_gradients(tmp_path / "a" / "b c" / "ü", {"param/a": [[1.0]]})
    assert load(tmp_path / "a" / "b c" / "ü").steps.tolist() == [0]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(OSError, match="taken"):
        RunWriter(tmp_path / "taken", header_of(["param/a"]))


# --- a full disk -----------------------------------------------------------------------------------


class FullDisk:
    """A raw file on a disk with room for so many bytes; like the real one, it first writes what fits."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: memoryview) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        n: int = self._file.write(data[: self._room])
        self._room -= n
        return n

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


def limit_disk(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Files made from now on have so much room."""
    plain_open = Path.open

    def limited(self: Path, mode: str = "r", *args: Any, **keywords: Any) -> Any:
        file = plain_open(self, mode, *args, **keywords)
        return FullDisk(file, room) if "x" in mode else file

    monkeypatch.setattr(Path, "open", limited)


@pytest.fixture(scope="module")
def whole_size(tmp_path_factory: pytest.TempPathFactory) -> int:
    path = write_run(tmp_path_factory.mktemp("whole"), ["param/a", "param/b"], many(150))
    return path.stat().st_size


@pytest.mark.parametrize("share", [0.07, 0.1, 0.2, 0.33, 0.5, 0.8, 0.9, 0.95, 0.99])
def test_a_full_disk_leaves_what_was_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole_size: int, share: float
) -> None:
    limit_disk(monkeypatch, int(share * whole_size))
    writer = RunWriter(tmp_path, header_of(["param/a", "param/b"]))
    flushed = 0

    def train() -> None:
        nonlocal flushed
        for record in many(150):
            writer.write(record)
            if record.step % 10 == 9:
                writer.flush()
                flushed = record.step + 1
        writer.close()

    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        train()
    writer.abandon()
    run = load(tmp_path)
    assert not run.truncated  # a part of a record was taken back
    assert run.steps.tolist() == list(range(flushed))
    np.testing.assert_array_equal(run.table("abs_max")[:, 1], np.arange(flushed) + 2)


@pytest.mark.parametrize("room", [0, 1, 60, 1000])
def test_no_room_for_even_the_header_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """A later run may use the directory."""
    with monkeypatch.context() as full:
        limit_disk(full, room)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            RunWriter(tmp_path, header_of(["param/a"]))
    assert list(tmp_path.iterdir()) == []
    write_gradients(tmp_path, {"param/a": [[1.0]]})
    assert load(tmp_path).steps.tolist() == [0]


def test_a_real_limit_of_the_file_system(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from runs import header_of, record_of
from gradprof.write.run_writer import RunWriter
writer = RunWriter(Path(sys.argv[1]), header_of(["param/a"]))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    for step in range(1000):
        writer.write(record_of(step, [[step + 1.0]]))
        writer.flush()
except OSError as error:
    writer.abandon()
    print(step)
"""
    result = python(code, str(tmp_path))
    assert result.returncode == 0, result.stderr
    failed_at = int(result.stdout)
    assert 10 < failed_at < 500
    run = load(tmp_path)
    assert not run.truncated
    assert run.steps.tolist() == list(range(failed_at))


# --- sizes -----------------------------------------------------------------------------------------


def test_10000_steps_take_at_most_120_bytes_per_site_and_step(tmp_path: Path) -> None:
    """All in all: blocks, scalars and histograms; flushed every 50 steps, as steps of 0.1 s would be."""
    training = Training(25)
    writer = RunWriter(tmp_path, header_of(training.labels))
    kept = []
    for start in range(0, 10_000, 50):
        rows = training.rows(50)
        kept.append(rows[-1])
        for i in range(50):
            writer.write(StepRecord(start + i, 1.7e9 + 0.1 * (start + i), rows[i], 1e-3 + 1e-6 * i))
        writer.flush()
    writer.close()
    assert event_file(tmp_path).stat().st_size / (10_000 * 25) <= 120
    run = load(tmp_path)
    np.testing.assert_array_equal(run.steps, np.arange(10_000))
    every_50th = np.stack(kept)
    np.testing.assert_array_equal(run.table("abs_max")[49::50], every_50th["abs_max"])
    np.testing.assert_array_equal(run.hist(run.sites[7])[49::50], every_50th["hist"][:, 7])


def test_a_warning_that_is_an_error_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where checksums are slow, the first record warns of it."""

    def warn(*_: object) -> None:
        raise RuntimeWarning("slow")

    monkeypatch.setattr("gradprof.write.event_file.frame", warn)
    with pytest.raises(RuntimeWarning, match="slow"):
        RunWriter(tmp_path / "run", header_of(["param/a"]))
    assert list(tmp_path.iterdir()) == []
