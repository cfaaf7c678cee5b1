"""What is missing, damaged or hostile is found by the one reader, in a file and behind TensorBoard alike."""

from __future__ import annotations

import json
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from providers import FileProvider

from gradprof.events import tags
from gradprof.events.block import FIELDS_DTYPE, ROWS_MAGIC, Block, encode_hist, encode_rows
from gradprof.events.framing import frame, masked_crc32c, summary_event
from gradprof.events.pooled import encode_pooled, encode_pooled_hist
from gradprof.events.streams import StreamWriter, pack
from gradprof.events.summary import bytes_value
from gradprof.kernels.row import empty_rows
from gradprof.read.columns import Distribution, Metrics, base_columns
from gradprof.read.opening import open_recording
from gradprof.read.recording import Recording
from gradprof.read.run import load
from gradprof.read.source import FileSource, UnreadableRun
from gradprof.record.columns import PLACE_RULES, Columns
from gradprof.record.figures import distribution
from gradprof.record.metrics import METRIC_RULES, METRICS
from gradprof.tab.provider import Asker, ProviderSource, Store
from runs import many, rewrite, write_run

Open = Callable[[Path], Recording]
ROWS = [str(tags.RowsTag(i, 64 * i)) for i in range(10)]
POOLED, POOLED_HIST = str(tags.PooledTag(8, 0)), str(tags.PooledHistTag(64, 0, 0, 1))
HIST = str(tags.HistTag(9, 576, 0, 1))


def from_file(path: Path) -> Recording:
    return open_recording(FileSource(path))


def behind_tensorboard(path: Path) -> Recording:
    return open_recording(ProviderSource(Store(FileProvider(path)), Asker(None, ""), "run"))


@pytest.fixture(params=[from_file, behind_tensorboard], ids=lambda open_: open_.__name__)
def opened(request: pytest.FixtureRequest) -> Open:
    return request.param


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("whole"), ["param/a", "output/b"], many(640))


@pytest.fixture
def path(tmp_path: Path, whole: Path) -> Path:
    """A run of ten blocks, to be damaged."""
    return Path(shutil.copy(whole, tmp_path))


def replace(path: Path, tag: str, data: bytes | None) -> None:
    seen: list[str] = []

    def change(name: str, held: bytes) -> bytes | None:
        seen.append(name)
        return data if name == tag else held

    rewrite(path, change)
    assert tag in seen


def block(n_steps: int, n_sites: int) -> Block:
    times = {name: np.zeros(n_steps) for name in ("wall_times", "seconds", "waits")}
    fields = np.zeros((n_steps, n_sites), dtype=FIELDS_DTYPE)
    return Block(steps=np.arange(n_steps), **times, fields=fields)


def test_a_whole_run(path: Path, opened: Open) -> None:
    rewrite(path, lambda tag, data: data)
    recording = opened(path)
    assert recording.n == 640
    assert recording.row(639)["abs_max"].tolist() == [640, 641]
    columns = base_columns(recording, 64, 0, 640, Metrics(METRICS, [0, 1]))
    assert columns["last_step"].tolist() == list(range(63, 640, 64))
    assert base_columns(recording, 64, 0, 640, Distribution(0))["hist"].sum() == 640


# --- missing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [0, 1, 5, 8])
def test_a_block_that_is_missing_before_others(path: Path, opened: Open, missing: int) -> None:
    replace(path, ROWS[missing], None)
    reason = r"damaged: of its blocks up to gradprof/rows/0000009_0000000576 some are not there"
    with pytest.raises(UnreadableRun, match=reason):
        opened(path)
    with pytest.raises(ValueError, match=reason):
        load(path)


def test_without_its_last_block_a_run_is_shorter(path: Path, opened: Open) -> None:
    replace(path, ROWS[9], None)
    assert opened(path).n == len(load(path).steps) == 576


def test_without_a_header_there_is_no_run(path: Path, opened: Open) -> None:
    replace(path, tags.HEADER, None)
    with pytest.raises(UnreadableRun, match=r"holds no gradprof run, or was cut off .* no header"):
        opened(path)


def test_histograms_that_are_missing_are_missed_when_asked_for(path: Path, opened: Open) -> None:
    replace(path, HIST, None)
    recording = opened(path)
    assert recording.row(575)["hist"].sum() == 2
    with pytest.raises(UnreadableRun, match=rf"has no '{HIST}': its file was cut off or is being written"):
        recording.row(576)


# --- not what it must be ---------------------------------------------------------------------------

DAMAGE: dict[str, tuple[str, bytes, str]] = {
    "bytes": (ROWS[4], ROWS_MAGIC, f"{ROWS[4]}: expected a block that starts"),
    "too few steps": (ROWS[4], encode_rows(block(63, 2)), r"has \(63, 2\) steps and sites, not \(64, 2\)"),
    "other sites": (ROWS[4], encode_rows(block(64, 3)), r"has \(64, 3\) steps and sites, not \(64, 2\)"),
    "scalars": (
        ROWS[4],
        encode_rows(Block(**{**vars(block(64, 2)), "scalars": {"a": [(1, "b")]}})),
        "the header of the block is not one of rows",
    ),
    "infinite steps": (
        ROWS[4],
        encode_rows(Block(**{**vars(block(64, 2)), "scalars": {"a": [(float("inf"), 1.0)]}})),
        "the header of the block is not one of rows: OverflowError",
    ),
    "steps beyond int64": (
        ROWS[4],
        encode_rows(Block(**{**vars(block(64, 2)), "scalars": {"a": [(2**63, 1.0)]}})),
        "the header of the block is not one of rows: OverflowError",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_block_that_is_damaged(path: Path, opened: Open, case: str) -> None:
    tag, data, reason = DAMAGE[case]
    replace(path, tag, data)
    recording = opened(path)
    assert recording.step_at(255) == 255
    with pytest.raises(UnreadableRun, match=f"is damaged: .*{reason}"):
        recording.step_at(256)
    with pytest.raises(UnreadableRun, match=f"is damaged: .*{reason}"):
        load(path).table("l2")


def pooled(n_sites: int, n_columns: int = 64) -> bytes:
    steps = np.arange(n_columns)
    arrays: dict[str, Any] = {"first_step": steps, "last_step": steps}
    arrays["n_rows"] = np.zeros((n_columns, n_sites), dtype=np.int64)
    return encode_pooled(8, Columns(arrays, PLACE_RULES | METRIC_RULES))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pooled(3), r"has \(64, 3\) steps and sites, not \(64, 2\)"),
        (pooled(2, 63), r"has \(63, 2\) steps and sites, not \(64, 2\)"),
        (pooled(2), "no stream 'metric/log10_l2'"),
    ],
)
def test_a_chunk_that_is_damaged(path: Path, opened: Open, data: bytes, reason: str) -> None:
    replace(path, POOLED, data)
    with pytest.raises(UnreadableRun, match=f"is damaged: .*{reason}"):
        base_columns(opened(path), 8, 0, 640, Metrics(["log10_l2"], [0, 1]))


def test_histograms_that_are_damaged(path: Path, opened: Open) -> None:
    replace(path, HIST, encode_hist(np.zeros((64, 3, 128), dtype=np.int64)))
    with pytest.raises(UnreadableRun, match=rf"{HIST} has \(64, 3\) steps and sites"):
        opened(path).row(600)
    rows = empty_rows(27).reshape(9, 3)
    replace(path, POOLED_HIST, encode_pooled_hist(distribution(rows, rows["hist"]), slice(0, 2)))
    with pytest.raises(UnreadableRun, match=rf"{POOLED_HIST} has \(9, 2\) steps and sites"):
        base_columns(opened(path), 64, 0, 640, Distribution(0))


# --- hostile ---------------------------------------------------------------------------------------


def header_with(path: Path, **changes: Any) -> None:
    rewrite(
        path,
        lambda tag, data: (
            json.dumps({**json.loads(data), **changes}).encode() if tag == tags.HEADER else data
        ),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"sites": [{}]},
        {"sites": []},
        {"sites": 3},
        {"sites": [{"label": 1, "kind": "param", "name": "a", "shape": None}]},
        {"sites": [{"label": "param/a", "kind": "param", "name": "a", "shape": ["x"]}]},
        {"options": {"threshold": float("nan")}},
        {"options": {"threshold": "1"}},
        {"options": {"threshold": 1.0, "extra": float("inf")}},
        {"options": {"threshold": 10**400}},
        {"options": None},
        {"bin_edges": [1, 2, 3]},
        {"bin_edges": list(range(129, 0, -1))},
        {"bin_edges": [*range(128), 10**400]},
        {"bin_edges": [[edge, edge + 1] for edge in range(129)]},
        {"kinds": [3]},
        {"model": None},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_a_header_of_no_run(path: Path, opened: Open, changes: dict[str, Any]) -> None:
    header_with(path, **changes)
    with pytest.raises(UnreadableRun, match="is damaged: gradprof/header: its header is not one of a run"):
        opened(path)


@pytest.mark.parametrize("text", ["{", "[]", "3", "[" * 100_000, '{"a":' * 100_000])
def test_a_header_that_is_none(path: Path, opened: Open, text: str) -> None:
    replace(path, tags.HEADER, text.encode())
    with pytest.raises(UnreadableRun, match="is damaged: gradprof/header: "):
        opened(path)


def test_edges_may_be_whole_numbers_of_any_size(path: Path, opened: Open) -> None:
    header_with(path, bin_edges=[*range(128), 2**70])
    assert opened(path).bin_edges.dtype == np.float64


def test_a_header_too_long_to_be_read(path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradprof.events.header._MOST_BYTES", 100)
    with pytest.raises(UnreadableRun, match="bytes: expected at most 100"):
        opened(path)


@lru_cache
def bomb() -> bytes:
    """64 MiB of zeros, deflated."""
    writer = StreamWriter()
    writer.raw(np.zeros(1 << 26, dtype=np.uint8))
    return writer.finish()


def test_few_bytes_do_not_take_much_memory(path: Path, opened: Open) -> None:
    """Streams that inflate a thousandfold, and blocks that say that they have very many steps and sites."""
    streams = {"steps": bomb(), "fields": b""}
    of_many = {"steps": 10**9, "sites": 10**9, "scalars": {}, "shapes": {}}
    hostile = {
        "many steps": pack(ROWS_MAGIC, of_many, streams),
        "a bomb": pack(ROWS_MAGIC, {**of_many, "steps": 64, "sites": 2}, streams),
        "many sites": pack(ROWS_MAGIC, {**of_many, "steps": 64, "sites": 1 << 20}, {"steps": bytes(9)}),
    }
    for data in hostile.values():
        replace(path, ROWS[4], data)
        recording = opened(path)
        tracemalloc.start()
        with pytest.raises(UnreadableRun, match="is damaged"):
            recording.step_at(256)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 << 20


def test_a_gap_that_no_block_could_fill(path: Path, opened: Open) -> None:
    """The tags of blocks say how many steps they have."""
    value = encode_rows(block(1, 2))
    rewrite(path, lambda tag, data: None if tag.startswith(tags.ROWS_PREFIX) and tag != ROWS[0] else data)
    whole = path.read_bytes()
    far = summary_event(1.0, 9, bytes_value(str(tags.RowsTag(1, 10**9)), value))
    path.write_bytes(whole + frame(far))
    with pytest.raises(UnreadableRun, match="one would have 1000000000 steps"):
        opened(path)


def test_a_record_longer_than_the_file_is_not_allocated(path: Path) -> None:
    length = struct.pack("<Q", 1 << 40)
    with path.open("ab") as file:
        file.write(length + struct.pack("<I", masked_crc32c(length)) + bytes(100))
    run = load(path)
    assert run.truncated
    assert len(run.steps) == 640


def test_a_record_that_is_no_event(path: Path) -> None:
    with path.open("ab") as file:
        file.write(frame(b"gradprof/ \xff\xff\xff"))
    with pytest.raises(UnreadableRun, match="is damaged: "):
        load(path)
