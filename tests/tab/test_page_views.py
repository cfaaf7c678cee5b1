"""Moving about in the Gradients tab: zoom, groups, filters, order, opened sites and steps, runs compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from page import Page, wait
from page_runs import DEAD, SITES, SPIKE, STEPS, all_rows, record, start, write_long
from serving import Server, serve

import gradprof

pytestmark = [
    pytest.mark.browser,
    # selenium leaves the socket to its driver to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

PARAMS = [site for site in SITES if site.startswith("param/")]
OTHER = [*SITES[:6], "param/extra.weight"]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("views")
    write_long(root / "long")
    write_long(root / "short", 600, OTHER, troubled=False)
    return root


@pytest.fixture(scope="module")
def server(logdir: Path) -> Iterator[Server]:
    with serve(logdir, logdir.parent / "views.log") as running:
        running.wait_for({"long": STEPS, "short": 600})
        yield running


@pytest.fixture(scope="module")
def run(logdir: Path) -> gradprof.Run:
    return gradprof.load(logdir / "long")


def test_wheel_and_drag_zoom_and_move_both_axes(page: Page, server: Server) -> None:
    page.open(server, run="long")
    page.wheel(-400, x=0.25)
    state = page.state()
    start, end = float(state["from"]), float(state["to"])
    assert end - start < 0.6 * STEPS
    assert (STEPS / 4 - start) / (end - start) == pytest.approx(0.25, abs=0.01)  # the pointer's step stays
    page.wheel(-400, y=0.5, shift=True)
    top, bottom = float(page.state()["top"]), float(page.state()["bottom"])
    assert bottom - top < 0.6 * len(PARAMS)
    canvas = page.find(".picture canvas")
    page.chain().move_to_element(canvas).click_and_hold().move_by_offset(-100, -60).release().perform()
    moved = page.state()
    assert float(moved["from"]) - start == pytest.approx(100 / canvas.size["width"] * (end - start), rel=0.1)
    assert float(moved["top"]) > top
    page.chain().double_click(canvas).perform()
    assert not {"from", "to", "top", "bottom"} & set(page.state())


def test_zooming_fetches_single_steps(page: Page, server: Server, run: gradprof.Run) -> None:
    page.open(server, run="long")
    wide = page.hover_cell(SPIKE[1], SPIKE[0], 0, STEPS)
    assert "worst of" in page.text(".tooltip .where")
    assert float(wide["abs_max"]) == 5
    page.open(server, run="long", **{"from": SPIKE[0] - 5, "to": SPIKE[0] + 5})
    page.settled()
    near = page.hover_cell(SPIKE[1], SPIKE[0] + 1, SPIKE[0] - 5, SPIKE[0] + 5)
    expected = run.table("abs_max")[SPIKE[0] + 1, run.sites.index(SPIKE[1])]
    assert float(near["abs_max"]) == pytest.approx(expected, rel=5e-3)
    assert page.text(".tooltip .where") == f"step {run.steps[SPIKE[0] + 1]:,}"


def test_groups_close_and_open(page: Page, server: Server) -> None:
    page.open(server, run="long")
    page.find("[data-group='layer1']").click()
    page.wait(lambda: len(page.shown_sites()) == len(PARAMS) - 3, "layer1 as one row")
    assert page.shown_sites()[:2] == ["layer1/", "param/layer2.0.conv1.weight"]
    figures = page.hover_cell("layer1/", SPIKE[0], 0, STEPS)
    assert float(figures["abs_max"]) == 5
    assert SPIKE[1] in page.text(".tooltip strong")  # the member that is worst
    page.find("[data-group='layer1']").click()
    page.wait(lambda: page.shown_sites() == PARAMS, "all rows again")


def test_filter_takes_text_and_expressions(page: Page, server: Server) -> None:
    page.open(server, run="long")
    box = page.find("#filter")
    box.send_keys("LAYER2.1")
    page.wait(lambda: page.shown_sites() == [site for site in PARAMS if "layer2.1" in site], "two sites")
    box.clear()
    box.send_keys("/conv1|fc/")
    page.wait(lambda: page.shown_sites() == [s for s in PARAMS if "conv1" in s or "fc" in s], "five sites")
    box.clear()
    box.send_keys("/(/")
    page.wait(lambda: box.get_attribute("aria-invalid") == "true", "the complaint")
    assert page.state()["run"] == "long"


def test_worst_first(page: Page, server: Server) -> None:
    page.open(server, run="long", kind="param")
    page.choose("order", "worst")
    page.wait(lambda: page.shown_sites() != PARAMS, "another order")
    assert page.shown_sites()[:2] == ["param/layer2.0.conv2.weight", SPIKE[1]]  # a NaN is worst of all
    page.choose("metric", "zero_share")
    page.wait(lambda: page.shown_sites()[1] == DEAD[1], "the site that was all zero")


def test_an_opened_site(page: Page, server: Server, run: gradprof.Run) -> None:
    page.open(server, run="long", **{"from": 1230, "to": 1240})
    page.find(f"[data-site='{SPIKE[1]}']").click()
    page.wait(lambda: page.all(".site-view[data-settled]"), "the site")
    assert page.text(".trail h2") == SPIKE[1]
    canvas = page.find(".picture canvas")
    inside = canvas.size["width"] - 56
    page.hover((46 + 4.5 / 10 * inside) / canvas.size["width"], 0.5)
    page.wait(lambda: f"step {2 * SPIKE[0]:,}" in page.text(".tooltip .where"), "the step of the spike")
    assert float(page.figures()["abs_max"]) == 5
    pixels = page.pixels()
    white = (pixels[60:-60, 60:-20] == 255).all(axis=2)
    assert 0.05 < white.mean() < 0.95  # there is a picture on the page
    page.press("ARROW_DOWN")
    page.wait(lambda: page.text(".trail h2") == PARAMS[PARAMS.index(SPIKE[1]) + 1], "the next site")
    page.press("s")
    page.wait(lambda: page.all(".step-view[data-settled]"), "the step")
    page.press("ESCAPE")
    page.wait(lambda: page.all(".map-view[data-settled]"), "the map")


def test_an_opened_step_and_a_pinned_one(page: Page, server: Server, run: gradprof.Run) -> None:
    page.open(server, run="long", view="step", at=SPIKE[0])
    page.settled()
    assert page.find(".step-number").get_attribute("value") == str(2 * SPIKE[0])
    page.hover(0.5, (PARAMS.index(SPIKE[1]) + 0.5) / len(PARAMS))
    figures = page.figures()
    assert float(figures["l2"]) == pytest.approx(
        run.table("l2")[SPIKE[0], run.sites.index(SPIKE[1])], rel=5e-3
    )
    alone = page.pixels()
    page.find("[data-action='pin']").click()
    page.press("ARROW_RIGHT")
    page.wait(lambda: f"pinned: step {2 * SPIKE[0]:,}" in page.text(".heading"), "the pinned step")
    assert page.state()["at"] == str(SPIKE[0] + 1)
    page.settled()
    assert (page.pixels() != alone).any()
    number = page.find(".step-number")
    number.clear()
    number.send_keys("100\n")
    page.wait(lambda: page.state()["at"] == "50", "step 100")
    number.clear()
    number.send_keys("101\n")  # there is none
    page.wait(lambda: "101" in page.text(".banner"), "why not")
    page.browser.complaints()  # the browser notes the reply 400


def test_two_runs_side_by_side_on_one_scale(page: Page, server: Server) -> None:
    page.open(server, run="long", kind="all")
    limits = [page.find(f"[data-limit='{end}']").get_attribute("value") for end in ("low", "high")]
    page.choose("other", "short")
    page.wait(lambda: len(page.all(".picture canvas.map")) == 2, "two maps")
    page.settled()
    assert [element.text for element in page.all(".run-name")] == ["long", "short"]
    names = page.js("return [...document.querySelectorAll('.gutter .name')].map(e => e.dataset.site)")
    assert "param/param/extra.weight" not in names
    assert int(page.find("[data-rows]").get_attribute("data-rows") or 0) == len(SITES) + 1
    assert float(page.find("[data-limit='high']").get_attribute("value") or 0) >= float(limits[1] or 0)
    second = page.pixels(1)
    assert (second[:, -20:] == second[0, -1]).all()  # it ends at a fifth of the steps
    page.chain().move_to_element(page.all(".picture canvas")[1]).perform()
    page.wheel(-600, x=0.05)
    page.settled()
    page.hover(0.1, 0.02, nth=1)
    assert page.figures()["abs_max"]


def test_where_one_of_two_runs_has_nothing(page: Page, server: Server) -> None:
    page.open(server, run="long", other="short")
    page.settled()
    rows = page.shown_sites()
    page.hover(0.5, (rows.index(OTHER[-1]) + 0.5) / len(rows))
    page.wait(lambda: "no gradient came" in page.text(".tooltip"), "that there is nothing")
    page.settled()  # time enough to ask the backend for it
    assert not page.all(".tooltip .problem")
    page.open(server, run="long", other="short", view="site", site=PARAMS[0])
    page.settled()
    page.hover(0.5, 0.5)
    page.figures()
    page.hover(0.9, 0.5, nth=1)
    page.chain().click().perform()  # beyond the end of the short run
    page.hover(0.5, 0.5)
    assert page.figures()  # the pointer is still heard


def test_colour_limits_are_taken_and_given_back(page: Page, server: Server) -> None:
    page.open(server, run="long")
    before = page.pixels()
    high = page.find("[data-limit='high']")
    high.clear()
    high.send_keys("1e-3\n")
    page.wait(lambda: page.state().get("high") == "-3", "the limit")
    page.wait(lambda: (page.pixels() != before).any(), "other colours")
    page.find(".legend button").click()
    page.wait(lambda: "high" not in page.state(), "the suggested limits")
    page.wait(lambda: (page.pixels() == before).all(), "the colours from before")


def test_by_keyboard_alone(page: Page, server: Server) -> None:
    page.open(server, run="long")
    page.press("ARROW_DOWN", "ARROW_DOWN")
    page.wait(lambda: page.text(".status").startswith(PARAMS[1]), "the second site in the status line")
    page.press("+", "+")
    assert float(page.state()["to"]) - float(page.state()["from"]) == pytest.approx(STEPS * 0.49, rel=0.01)
    page.press("ARROW_RIGHT", "ENTER")
    page.wait(lambda: page.text(".trail h2") == PARAMS[1], "the site")
    page.press("ESCAPE", "0")
    page.wait(lambda: "from" not in page.state(), "the whole run")
    page.press("?")
    page.wait(lambda: page.all("dialog[open]"), "the keys")
    page.press("ESCAPE", "/")
    assert page.js("return document.activeElement.id") == "filter"


def test_the_address_brings_a_view_back(page: Page, server: Server) -> None:
    view = {"run": "long", "kind": "all", "metric": "l2_change", "filter": "conv1", "from": 100, "to": 200}
    page.open(server, **view, collapsed=json.dumps(["param.layer1"]))
    page.settled()
    assert page.find("#kind").get_attribute("value") == "all"
    assert page.find("#metric").get_attribute("value") == "l2_change"
    assert page.find("#filter").get_attribute("value") == "conv1"
    rows, pixels = page.find("[data-rows]").get_attribute("data-rows"), page.pixels()
    address = page.js("return parent.location.href")
    page.driver.switch_to.default_content()
    page.browser.open(address)
    page.enter()
    page.settled()
    assert page.find("[data-rows]").get_attribute("data-rows") == rows
    np.testing.assert_array_equal(page.pixels(), pixels)


def test_an_address_with_names_that_are_no_fields(page: Page, server: Server) -> None:
    page.open(server, run="long", toString="x", constructor="x", __proto__="x")
    page.settled()
    assert page.shown_sites() == PARAMS


def test_back_and_forward(page: Page, server: Server) -> None:
    page.open(server, run="long")
    page.find(f"[data-site='{PARAMS[3]}']").click()
    page.wait(lambda: page.all(".site-view"), "the site")
    page.js("parent.history.back()")
    page.wait(lambda: page.all(".map-view"), "the map")
    page.js("parent.history.forward()")
    page.wait(lambda: page.text(".trail h2") == PARAMS[3], "the site again")


def test_new_steps_appear_when_tensorboard_reloads(page: Page, tmp_path: Path) -> None:
    rows = all_rows(300, SITES)
    writer = start(tmp_path / "runs" / "live", SITES)
    for ordinal in range(100):
        writer.write(record(ordinal, rows[ordinal]))
    writer.flush()
    with serve(tmp_path / "runs", tmp_path / "live.log", "--reload_interval=1") as server:
        server.wait_for({"live": 100})
        page.open(server)
        assert "100 steps" in page.text(".summary")
        for ordinal in range(100, 300):
            writer.write(record(ordinal, rows[ordinal]))
        writer.close()
        server.wait_for({"live": 300})
        page.driver.switch_to.default_content()
        reload = "button.reload-button, [aria-label*='eload'], app-header-reload button"
        wait(lambda: page.driver.find_elements("css selector", reload), "TensorBoard's reload")
        page.driver.find_elements("css selector", reload)[0].click()
        page.driver.switch_to.frame(page.driver.find_element("css selector", "iframe"))
        page.wait(lambda: "300 steps" in page.text(".summary"), "the new steps")
        page.hover(0.999, 0.05)
        page.wait(lambda: "step 598" in page.text(".tooltip"), "the newest step in the picture")


def test_dark_follows_tensorboard(page: Page, server: Server) -> None:
    page.open(server, run="long")
    light = page.js("return getComputedStyle(document.body).backgroundColor")
    page.js("parent.document.body.classList.add('dark-mode')")
    page.wait(lambda: page.js("return document.documentElement.dataset.theme") == "dark", "the dark theme")
    assert page.js("return getComputedStyle(document.body).backgroundColor") != light
