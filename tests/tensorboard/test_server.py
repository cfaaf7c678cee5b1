"""The real TensorBoard, with the Rust data server and without, serves what `gradprof.load` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stock_server import STEPS, StockServer

import gradprof
from gradprof.events import tags
from gradprof.write.stock.pace import SUMMARY_TAGS

RUN = "real"


@pytest.fixture(scope="module")
def run(logdir: Path) -> gradprof.Run:
    return gradprof.load(logdir / RUN)


def tags_of(server: StockServer, plugin: str) -> set[str]:
    return set(server.ask(f"/data/plugin/{plugin}/tags")[RUN])


def points(server: StockServer, plugin: str, tag: str) -> list[Any]:
    return server.ask(f"/data/plugin/{plugin}/{plugin}", run=RUN, tag=tag)


def test_every_site_has_its_tags_and_nothing_else_is_there(server: StockServer, run: gradprof.Run) -> None:
    assert tags_of(server, "scalars") == {
        *tags.site_tags(tags.ABS_MAX, run.sites),
        *tags.site_tags(tags.L2, run.sites),
        *(f"{tags.SUMMARY}/{name}" for name in (*SUMMARY_TAGS, "overhead")),
        "loss",
        "learning_rate",
    }
    assert tags_of(server, "histograms") == set(tags.site_tags(tags.HIST, run.sites))


def test_scalars_agree_with_load_at_every_step(server: StockServer, run: gradprof.Run) -> None:
    for group, field in ((tags.ABS_MAX, "abs_max"), (tags.L2, "l2")):
        table = run.table(field)
        for i in (0, 17, 61, len(run.sites) - 1):
            served = points(server, "scalars", tags.site_tags(group, run.sites)[i])
            assert [step for _, step, _ in served] == list(range(STEPS))
            expected = np.log10(table[:, i])
            np.testing.assert_allclose([value for *_, value in served], expected, rtol=1e-6, atol=1e-6)


def test_the_callers_scalars_stand_on_the_same_steps(server: StockServer, run: gradprof.Run) -> None:
    served = points(server, "scalars", "loss")
    assert [step for _, step, _ in served] == run.steps.tolist()
    np.testing.assert_allclose([value for *_, value in served], run.scalars["loss"].values, rtol=1e-6)


def test_summaries_agree_with_load(server: StockServer, run: gradprof.Run) -> None:
    params = [i for i, label in enumerate(run.sites) if label.startswith("param/")]
    norm = np.sqrt((run.table("l2")[:, params] ** 2).sum(axis=1))
    served = {
        name: [value for *_, value in points(server, "scalars", f"{tags.SUMMARY}/{name}")]
        for name in SUMMARY_TAGS
    }
    np.testing.assert_allclose(served["log10_global_norm"], np.log10(norm), atol=1e-6)
    abs_max = run.table("abs_max")
    np.testing.assert_allclose(served["log10_abs_max"], np.log10(np.nanmax(abs_max, axis=1)), atol=1e-6)
    np.testing.assert_array_equal(served["site_of_abs_max"], np.nanargmax(abs_max, axis=1))
    numel = np.nansum(run.table("numel"), axis=1)
    for name, field in (("share_above_threshold", "n_above"), ("zero_share", "n_zero")):
        np.testing.assert_allclose(served[name], np.nansum(run.table(field), axis=1) / numel, rtol=1e-6)
    np.testing.assert_allclose(served["profiler_seconds"], run.seconds, rtol=1e-6)


def test_histograms_agree_with_load(server: StockServer, run: gradprof.Run) -> None:
    for i in (0, 17, 61, len(run.sites) - 1):
        label = run.sites[i]
        served = points(server, "histograms", tags.site_tags(tags.HIST, run.sites)[i])
        assert [step for _, step, _ in served] == list(range(STEPS))
        hist = run.hist(label)
        low, high = (np.log10(run.table(field)[:, i]) for field in ("abs_min", "abs_max"))
        for step, (_, _, rows) in enumerate(served):
            left, right, count = np.array(rows).T
            assert count.sum() == hist[step].sum()
            occupied = hist[step][hist[step] > 0]
            # The lowest row gathers what is far below the largest magnitude; all others are single bins.
            np.testing.assert_array_equal(
                count[count > 0][1:], occupied[len(occupied) - (count > 0).sum() + 1 :]
            )
            assert (left <= right).all()
            assert left.min() == pytest.approx(low[step], abs=1e-5)
            assert right.max() == pytest.approx(high[step], abs=1e-5)


def test_the_text_tab_says_what_the_run_is(server: StockServer, run: gradprof.Run) -> None:
    assert server.ask("/data/plugin/text/tags")[RUN] == [tags.ABOUT]
    (event,) = server.ask("/data/plugin/text/text", run=RUN, tag=tags.ABOUT)
    for text in (
        "gradients of ResNet",
        "param/layer1.0.conv1.weight",
        "64 × 3 × 7 × 7",
        "output/fc",
        "4 × 4",
    ):
        assert text in event["text"]
