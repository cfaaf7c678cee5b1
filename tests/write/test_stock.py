"""What stock TensorBoard is given: thinned without losing a spike, and the values by hand."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.util import tensor_util

from gradprof.events import tags
from gradprof.kernels.bins import BIN_EDGES, N_BINS, bin_of
from gradprof.kernels.row import empty_rows
from gradprof.record.observed import ObservedBuffer
from gradprof.write.stock import pace as stock
from gradprof.write.stock.histograms import stock_histograms
from gradprof.write.stock.pace import HIST_PACE, SCALAR_PACE, SUMMARY_TAGS, Pace, StockSeries, thinned
from gradprof.write.stock.scalars import global_norm
from runs import Training, Values, observed_of, rows_of

FLOAT32_MAX = float(np.finfo(np.float32).max)


class Points:
    """What a dashboard would show: by tag, the step and value of every point."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.series = StockSeries(labels)
        self.points: dict[str, list[tuple[int, npt.NDArray[np.float32]]]] = defaultdict(list)
        self.described: list[str] = []
        self._step = -1

    def add(self, rows: np.ndarray, seconds: float = 0.0, wait: float = 0.0) -> Summary:
        self._step += 1
        (summary,) = self.series.extend(observed_of(rows[None], seconds=seconds, wait=wait))
        return self._take(summary)

    def rest(self) -> Summary:
        return self._take(self.series.rest())

    def _take(self, serialized: bytes) -> Summary:
        summary = Summary.FromString(serialized)
        for value in summary.value:
            if value.HasField("metadata"):
                self.described.append(value.tag)
            is_scalar = value.WhichOneof("value") == "simple_value"
            shown = value.simple_value if is_scalar else tensor_util.make_ndarray(value.tensor)
            self.points[value.tag].append((self._step, np.float32(shown)))
        return summary

    def steps(self, tag: str) -> list[int]:
        return [step for step, _ in self.points[tag]]

    def values(self, tag: str) -> npt.NDArray[np.float32]:
        return np.array([value for _, value in self.points[tag]])

    def summary(self, tag: str) -> list[float]:
        return [float(value) for value in self.values(f"grad_summary/{tag}")]


def run_of(gradients: Iterable[Sequence[Values]], labels: Sequence[str], threshold: float = 1.0) -> Points:
    points = Points(labels)
    for step in gradients:
        points.add(rows_of(step, threshold))
    return points


# --- which steps get a point -----------------------------------------------------------------------


def paced(pace: tuple[int, int], n_steps: int) -> npt.NDArray[np.int64]:
    ticks = Pace(*pace)
    return np.flatnonzero([ticks.tick() for _ in range(n_steps)])


def test_points_stay_within_the_reservoirs() -> None:
    """TensorBoard keeps 1000 scalars; one more point may come when the run is closed."""
    points = paced(SCALAR_PACE, 100_000)
    assert len(points) + 1 <= 1000
    assert (points < 10_000).sum() + 1 <= 790
    assert (paced(HIST_PACE, 10_000) < 10_000).sum() <= 156


def test_many_sites_have_fewer_points() -> None:
    assert thinned(SCALAR_PACE, 0, 0.2) == thinned(SCALAR_PACE, 50, 0.2) == SCALAR_PACE
    assert thinned(SCALAR_PACE, 100, 0.2) == (256, 46)
    assert thinned(SCALAR_PACE, 10_000, 0.2) == (102, 18)
    assert len(paced(thinned(SCALAR_PACE, 1000, 0.2), 10_000)) < 200
    assert thinned((1, 1), 10_000, 0.2) == (1, 1)


@pytest.mark.parametrize("pace", [SCALAR_PACE, HIST_PACE])
def test_every_step_has_a_point_while_a_run_is_short(pace: tuple[int, int]) -> None:
    full = pace[0]
    assert paced(pace, full).tolist() == list(range(full))


@pytest.mark.parametrize("pace", [SCALAR_PACE, HIST_PACE])
def test_the_distance_grows_in_proportion_to_the_steps_behind(pace: tuple[int, int]) -> None:
    full, resolution = pace
    points = paced(pace, 50_000)
    distance = np.diff(points)
    assert (np.diff(distance) >= 0).all()
    later = points[:-1] >= full
    assert (distance[later] == np.ceil(points[:-1][later] / resolution)).all()
    between = ((points >= 20_000) & (points < 40_000)).sum()
    assert between == pytest.approx(math.log(2) * resolution, abs=1)


# --- nothing is lost to thinning -------------------------------------------------------------------

N_STEPS, PERIOD = 3000, 40  # scalar points come at most 33 steps apart


@pytest.fixture(scope="module")
def spikes() -> Points:
    """Site i has a spike of 1000 in every step s with s % 40 == i, and 0.001 in all others.

    In step s every site has s % 97 + 1 values.
    """
    calm, spike = rows_of([[0.001]])[0], rows_of([[1000.0]])[0]
    points = Points([f"param/{i}" for i in range(PERIOD)])
    for step in range(N_STEPS):
        rows = np.full(PERIOD, calm)
        rows[step % PERIOD] = spike
        n = step % 97 + 1
        rows["numel"] = n
        rows["hist"] *= n
        points.add(rows)
    points.rest()
    return points


def windows(steps: Sequence[int]) -> list[range]:
    """The steps that each point covers: those since the one before."""
    return [range(before + 1, at + 1) for before, at in zip([-1, *steps], steps, strict=False)]


@pytest.mark.parametrize("group", [tags.ABS_MAX, tags.L2])
def test_a_spike_at_any_step_is_in_the_point_that_covers_it(spikes: Points, group: str) -> None:
    for i, tag in enumerate(tags.site_tags(group, [f"param/{i}" for i in range(PERIOD)])):
        steps = spikes.steps(tag)
        assert steps[-1] == N_STEPS - 1
        assert len(steps) < 720
        has_spike = [any(step % PERIOD == i for step in window) for window in windows(steps)]
        np.testing.assert_allclose(spikes.values(tag), np.where(has_spike, 3, -3), rtol=1e-6)


def test_counts_of_the_merged_histograms_are_those_of_the_steps_they_cover(spikes: Points) -> None:
    for i in (0, 7, PERIOD - 1):
        tag = tags.site_tags(tags.HIST, [f"param/{i}" for i in range(PERIOD)])[i]
        steps = spikes.steps(tag)
        assert steps[-1] == N_STEPS - 1
        assert len(steps) < 145
        for hist, window in zip(spikes.values(tag), windows(steps), strict=True):
            n_spikes = sum(step % 97 + 1 for step in window if step % PERIOD == i)
            n_calm = sum(step % 97 + 1 for step in window if step % PERIOD != i)
            assert hist[:, 2].sum() == n_spikes + n_calm
            assert hist[hist[:, 1] > 2.9, 2].sum() == n_spikes


def test_each_tag_has_at_most_one_point_a_step(spikes: Points) -> None:
    """TensorBoard drops earlier points when a step comes again or goes back."""
    assert len(spikes.points) == 3 * PERIOD + len(SUMMARY_TAGS)
    for tag in spikes.points:
        assert (np.diff(spikes.steps(tag)) > 0).all(), tag


def test_rest_is_empty_when_the_last_step_has_its_points() -> None:
    points = run_of([[[1.0]]] * 5, ["param/w"])
    assert not points.rest().value
    assert not Points(["param/w"]).rest().value


def test_rest_covers_the_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "SCALAR_PACE", (1, 1))  # points at 0, 1, 2, 4, 8
    monkeypatch.setattr(stock, "HIST_PACE", (1, 1))
    points = run_of([[[10.0**-step]] for step in range(7)], ["param/w"])
    before = points.steps("grad_log10_abs_max/000_param/w")
    points.rest()
    assert before == [0, 1, 2, 4]
    assert points.steps("grad_log10_abs_max/000_param/w") == [0, 1, 2, 4, 6]
    np.testing.assert_allclose(
        points.values("grad_log10_abs_max/000_param/w"), [0, -1, -2, -3, -5], rtol=1e-6
    )
    hists = points.values("grad_log10_hist/000_param/w")
    assert hists[:, :, 2].sum(axis=1).tolist() == [1, 1, 1, 2, 2]


# --- histograms ------------------------------------------------------------------------------------

magnitudes = st.floats(min_value=-46, max_value=38.5).map(lambda log: float(np.float32(10.0**log)))


def stock_hist(values: Sequence[float], centre: float = 0.0) -> npt.NDArray[np.float32]:
    rows = rows_of([values])
    (hist,) = stock_histograms(rows["hist"], rows["abs_min"], rows["abs_max"], np.array([centre]))
    return hist


def assert_well_formed(hist: npt.NDArray[np.float32], values: Sequence[float]) -> None:
    """Counts are conserved, edges go up without gaps, and reach exactly from abs_min to abs_max."""
    left, right, counts = hist.T
    size = np.abs([value for value in values if value])
    assert counts.sum() == size.size
    assert (left <= right).all()
    assert (left[1:] == right[:-1]).all()
    assert left[0] == left.min() == np.float32(np.log10(size.min()))
    assert right[-1] == right.max() == np.float32(np.log10(size.max()))
    # Each row holds the values between its edges, which are the declared ones of the bins.
    bins, top = bin_of(size), bin_of(size).max()
    first = max(top - 31, 0)
    expected = [(bins <= first).sum(), *((bins == first + k).sum() for k in range(1, 32))]
    assert counts.tolist() == expected
    edges = np.clip(np.log10(BIN_EDGES[first : first + 33]), np.log10(size.min()), np.log10(size.max()))
    edges[[0, -1]] = np.log10([size.min(), size.max()])
    np.testing.assert_array_equal(left[1:], edges[1:-1].astype(np.float32))


@given(st.lists(magnitudes.filter(lambda m: m > 0), min_size=1, max_size=50))
def test_histogram_of_any_values(values: list[float]) -> None:
    assert_well_formed(stock_hist([*values, 0.0, math.nan, math.inf]), values)


@pytest.mark.parametrize(
    "values",
    [
        [1.0],
        [-1.0, 1.0],
        [1e-3] * 7,
        [1e-24, 1e8],
        [2e8, 1e12, FLOAT32_MAX],
        [1e-45, 1e-30, 9e-25],
        [1e-45, FLOAT32_MAX],
        [1e-300, 1e300],
        [0.99, 1.0, 1.01],
        list(np.sqrt(BIN_EDGES[:-1] * BIN_EDGES[1:])),
        list(10 ** np.linspace(-30, 12, 3000)),
    ],
    ids=[
        *("one value", "two equal", "one bin", "the outermost edges", "above 1e8", "below 1e-24"),
        *("the whole of float32", "float64", "around 1", "all 128 bins", "beyond all bins"),
    ],
)
def test_histogram_of_adversarial_values(values: list[float]) -> None:
    with np.errstate(over="ignore", under="ignore"):
        rounded = [v if abs(math.log10(abs(v))) > 46 else float(np.float32(v)) for v in values]
    assert_well_formed(stock_hist(rounded), rounded)


def test_all_128_bins_go_into_32_rows() -> None:
    hist = stock_hist(list(np.sqrt(BIN_EDGES[:-1] * BIN_EDGES[1:])))
    assert hist[:, 2].tolist() == [N_BINS - 31, *[1] * 31]


def test_histogram_of_nothing_is_empty_and_has_no_width() -> None:
    for values in ([], [0.0, 0.0], [math.nan]):
        hist = stock_hist(values, centre=-2.5)
        assert (hist[:, 2] == 0).all()
        assert (hist[:, :2] == -2.5).all()


def test_sites_do_not_mix() -> None:
    values = [[1.0, 2.0], [0.0], [1e-30, 1e-28], list(10 ** np.linspace(-20, 5, 500))]
    rows = rows_of([np.float32(v) for v in values])
    hists = stock_histograms(rows["hist"], rows["abs_min"], rows["abs_max"], np.zeros(4))
    for hist, of_site in zip(hists, values, strict=True):
        np.testing.assert_array_equal(hist, stock_hist([float(np.float32(v)) for v in of_site]))


def test_an_empty_histogram_stays_where_the_last_one_ended() -> None:
    points = run_of([[[0.0]], [[0.02, 3.0]], [[0.0]], [[math.nan]]], ["param/w"])
    empty_first, _, *empty_later = points.values("grad_log10_hist/000_param/w")
    assert (empty_first[:, :2] == 0).all()
    last_bin = bin_of(np.array([3.0]))[0]
    centre = np.log10(BIN_EDGES[last_bin : last_bin + 2]).mean()
    for hist in empty_later:
        np.testing.assert_array_equal(hist[:, :2], np.float32(centre))
        assert (hist[:, 2] == 0).all()


# --- values of the scalars -------------------------------------------------------------------------

LABELS = ["param/a", "output/b", "param/c"]


def test_summary_by_hand() -> None:
    points = Points(LABELS)
    points.add(rows_of([[3.0, 0.0], [0.5, 0.0], [-4.0]]), seconds=0.25, wait=0.125)
    points.add(rows_of([[0.01], [-20.0, 0.1], [math.nan, 0.0]]), seconds=0.5)
    assert points.steps("grad_summary/zero_share") == [0, 1]
    expected = {
        "log10_global_norm": [math.log10(5), -2],
        "log10_abs_max": [math.log10(4), math.log10(20)],
        "site_of_abs_max": [2, 1],
        "share_above_threshold": [2 / 5, 1 / 5],
        "zero_share": [2 / 5, 1 / 5],
        "non_finite": [0, 1],
        "profiler_seconds": [0.25, 0.5],
        "writer_wait_seconds": [0.125, 0],
    }
    assert set(expected) == set(SUMMARY_TAGS)
    for tag, values in expected.items():
        assert points.summary(tag) == pytest.approx(values, rel=1e-6), tag


def test_a_thinned_summary_has_the_largest_values_and_the_mean_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stock, "SCALAR_PACE", (1, 1))  # points at 0, 1, 2, 4, 8: the last covers 5 to 8
    points = Points(LABELS)
    for _ in range(5):
        points.add(rows_of([[100.0], [100.0], [100.0]]), seconds=9, wait=9)
    points.add(rows_of([[6.0, 8.0], [0.0], None]), seconds=1)
    points.add(rows_of([[0.5], [-50.0, 0.0, 0.0, 0.0], [math.inf, math.nan]]), seconds=2, wait=4)
    points.add(rows_of([None, None, None]), seconds=3)
    points.add(rows_of([[math.nan], [0.1], [0.2]]), seconds=6)
    assert points.steps("grad_summary/non_finite")[-1] == 8
    last = {tag: points.summary(tag)[-1] for tag in SUMMARY_TAGS}
    assert last == pytest.approx(
        {
            "log10_global_norm": 1.0,
            "log10_abs_max": math.log10(50),
            "site_of_abs_max": 1,
            "share_above_threshold": 2 / 3,
            "zero_share": 3 / 7,
            "non_finite": 2,
            "profiler_seconds": 3,
            "writer_wait_seconds": 1,
        },
        rel=1e-6,
    )
    per_site = [points.values(tag)[-1] for tag in tags.site_tags(tags.L2, LABELS)]
    np.testing.assert_allclose(per_site, np.log10([10, 50, 0.2]), rtol=1e-6)


def test_another_threshold() -> None:
    points = run_of([[[0.1, 0.01, 0.001], [0.01], [1.0]]], LABELS, threshold=0.01)
    assert points.summary("share_above_threshold") == pytest.approx([4 / 5])


def test_nothing_finite_is_nan_not_zero() -> None:
    points = run_of([[[math.nan], [math.inf], [-math.inf]]], LABELS)
    for tag in ("log10_global_norm", "log10_abs_max", "site_of_abs_max"):
        assert math.isnan(points.summary(tag)[0]), tag
    assert points.summary("non_finite") == [3]
    for tag in (*tags.site_tags(tags.ABS_MAX, LABELS), *tags.site_tags(tags.L2, LABELS)):
        assert np.isnan(points.values(tag)).all()


def test_all_zero_is_a_point_without_a_logarithm() -> None:
    points = run_of([[[0.0], [0.0], [0.0, -0.0]]], LABELS)
    assert math.isnan(points.summary("log10_abs_max")[0])
    assert points.summary("site_of_abs_max") == [0]
    assert points.summary("zero_share") == [1]
    assert np.isnan(points.values("grad_log10_abs_max/000_param/a")).all()


def test_a_site_missing_in_a_step_has_no_value() -> None:
    points = run_of([[[1.0], None, None], [None, [2.0], None], [[3.0], None, None]], LABELS)
    for group in (tags.ABS_MAX, tags.L2, tags.HIST):
        steps = [points.steps(tag) for tag in tags.site_tags(group, LABELS)]
        assert steps == [[0, 2], [1], []], group
    assert points.steps("grad_summary/zero_share") == [0, 1, 2]


def test_a_step_without_any_gradient() -> None:
    points = Points(LABELS)
    points.add(empty_rows(3), seconds=0.5)
    assert set(points.points) == {f"grad_summary/{tag}" for tag in SUMMARY_TAGS}
    assert points.summary("non_finite") == [0]
    assert points.summary("profiler_seconds") == [0.5]
    assert math.isnan(points.summary("log10_abs_max")[0])
    assert math.isnan(points.summary("zero_share")[0])


def test_metadata_comes_with_the_first_histogram_of_a_site_only() -> None:
    points = run_of([[[1.0], None, None], [[1.0], [2.0], None], [[3.0], [1.0], None]], LABELS)
    assert points.described == tags.site_tags(tags.HIST, LABELS)[:2]


def test_inf_is_never_written() -> None:
    """The norm of float64 gradients near their limit overflows; warnings are errors here."""
    hostile = [[1.7e308] * 9, [math.inf, math.nan], [1e308, -1e308]]
    points = run_of([hostile, [[0.0], [1e300], []], [[5e-324], None, [math.inf]]], LABELS)
    assert math.isnan(points.values("grad_log10_l2/000_param/a")[0])
    assert points.values("grad_log10_abs_max/000_param/a")[0] == pytest.approx(math.log10(1.7e308))
    for tag in points.points:
        assert not np.isinf(points.values(tag)).any(), tag


@pytest.mark.parametrize(
    ("gradients", "expected"),
    [
        ([[3.0], [4.0]], 5.0),
        ([[3e200], [4e200]], 5e200),
        ([[3e-200], [-4e-200]], 5e-200),
        ([[1e-300], [1.0]], 1.0),
        ([[math.nan], [2.0]], 2.0),
        ([[0.0], [0.0]], 0.0),
        ([None, [1.0]], 1.0),
        ([[1.7e308]] * 4, math.inf),
        ([[math.nan], [math.inf], [], None], math.nan),
        ([], math.nan),
    ],
)
def test_global_norm(gradients: list[Values], expected: float) -> None:
    rows = rows_of([*gradients, [1e9]])[None]
    of = np.array([*(True for _ in gradients), False])
    assert global_norm(rows, of) == pytest.approx([expected], rel=1e-14, nan_ok=True)


def test_real_rows() -> None:
    """Every tag of every site in every step, each value the row's own."""
    training = Training(6)
    rows, points = training.rows(20), Points(training.labels)
    for step in rows:
        points.add(step)
    for i, tag in enumerate(tags.site_tags(tags.ABS_MAX, training.labels)):
        np.testing.assert_allclose(points.values(tag), np.log10(rows["abs_max"][:, i]), rtol=1e-6)
    for i, tag in enumerate(tags.site_tags(tags.L2, training.labels)):
        np.testing.assert_allclose(points.values(tag), np.log10(rows["sq"][:, i]) / 2, rtol=1e-6)
    for i, tag in enumerate(tags.site_tags(tags.HIST, training.labels)):
        np.testing.assert_array_equal(points.values(tag)[:, :, 2].sum(axis=1), rows["hist"][:, i].sum(axis=1))


# --- many steps at once ----------------------------------------------------------------------------


@pytest.mark.parametrize("pace", [(1, 1), (3, 2), (100, 12)])
def test_steps_at_once_give_what_one_by_one_gives(
    monkeypatch: pytest.MonkeyPatch, pace: tuple[int, int]
) -> None:
    monkeypatch.setattr(stock, "SCALAR_PACE", pace)
    monkeypatch.setattr(stock, "HIST_PACE", pace)
    training = Training(5)
    rows = training.rows(90)
    rows[rows["n_obs"].cumsum(axis=0) % 7 == 0] = empty_rows(1)
    rows[40] = empty_rows(5)
    one_by_one, at_once = StockSeries(training.labels), StockSeries(training.labels)
    buffer = ObservedBuffer(60, 5)  # used again and again, as by a writer
    expected = []
    for row in rows:
        expected += one_by_one.extend(observed_of(row[None], buffer=buffer))
    got = []
    for piece in (rows[:1], rows[1:1], rows[1:60], rows[60:]):
        got += at_once.extend(observed_of(piece, buffer=buffer))
    assert got == expected
    assert at_once.rest() == one_by_one.rest()
