"""A headless Chromium that sees TensorBoard as a person does."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

_VISIBLE_TEXT = """
const parts = [];
function visit(node) {
  if (node.nodeType === Node.TEXT_NODE && node.textContent.trim()) parts.push(node.textContent.trim());
  if (node.shadowRoot) visit(node.shadowRoot);
  if (['STYLE', 'SCRIPT', 'TEMPLATE'].includes(node.tagName)) return;
  node.childNodes.forEach(visit);
}
visit(document.body);
return parts;
"""


class Browser:
    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get("about:blank")
        self.driver.get(url)

    def texts(self) -> list[str]:
        """Every piece of text on the page, shadow trees included."""
        found: list[str] = self.driver.execute_script(_VISIBLE_TEXT)
        return found

    def wait_for(self, condition: Callable[[list[str]], bool], what: str) -> list[str]:
        for _ in range(300):
            texts = self.texts()
            if condition(texts):
                return texts
            time.sleep(0.1)
        raise AssertionError(f"never saw {what}; the page says: {' | '.join(self.texts())[:2000]}")

    def complaints(self) -> list[str]:
        """Errors in the console."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@contextmanager
def chromium(width: int = 1280, height: int = 900) -> Iterator[Browser]:
    """A fresh browser; skips the test where none is installed, unless GRADPROF_REQUIRE_BROWSER is set."""
    binary, service = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or service is None:
        reason = "needs chromium and chromedriver: apt-get install chromium chromium-driver"
        if os.environ.get("GRADPROF_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory() as profile:
        options = Options()
        options.binary_location = binary
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(service))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
