"""TensorBoard's own reader of event files finds in a run what `gradprof.load` finds."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    STORE_EVERYTHING_SIZE_GUIDANCE,
    EventAccumulator,
)
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, DATA_CLASS_TENSOR
from tensorboard.util import tensor_util

from gradprof.events import tags
from gradprof.events.block import EncodedHist, EncodedRows
from gradprof.read.run import Run, load
from gradprof.record.step import StepRecord
from gradprof.write.stock.pace import SUMMARY_TAGS
from runs import Training, record_of, write_run

LABELS = [*Training(4).labels, "param/sometimes", "output/<b>größe|`x`"]
N_STEPS = 130
BLOCKS = [(tags.RowsTag(i, 64 * i), tags.HistTag(i, 64 * i, 0, 1)) for i in range(3)]


def records() -> list[StepRecord]:
    training, made = Training(4).rows(N_STEPS), []
    for step in range(N_STEPS):
        sometimes = [1e-3 * step, 0.0] if step % 3 == 1 else None
        odd = [math.nan, math.inf] if step == 70 else [10.0 ** (step - 65)]
        record = record_of(step, [None] * 4 + [sometimes, odd], seconds=1e-3, scalars={"loss": 2.0**-step})
        record.rows[:4] = training[step]
        made.append(record)
    return made


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "exp1", LABELS, records()).parent


@pytest.fixture(scope="module")
def run(directory: Path) -> Run:
    return load(directory)


@pytest.fixture(scope="module")
def seen(directory: Path) -> EventAccumulator:
    """Everything, without sampling, as the web server reads it: scalars are migrated to tensors."""
    return EventAccumulator(str(directory), STORE_EVERYTHING_SIZE_GUIDANCE).Reload()


def points(seen: EventAccumulator, tag: str) -> tuple[list[int], npt.NDArray[np.generic]]:
    events = seen.Tensors(tag)
    values = [tensor_util.make_ndarray(event.tensor_proto) for event in events]
    return [event.step for event in events], np.array(values)


def document(seen: EventAccumulator, tag: str) -> str:
    (event,) = seen.Tensors(tag)
    assert event.step == 0
    return tensor_util.make_ndarray(event.tensor_proto).item().decode()


def log10(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        logs = np.log10(values)
    return np.where(np.isfinite(logs), logs, np.nan)


def test_tags(seen: EventAccumulator) -> None:
    expected = {tags.HEADER, tags.ABOUT, "loss", *(str(tag) for pair in BLOCKS for tag in pair)}
    expected |= {f"grad_summary/{tag}" for tag in SUMMARY_TAGS}
    for group in (tags.ABS_MAX, tags.L2, tags.HIST):
        expected |= set(tags.site_tags(group, LABELS))
    assert set(seen.Tags()["tensors"]) == expected


@pytest.mark.parametrize(("group", "field"), [(tags.ABS_MAX, "abs_max"), (tags.L2, "l2")])
def test_scalars_of_each_site(seen: EventAccumulator, run: Run, group: str, field: str) -> None:
    table = run.table(field)
    n_seen = ~np.isnan(run.table("numel"))
    for i, tag in enumerate(tags.site_tags(group, LABELS)):
        steps, values = points(seen, tag)
        assert steps == run.steps[n_seen[:, i]].tolist(), tag
        expected = table[n_seen[:, i], i]
        expected = log10(np.where(np.isnan(run.table("abs_max")[n_seen[:, i], i]), np.nan, expected))
        np.testing.assert_allclose(values, expected, rtol=1e-6, err_msg=tag)
        assert seen.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
        assert seen.SummaryMetadata(tag).data_class == DATA_CLASS_SCALAR


def test_summary_scalars(seen: EventAccumulator, run: Run) -> None:
    tables = run.tables(("abs_max", "l2", "numel", "n_zero", "n_above", "n_nan", "n_inf"))
    total = {field: np.nansum(table, axis=1) for field, table in tables.items()}
    is_param = np.array([label.startswith("param/") for label in LABELS])
    expected = {
        "log10_global_norm": np.log10(np.nansum(tables["l2"][:, is_param] ** 2, axis=1)) / 2,
        "log10_abs_max": np.log10(np.nanmax(tables["abs_max"], axis=1)),
        "site_of_abs_max": np.nanargmax(tables["abs_max"], axis=1),
        "share_above_threshold": total["n_above"] / total["numel"],
        "zero_share": total["n_zero"] / total["numel"],
        "non_finite": total["n_nan"] + total["n_inf"],
        "profiler_seconds": run.seconds,
        "writer_wait_seconds": run.waits,
    }
    assert set(expected) == set(SUMMARY_TAGS)
    for tag, values in expected.items():
        steps, shown = points(seen, f"grad_summary/{tag}")
        assert steps == run.steps.tolist()
        np.testing.assert_allclose(shown, values, rtol=2e-6, err_msg=tag)


def test_histograms(seen: EventAccumulator, run: Run) -> None:
    """Every step has one at first, then one in nine; counts are those of the steps since the last."""
    for i, (tag, label) in enumerate(zip(tags.site_tags(tags.HIST, LABELS), LABELS, strict=True)):
        steps, hists = points(seen, tag)
        counts = run.hist(label).sum(axis=1)
        came = np.flatnonzero(~np.isnan(run.table("numel")[:, i]))
        assert steps[:30] == came[:30].tolist()
        assert hists.shape == (len(steps), 32, 3)
        assert seen.SummaryMetadata(tag).plugin_data.plugin_name == "histograms"
        assert seen.SummaryMetadata(tag).data_class == DATA_CLASS_TENSOR
        assert hists[:, :, 2].sum() == counts.sum()
        for step, hist in zip(steps[:30], hists, strict=False):
            assert hist[:, 2].sum() == counts[step]
            if counts[step]:
                assert hist[-1, 1] == pytest.approx(math.log10(run.table("abs_max")[step, i]), rel=1e-6)


def test_the_callers_scalars(seen: EventAccumulator, run: Run) -> None:
    steps, values = points(seen, "loss")
    assert steps == run.scalars["loss"].steps.tolist() == list(range(N_STEPS))
    np.testing.assert_array_equal(values, np.float32(run.scalars["loss"].values))


def test_header_and_text(seen: EventAccumulator, run: Run) -> None:
    assert json.loads(document(seen, tags.HEADER)) == run.header
    assert seen.SummaryMetadata(tags.HEADER).plugin_data.plugin_name == "gradprof"
    assert seen.SummaryMetadata(tags.ABOUT).plugin_data.plugin_name == "text"
    assert "| 5 | output/<b>größe\\|`x`" in document(seen, tags.ABOUT)


def content(seen: EventAccumulator, tag: tags.OwnTag, plugin_name: str) -> bytes:
    (event,) = seen.Tensors(str(tag))  # unique tags: no reservoir can drop one
    metadata = seen.SummaryMetadata(str(tag))
    assert (metadata.plugin_data.plugin_name, metadata.data_class) == (plugin_name, DATA_CLASS_TENSOR)
    data: bytes = tensor_util.make_ndarray(event.tensor_proto).tobytes()
    return data


def test_blocks(seen: EventAccumulator, run: Run) -> None:
    blocks = [EncodedRows(content(seen, tag, "gradprof")) for tag, _ in BLOCKS]
    assert np.concatenate([block.steps for block in blocks]).tolist() == list(range(N_STEPS))
    assert [seen.Tensors(str(tag))[0].step for tag, _ in BLOCKS] == [block.steps[-1] for block in blocks]
    written = np.stack([record.rows for record in records()])
    fields = np.concatenate([block.fields() for block in blocks])
    for name in fields.dtype.names or ():
        assert fields[name].tobytes() == written[name].tobytes(), name
    hists = [EncodedHist(content(seen, tag, "gradprof_hist")).hist() for _, tag in BLOCKS]
    np.testing.assert_array_equal(np.concatenate(hists), written["hist"])
    np.testing.assert_array_equal(fields["numel"], np.nan_to_num(run.table("numel")))


def test_sampling_drops_no_block(directory: Path) -> None:
    seen = EventAccumulator(str(directory), size_guidance={"tensors": 1}).Reload()
    for pair in BLOCKS:
        assert [len(seen.Tensors(str(tag))) for tag in pair] == [1, 1]
    assert len(seen.Tensors("loss")) == 1  # as everything else is sampled


def test_the_reader_that_scripts_use(directory: Path, run: Run) -> None:
    """`event_accumulator.EventAccumulator`, the one that the web is full of, keeps scalars as such."""
    seen = event_accumulator.EventAccumulator(str(directory), size_guidance={"scalars": 0}).Reload()
    (tag,) = (tag for tag in seen.Tags()["scalars"] if tag.startswith("grad_log10_abs_max/000"))
    series = seen.Scalars(tag)
    assert [point.step for point in series] == run.steps.tolist()
    shown = [point.value for point in series]
    np.testing.assert_allclose(shown, np.log10(run.table("abs_max")[:, 0]), rtol=1e-6)


def test_wall_times_go_up(seen: EventAccumulator) -> None:
    times = [event.wall_time for event in seen.Tensors("grad_summary/zero_share")]
    assert times == [1.7e9 + step for step in range(N_STEPS)]
