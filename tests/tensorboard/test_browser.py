"""A real browser on a real TensorBoard shows the gradients of a real network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, chromium
from stock_server import STEPS, StockServer

import gradprof
from gradprof.events import tags

pytestmark = [
    pytest.mark.browser,
    # selenium leaves the socket to its driver to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def run(logdir: Path) -> gradprof.Run:
    return gradprof.load(logdir / "real")


def test_time_series_shows_the_latest_value_of_a_site(
    browser: Browser, server: StockServer, run: gradprof.Run
) -> None:
    index = run.sites.index("param/fc.weight")
    tag = tags.site_tags(tags.L2, run.sites)[index]
    browser.open(f"{server.url}/?tagFilter={tag}&smoothing=0#timeseries")
    expected = f"{np.log10(run.table('l2')[-1, index]):.4f}".rstrip("0")
    texts = browser.wait_for(lambda texts: expected in texts, f"{expected} of {tag}")
    assert str(STEPS - 1) in texts
    assert "real" in texts
    assert not browser.complaints()


def test_scalars_are_grouped_by_metric_in_model_order(
    browser: Browser, server: StockServer, run: gradprof.Run
) -> None:
    browser.open(f"{server.url}/#timeseries")
    groups = [tags.ABS_MAX, tags.HIST, tags.L2, tags.SUMMARY]

    def is_drawn(texts: list[str]) -> bool:
        return all(group in texts for group in groups) and len(titles(texts, tags.ABS_MAX)) >= 4

    texts = browser.wait_for(is_drawn, "all groups, and the first cards of one")
    counts = [text for text in texts if text == f"{len(run.sites)} cards"]
    assert len(counts) == 3
    shown = titles(texts, tags.ABS_MAX)
    assert shown == tags.site_tags(tags.ABS_MAX, run.sites)[: len(shown)]
    assert not browser.complaints()


def titles(texts: list[str], group: str) -> list[str]:
    """The titles of a group's cards, which TensorBoard cuts in two."""
    return [
        first + second
        for first, second in pairwise(texts)
        if first.startswith(group + "/") and second.startswith("/")
    ]


@pytest.mark.parametrize("page", ["histograms", "distributions"])
def test_histogram_pages_draw_every_site(
    page: str, browser: Browser, server: StockServer, run: gradprof.Run
) -> None:
    browser.open(f"{server.url}/#{page}")
    first = tags.site_tags(tags.HIST, run.sites)[0]
    texts = browser.wait_for(lambda texts: first in texts, first)
    assert str(len(run.sites)) in texts
    drawn = """
        const count = (root) => [...root.querySelectorAll('*')].reduce(
            (n, e) => n + (e.tagName === 'path' && (e.getAttribute('d') || '').length > 60 ? 1 : 0)
                + (e.shadowRoot ? count(e.shadowRoot) : 0), 0);
        return count(document);
    """
    browser.wait_for(lambda _: browser.driver.execute_script(drawn) >= 10, "drawn curves")
    assert not browser.complaints()


def test_the_text_page_names_the_model_and_its_sites(browser: Browser, server: StockServer) -> None:
    browser.open(f"{server.url}/#text")
    texts = browser.wait_for(lambda texts: "param/fc.weight" in texts, "the table of sites")
    assert "gradprof: gradients of ResNet" in texts
    assert "4 × 512" in texts
    assert not browser.complaints()
