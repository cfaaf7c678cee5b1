"""A TensorBoard over runs of every kind with each of its loaders, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from page import Page, opened
from recorded import CUT, LONG, STEPS, write_all
from serving import Server, serve

import gradprof


@pytest.fixture(scope="session")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log directory with all these runs, and some that are none."""
    root = tmp_path_factory.mktemp("logs")
    write_all(root)
    return root


@pytest.fixture(scope="session", params=["--load_fast=true", "--load_fast=false"])
def server(logdir: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    log = logdir.parent / f"tensorboard{request.param}.log"
    with serve(logdir, log, request.param) as running:
        cut = gradprof.load(logdir / CUT)
        running.wait_for({**STEPS, CUT: len(cut.steps)})
        yield running


@pytest.fixture(scope="session")
def loaded(logdir: Path) -> gradprof.Run:
    """The long run, as `gradprof.load` reads it."""
    return gradprof.load(logdir / LONG)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with opened(tmp_path_factory.mktemp("downloads")) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The page; whatever a test did, nothing may have been complained of in the console."""
    yield browser
    assert not browser.browser.complaints()
