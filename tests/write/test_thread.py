"""The writer's thread: steps go through every stage in order, and a failure ends no more than it must."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from gradprof.read.run import load
from gradprof.record.step import StepRecord
from gradprof.write import run_writer as run_writer_module
from gradprof.write.run_writer import RunWriter
from gradprof.write.thread import WriterThread
from runs import header_of, record_of

Did = list[tuple[str, str]]


@dataclass
class Arrived:
    """A step whose numbers are there."""

    record: StepRecord
    n_released: int = 0

    def arrive(self) -> StepRecord:
        self.n_released += 1
        return self.record

    def release(self) -> None:
        self.n_released += 1


@dataclass
class Noting:
    """A stage that notes what is asked of it, and fails where it is told to."""

    name: str
    did: Did
    fails: set[str] = field(default_factory=set)

    def _do(self, what: str) -> None:
        self.did.append((self.name, what))
        if what.split()[0] in self.fails:
            raise ZeroDivisionError(what)

    def take(self, record: StepRecord) -> StepRecord | None:
        self._do(f"take {record.step}")
        return record

    def flush(self) -> None:
        self._do("flush")

    def close(self) -> None:
        self._do("close")

    def abandon(self) -> None:
        self._do("abandon")


class Other(Noting):
    """Another one, with a name of its own."""


class Doubling(Noting):
    """Hands on even steps, with another number."""

    def take(self, record: StepRecord) -> StepRecord | None:
        super().take(record)
        return replace(record, step=2 * record.step) if record.step % 2 == 0 else None


def writer_of(tmp_path: Path) -> RunWriter:
    return RunWriter(tmp_path / "run", header_of(["param/a"]))


def train(thread: WriterThread, n: int = 4) -> list[Arrived]:
    steps = [Arrived(record_of(step, [[step + 1.0]])) for step in range(n)]
    for step in steps:
        thread.submit(step)
    thread.close()
    assert not thread.alive()
    assert all(step.n_released == 1 for step in steps)
    return steps


def steps_of(tmp_path: Path) -> list[int]:
    return load(tmp_path / "run").steps.tolist()


def test_stages_take_in_order_what_the_one_before_hands_on(tmp_path: Path) -> None:
    did: Did = []
    thread = WriterThread(writer_of(tmp_path), [Doubling("first", did), Noting("second", did)])
    train(thread)
    assert did == [
        *[("first", "take 0"), ("second", "take 0"), ("first", "take 1")],
        *[("first", "take 2"), ("second", "take 4"), ("first", "take 3")],
        *[("first", "close"), ("second", "close")],
    ]
    assert steps_of(tmp_path) == [0, 4]
    assert (thread.error, thread.dropped) == (None, [])


@pytest.mark.parametrize("at", ["take", "close"])
def test_a_stage_that_fails_is_dropped_and_the_others_go_on(tmp_path: Path, at: str) -> None:
    did: Did = []
    stages = [Noting("first", did, {at, "abandon"}), Other("second", did)]
    thread = WriterThread(writer_of(tmp_path), stages)
    train(thread)
    assert steps_of(tmp_path) == [0, 1, 2, 3]
    assert [what for name, what in did if name == "second"] == [*[f"take {i}" for i in range(4)], "close"]
    failed = [what for name, what in did if name == "first"]
    assert failed[-1] == "abandon"
    assert len(failed) == (2 if at == "take" else 6)
    assert thread.error is None
    ((name, error),) = thread.dropped
    assert name == "Noting"
    assert isinstance(error, ZeroDivisionError)


def test_stages_are_flushed_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_writer_module, "FLUSH_SECONDS", 0.0)
    did: Did = []
    stages = [Noting("first", did, {"flush"}), Other("second", did)]
    thread = WriterThread(writer_of(tmp_path), stages)
    thread.submit(Arrived(record_of(0, [[1.0]])))
    until = time.monotonic() + 10
    while not load(tmp_path / "run").steps.size and time.monotonic() < until:
        time.sleep(0.01)
    assert did[:5] == [
        *[("first", "take 0"), ("second", "take 0"), ("first", "flush"), ("first", "abandon")],
        ("second", "flush"),
    ]
    thread.close()
    assert [name for name, _ in thread.dropped] == ["Noting"]


def test_when_the_run_cannot_be_written_everything_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: Did = []
    writer = writer_of(tmp_path)
    write = writer.write

    def full(record: StepRecord) -> None:
        if record.step == 2:
            raise OSError("disk full")
        write(record)
        writer.flush()

    monkeypatch.setattr(writer, "write", full)
    thread = WriterThread(writer, [Noting("first", did, {"abandon"})])
    train(thread)
    assert did == [("first", f"take {i}") for i in range(3)] + [("first", "abandon")]
    assert str(thread.error) == "disk full"
    assert thread.dropped == []
    assert steps_of(tmp_path) == [0, 1]


def test_numbers_that_do_not_arrive_end_the_writing(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("device lost")

    thread = WriterThread(writer_of(tmp_path))
    thread.submit(SimpleNamespace(arrive=fail))
    train(thread)
    assert str(thread.error) == "device lost"


def test_a_run_that_is_discarded_leaves_nothing_behind(tmp_path: Path) -> None:
    did: Did = []
    thread = WriterThread(writer_of(tmp_path), [Noting("first", did, {"abandon"})])
    thread.discard()
    assert did == [("first", "abandon")]
    assert not (tmp_path / "run").exists()
