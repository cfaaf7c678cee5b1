"""A run comes back as it was written; what is not there, or not a run, is named; all without torch."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gradprof.events import tags
from gradprof.events.block import EncodedHist
from gradprof.events.framing import frame, read_records, summary_event, version_event
from gradprof.events.summary import json_value
from gradprof.read.find import find_event_file, find_runs
from gradprof.read.run import Run, load
from gradprof.record.figures import FIELDS, TensorStats
from gradprof.record.step import StepRecord
from runs import (
    Training,
    Values,
    block_ends,
    event_file,
    events_of,
    foreign_events,
    header_of,
    hist_of,
    python,
    record_of,
    write_gradients,
    write_run,
)

# --- figures by hand -------------------------------------------------------------------------------


def stats_by_hand(values: npt.ArrayLike, threshold: float) -> TensorStats:
    x = np.asarray(values, dtype=np.float64).reshape(-1)
    finite = x[np.isfinite(x)]
    size = np.abs(finite)
    n, scale = size.size, size.max(initial=0) or 1.0
    with np.errstate(under="ignore", over="ignore"):
        l2 = float(scale * np.sqrt(np.square(size / scale).sum()))
        rms = float(scale * np.sqrt(np.square(size / scale).mean())) if n else math.nan
    return TensorStats(
        numel=x.size,
        n_zero=int((x == 0).sum()),
        n_nan=int(np.isnan(x).sum()),
        n_inf=int(np.isinf(x).sum()),
        abs_max=float(size.max()) if n else math.nan,
        abs_min=float(size[size > 0].min()) if size.any() else math.nan,
        mean=math.fsum(finite / n) if n else math.nan,
        abs_mean=math.fsum(size / n) if n else math.nan,
        l1=math.fsum(size),
        l2=l2,
        rms=rms,
        n_above=int((size >= threshold).sum()),
        argmax=-1,
        hist=hist_of(size[size > 0]),
    )


def close(got: float, expected: float) -> bool:
    return math.isclose(got, expected, rel_tol=1e-12) or (math.isnan(got) and math.isnan(expected))


def assert_stats(got: TensorStats, expected: TensorStats) -> None:
    for field in FIELDS:
        assert close(getattr(got, field), getattr(expected, field)), field
    np.testing.assert_array_equal(got.hist, expected.hist)


# --- one run, everything in it ---------------------------------------------------------------------

THRESHOLD = 0.25
LABELS = ["param/conv.weight", "param/rare", "output/block.0<b>", "input/größe"]
STEPS = [*range(0, 300, 2), 301, 302]


def gradient(step: int, site: int) -> Values:
    """Of each site in each step another one: odd sizes, missing, empty, non-finite, huge and tiny."""
    rng = np.random.default_rng([step, site])
    if site == 1:
        return None if step % 10 else rng.standard_normal(3)
    values = np.float32(rng.standard_normal(step % 7 + 1) * 10.0 ** rng.integers(-8, 4))
    if site == 2:
        values[rng.random(values.size) < 0.3] = 0
        if step % 40 == 4:
            values[:1] = [math.nan, math.inf, -math.inf][step // 40 % 3]
    if site == 3:
        match step % 5:
            case 0:
                return []
            case 1:
                return [1e300, -3e300, 0.5]
            case 2:
                return [1e-310, 5e-324]
            case 3:
                return [math.nan]
    return values


GRADIENTS = [[gradient(step, site) for site in range(len(LABELS))] for step in STEPS]


def records() -> Iterator[StepRecord]:
    """The steps of `STEPS` with some that were not observed between them, with and without scalars."""
    observed = dict(zip(STEPS, GRADIENTS, strict=True))
    shapes = {0: {LABELS[0]: [3, 1, 1], LABELS[1]: []}, 2: {LABELS[3]: [1, 3]}}
    for step in range(303):
        scalars = {"loss": 1 / (step + 1)} if step % 3 == 0 else {}
        if step % 100 == 7:
            scalars["Größe/x"] = [math.nan, math.inf, -1e300][step // 100]
        yield record_of(
            step,
            observed.get(step),
            THRESHOLD,
            scalars=scalars,
            seconds=step / 1000,
            wait=step / 4000,
            shapes=shapes.get(step, {}),
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("runs") / "exp1"
    write_run(directory, LABELS, records(), threshold=THRESHOLD, shapes={LABELS[0]: [9, 9]})
    return load(directory)


def test_what_it_is(run: Run) -> None:
    assert run.sites == LABELS
    assert run.threshold == THRESHOLD
    assert run.header["model"] == "Synthetic"
    assert run.header["format_version"] == 3
    assert not run.truncated
    assert repr(run) == f"<gradprof.Run {str(run.path.parent)!r}: 152 steps of 4 sites>"


def test_times(run: Run) -> None:
    steps = np.array(STEPS)
    assert run.steps.dtype == np.int64
    np.testing.assert_array_equal(run.steps, steps)
    np.testing.assert_array_equal(run.wall_times, 1.7e9 + steps)
    np.testing.assert_array_equal(run.seconds, steps / 1000)
    np.testing.assert_array_equal(run.waits, steps / 4000)


@pytest.mark.parametrize("field", FIELDS)
def test_tables_by_hand(run: Run, field: str) -> None:
    table = run.table(field)
    assert table.dtype == np.float64
    assert table.shape == (len(STEPS), len(LABELS))
    n_missing = 0
    for step, gradients, row in zip(STEPS, GRADIENTS, table, strict=True):
        for label, values, got in zip(LABELS, gradients, row, strict=True):
            if values is None:
                n_missing += 1
                assert math.isnan(got)
            else:
                assert close(got, getattr(stats_by_hand(values, THRESHOLD), field)), (step, label)
    assert n_missing == 122


def test_tables_are_those_of_one_pass(run: Run) -> None:
    together = load(run.path).tables(["l2", "numel"])
    assert list(together) == ["l2", "numel"]
    for field, table in together.items():
        np.testing.assert_array_equal(table, run.table(field))


def test_histograms(run: Run) -> None:
    for i, label in enumerate(LABELS):
        hist = run.hist(label)
        assert hist.dtype == np.int64
        assert hist.shape == (len(STEPS), 128)
        for step, gradients, counts in zip(STEPS, GRADIENTS, hist, strict=True):
            size = np.abs(np.asarray([] if gradients[i] is None else gradients[i], dtype=np.float64))
            expected = hist_of(size[np.isfinite(size) & (size > 0)])
            np.testing.assert_array_equal(counts, expected, err_msg=f"{label} at {step}")


@pytest.mark.parametrize("at", [0, 1, 5, 63, 64, 127, 151])
def test_records_by_hand(run: Run, at: int) -> None:
    record = run.record(STEPS[at])
    expected = {
        label: stats_by_hand(values, THRESHOLD)
        for label, values in zip(LABELS, GRADIENTS[at], strict=True)
        if values is not None
    }
    assert record.step == STEPS[at]
    assert list(record) == list(expected)
    assert len(record) == len(expected)
    for label, stats in expected.items():
        assert_stats(record[label], stats)


def test_records_of_what_is_not_there(run: Run) -> None:
    with pytest.raises(KeyError, match="step 1 was not observed; observed steps: 0 to 302"):
        run.record(1)
    with pytest.raises(KeyError, match="no gradient reached 'param/rare' in step 2"):
        run.record(2)["param/rare"]
    with pytest.raises(KeyError, match=r"no site 'param/conv'; near names: param/conv\.weight"):
        run.record(2)["param/conv"]


def test_scalars_come_back_with_every_digit(run: Run) -> None:
    assert set(run.scalars) == {"loss", "Größe/x"}
    loss = run.scalars["loss"]
    np.testing.assert_array_equal(loss.steps, np.arange(0, 303, 3))
    np.testing.assert_array_equal(loss.values, 1 / (np.arange(0, 303, 3) + 1))
    np.testing.assert_array_equal(run.scalars["Größe/x"].steps, [7, 107, 207])
    np.testing.assert_array_equal(run.scalars["Größe/x"].values, [math.nan, math.inf, -1e300])


def test_shapes_as_first_seen(run: Run) -> None:
    assert run.shapes == {LABELS[0]: [3, 1, 1], LABELS[1]: [], LABELS[3]: [1, 3]}


def test_unknown_names(run: Run) -> None:
    with pytest.raises(ValueError, match=r"there is no field 'max': expected one of numel, .*abs_max"):
        run.table("max")
    with pytest.raises(KeyError, match=r"no site 'conv\.weight'; near names: param/conv\.weight"):
        run.hist("conv.weight")


# --- what is not there -----------------------------------------------------------------------------


@pytest.fixture
def two_runs(tmp_path: Path) -> Path:
    for name in ("exp1", "exp2"):
        write_gradients(tmp_path / name, {"param/a": [[1.0]]})
    return tmp_path


def test_a_missing_run_lists_near_names(two_runs: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no run '.*exp'; near names: exp1, exp2"):
        load(two_runs / "exp")


def test_a_missing_run_without_any_beside_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no run '.*nowhere'$"):
        load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"there is no run '.*deeper'$"):
        load(tmp_path / "nowhere" / "deeper")


def test_a_directory_of_runs_says_which(two_runs: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a run but holds 2; choose one: .*exp1, .*exp2"):
        load(two_runs)


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no event file: .* given to gradprof\.watch\(\)"):
        load(tmp_path)


def test_foreign_event_files(tmp_path: Path) -> None:
    foreign_events(tmp_path)
    with pytest.raises(ValueError, match=r"the event files in .* were not written by gradprof"):
        load(tmp_path)
    (foreign,) = tmp_path.iterdir()
    with pytest.raises(ValueError, match="holds no gradprof run"):
        load(foreign)


@pytest.mark.parametrize("content", [b"", b"# just some text, long enough for a header\n", bytes(100)])
def test_a_file_that_is_no_event_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.txt' holds no gradprof run"):
        load(path)


def test_two_runs_in_one_directory(two_runs: Path) -> None:
    """Nothing of gradprof's makes this, but a copy does."""
    second = event_file(two_runs / "exp2")
    second.rename(two_runs / "exp1" / second.name)
    with pytest.raises(ValueError, match=f"holds 2 runs: name one file, such as '{second.name}'"):
        load(two_runs / "exp1")
    assert load(two_runs / "exp1" / second.name).steps.tolist() == [0]


@pytest.mark.parametrize(("version", "writer"), [(1, "0.1.0"), (2, "0.1.0"), (4, "9.1")])
def test_another_format_says_what_to_use(tmp_path: Path, version: int, writer: str) -> None:
    header = header_of(["param/a"]) | {"format_version": version, "gradprof": writer, "sites": "otherwise"}
    path = tmp_path / "events.out.tfevents.1.gradprof"
    event = summary_event(1.0, 0, json_value(tags.HEADER, json.dumps(header)))
    path.write_bytes(frame(version_event(1.0)) + frame(event))
    with pytest.raises(
        ValueError, match=rf"format version {version}; .* reads version 3: .* wrote it \({writer}\)"
    ):
        load(tmp_path)


def test_a_run_by_any_path(two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = event_file(two_runs / "exp1")
    monkeypatch.chdir(two_runs)
    for path in (two_runs / "exp1", str(two_runs / "exp1"), "exp1", "exp1/", f"exp1/{file.name}", file):
        assert load(path).path.samefile(file)
    assert find_event_file(Path("exp1")) == Path("exp1") / file.name


def test_runs_are_found_in_the_order_of_writing(two_runs: Path) -> None:
    write_gradients(two_runs / "deep" / "er" / "exp0", {"param/a": [[1.0]]})
    ages = {"exp1": 50, "exp2": 200, "exp0": 100}
    for name, age in ages.items():
        (directory,) = two_runs.rglob(name)
        os.utime(event_file(directory), (1e9 - age, 1e9 - age))
    foreign_events(two_runs)
    assert [file.parent.name for file in find_runs(two_runs)] == ["exp2", "exp0", "exp1"]
    assert find_runs(two_runs / "nowhere") == []


# --- small runs ------------------------------------------------------------------------------------


def test_a_run_of_no_steps(tmp_path: Path) -> None:
    run = load(write_run(tmp_path, ["param/a", "output/b"], [], shapes={"param/a": [2]}))
    assert run.steps.shape == run.waits.shape == (0,)
    assert run.table("l2").shape == (0, 2)
    assert run.hist("output/b").shape == (0, 128)
    assert run.scalars == {}
    assert run.shapes == {"param/a": [2]}
    assert not run.truncated
    with pytest.raises(KeyError, match="step 0 was not observed; observed steps: none"):
        run.record(0)


def test_a_run_of_scalars_only(tmp_path: Path) -> None:
    steps = [record_of(step, None, scalars={"loss": float(step)}) for step in range(70)]
    run = load(write_run(tmp_path, ["param/a"], steps))
    assert run.steps.size == 0
    assert run.table("l2").shape == (0, 1)
    np.testing.assert_array_equal(run.scalars["loss"].values, np.arange(70))


def test_steps_that_say_nothing_leave_nothing(tmp_path: Path) -> None:
    path = write_run(tmp_path, ["param/a"], [record_of(step, None) for step in range(200)])
    assert load(path).steps.size == 0
    assert block_ends(path) == []


def test_one_step(tmp_path: Path) -> None:
    run = load(write_gradients(tmp_path, {"param/a": [[0.5, -2.0]]}, steps=[41]))
    assert run.steps.tolist() == [41]
    assert run.table("abs_max").tolist() == [[2.0]]
    assert run.record(41)["param/a"].l1 == 2.5


# --- imports ---------------------------------------------------------------------------------------


CHECK = """
import sys
{}
loaded = sorted(name for name in ("torch", "triton", "tensorflow") if name in sys.modules)
sys.exit(f"imported: {{loaded}}" if loaded else 0)
"""


@pytest.mark.parametrize(
    "code",
    [
        "import gradprof",
        "import gradprof; gradprof.load(sys.argv[1]).table('l2'); gradprof.BIN_EDGES; gradprof.TensorStats",
        "import gradprof; run = gradprof.load(sys.argv[1]); run.record(0); run.hist(run.sites[0])",
        "import gradprof.write.run_writer, gradprof.write.about, gradprof.kernels.row",
        "from gradprof.report.command import run; from argparse import Namespace;"
        " run(Namespace(run=sys.argv[1], sort='max', filter=[], json=False, csv=False))",
    ],
    ids=["gradprof", "table", "record", "writing", "report"],
)
def test_no_torch(run: Run, code: str) -> None:
    result = python(CHECK.format(code), str(run.path.parent))
    assert result.returncode == 0, result.stderr


def test_no_torch_can_fail(run: Run, tmp_path: Path) -> None:
    """A torch that is quick to import, because nothing is in it, takes the place of the real one."""
    (tmp_path / "torch.py").touch()
    code = f"""
import contextlib, gradprof
sys.path.insert(0, {str(tmp_path)!r})
gradprof.load(sys.argv[1])
with contextlib.suppress(AttributeError, ImportError):
    gradprof.measure
"""
    result = python(CHECK.format(code), str(run.path.parent))
    assert result.returncode == 1
    assert result.stderr == "imported: ['torch']\n"


# --- histograms and their rows ---------------------------------------------------------------------


def without(path: Path, unwanted: type[tags.OwnTag]) -> None:
    """Take the events of one kind of tag out of a file."""
    kept = [
        data
        for data, event in zip(read_records(path), events_of(path), strict=True)
        if not any(isinstance(tags.parse(value.tag), unwanted) for value in event.summary.value)
    ]
    path.write_bytes(b"".join(map(frame, kept)))


def test_rows_can_be_read_without_their_histograms(tmp_path: Path) -> None:
    path = write_gradients(tmp_path, {"param/a": [[1.0], [2.0]]})
    without(path, tags.HistTag)
    run = load(path)
    assert run.table("abs_max").tolist() == [[1.0], [2.0]]
    with pytest.raises(ValueError, match=r"has no 'gradprof/hist/0000000_0000000000/00of01': its file was"):
        run.hist("param/a")


def test_histograms_without_rows_are_passed_over(tmp_path: Path) -> None:
    """As where a run ends between the two."""
    path = write_gradients(tmp_path, {"param/a": [[1.0], [2.0]]})
    without(path, tags.RowsTag)
    run = load(path)
    assert run.steps.size == 0
    assert run.hist("param/a").shape == (0, 128)


def test_one_site_is_read_from_its_group_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(100)
    rows = training.rows(100)
    write_run(tmp_path, training.labels, (StepRecord(i, 1.7e9, row) for i, row in enumerate(rows)))
    loaded = load(tmp_path)
    decoded = []
    hist = EncodedHist.hist
    monkeypatch.setattr(EncodedHist, "hist", lambda group: decoded.append(group) or hist(group))
    for site in (0, 24, 25, 99):
        decoded.clear()
        np.testing.assert_array_equal(loaded.hist(training.labels[site]), rows["hist"][:, site])
        assert len(decoded) == 2  # blocks, of four groups and of two
