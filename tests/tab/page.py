"""The Gradients tab in a headless Chromium, as a person uses it: by pointer, keyboard and address."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from browser import Browser, chromium
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from serving import Server

_READY = "return !!document.querySelector('[data-settled], .message:not([data-message=loading])')"
_PATIENCE = 20.0
_FIGURES = """
return [...document.querySelectorAll('.tooltip dd[data-figure]')].map(e => [e.dataset.figure, e.innerText]);
"""
_NAMES = """
return [...document.querySelectorAll('.gutter .name')]
    .sort((a, b) => a.dataset.index - b.dataset.index)
    .map(e => e.dataset.site ?? e.dataset.group + '/');
"""
_ALL_NAMED = """
const count = Number(document.querySelector('[data-rows]').dataset.rows);
return document.querySelectorAll('.gutter .name').length === count;
"""
_PIXELS = """
const canvas = document.querySelectorAll(arguments[0])[arguments[1]];
const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
let text = '';
for (let at = 0; at < data.length; at += 4) text += String.fromCharCode(data[at], data[at + 1], data[at + 2]);
return [canvas.width, canvas.height, btoa(text)];
"""


class Page:
    """The tab's frame in TensorBoard. `state` stands for the parameters of its address."""

    def __init__(self, browser: Browser, downloads: Path) -> None:
        self.browser = browser
        self.driver = browser.driver
        self.downloads = downloads
        where = {"behavior": "allow", "downloadPath": str(downloads)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)

    def open(self, server: Server, **state: Any) -> None:
        """Opens the tab from its address, and waits until it shows something."""
        parameters = "".join(
            f"&p.gradprof.{key}={quote(str(value), safe='')}" for key, value in state.items()
        )
        self.driver.switch_to.default_content()
        self.browser.open(f"http://{server.address}/#gradprof{parameters}")
        self.enter()

    def enter(self) -> None:
        """Goes into the tab's frame and waits until it shows something."""
        self.driver.switch_to.default_content()
        wait(lambda: self.driver.find_elements("css selector", "iframe"), "the frame of the tab")
        self.driver.switch_to.frame(self.driver.find_element("css selector", "iframe"))
        self.wait(lambda: self.js(_READY), "a picture or a message")

    def js(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def text(self, selector: str = "body") -> str:
        return str(self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        return wait(condition, what, lambda: self.text()[:1500])

    def state(self) -> dict[str, str]:
        """The parameters of the address now."""
        parts = str(self.js("return parent.location.hash")).split("&")[1:]
        pairs = (self.js("return arguments[0].split('=').map(decodeURIComponent)", part) for part in parts)
        return {key.removeprefix("p.gradprof."): value for key, value in pairs}

    def settled(self) -> None:
        """Waits until the picture of what is in view now is there."""
        before = None
        for _ in range(100):
            now = self.js(
                "return document.querySelector('[data-settled]')?.dataset.settled + parent.location.hash"
            )
            if now == before:
                return
            before = now
            time.sleep(0.25)
        raise AssertionError("the picture never settled")

    # --- the pointer and the keyboard ---------------------------------------------------------

    def hover(self, x: float, y: float, nth: int = 0) -> None:
        """Moves the pointer to a share of a picture's width and height."""
        canvas = self.all(".picture canvas")[nth]
        offset = int((x - 0.5) * canvas.size["width"]), int((y - 0.5) * canvas.size["height"])
        self.chain().move_to_element_with_offset(canvas, *offset).perform()

    def hover_cell(self, site: str, ordinal: float, from_: float, to: float) -> dict[str, str]:
        """Moves the pointer to a site's cell while the steps [from_, to) are shown; its figures by name."""
        rows = self.shown_sites()
        self.hover((ordinal + 0.5 - from_) / (to - from_), (rows.index(site) + 0.5) / len(rows))
        return self.figures()

    def figures(self) -> dict[str, str]:
        """What the tooltip says, by the name of the figure, once the backend has answered."""
        self.wait(lambda: self.all(".tooltip:not([hidden]) dd[data-figure]"), "figures")
        return dict(self.js(_FIGURES))

    def chain(self) -> ActionChains:
        return ActionChains(self.driver, duration=20)

    def press(self, *keys: str) -> None:
        """Presses keys one after the other; names as in selenium's `Keys`."""
        for key in keys:
            self.chain().send_keys(getattr(Keys, key, key)).perform()

    def wheel(self, delta: int, x: float = 0.5, y: float = 0.5, shift: bool = False) -> None:
        """Turns the wheel over a share of the first picture; negative zooms in."""
        turn = """
            const canvas = document.querySelector('.picture canvas'), box = canvas.getBoundingClientRect();
            canvas.dispatchEvent(new WheelEvent('wheel', {deltaY: arguments[0], shiftKey: arguments[3],
                clientX: box.left + arguments[1] * box.width, clientY: box.top + arguments[2] * box.height,
                bubbles: true, cancelable: true}));
        """
        self.js(turn, delta, x, y, shift)

    def choose(self, control: str, value: str) -> None:
        """Chooses in one of the toolbar's lists."""
        self.find(f"#{control} option[value='{value}']").click()

    # --- what is seen -------------------------------------------------------------------------

    def shown_sites(self) -> list[str]:
        """Labels of the rows from the top; every name must have room."""
        self.wait(lambda: self.js(_ALL_NAMED), "a name for every row")
        return list(self.js(_NAMES))

    def pixels(self, nth: int = 0, selector: str = ".picture canvas") -> np.ndarray:
        """The colours of a picture, uint8 `[height, width, 3]`."""
        width, height, data = self.js(_PIXELS, selector, nth)
        return np.frombuffer(base64.b64decode(data), dtype=np.uint8).reshape(height, width, 3)

    def colour(self, css: str) -> np.ndarray:
        """`#rrggbb` as it is in `pixels`."""
        return np.array([int(css[at : at + 2], 16) for at in (1, 3, 5)], dtype=np.uint8)

    def download(self, action: str, suffix: str) -> bytes:
        """Presses a button of the toolbar; the file that comes."""
        for old in self.downloads.glob("*"):
            old.unlink()
        self.find(f"[data-action='{action}']").click()
        self.wait(lambda: list(self.downloads.glob(f"*{suffix}")), f"a file {suffix}")
        return next(self.downloads.glob(f"*{suffix}")).read_bytes()


def wait(condition: Callable[[], Any], what: str, says: Callable[[], str] = lambda: "") -> Any:
    """Waits for a true value, and gives it."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"never saw {what}; the page says: {says()}")


@contextmanager
def opened(downloads: Path) -> Iterator[Page]:
    """A page in a fresh browser; skips the test where there is none."""
    with chromium(width=1280, height=800) as browser:
        yield Page(browser, downloads)
