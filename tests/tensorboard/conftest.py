"""A recorded run and a real TensorBoard that serves it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision

import gradprof

STEPS = 40


@pytest.fixture(scope="session")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one run, `real`: a resnet18 on random images."""
    root = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gradprof.watch(model, root / "real", optimizer=optimizer) as prof:
        for step in range(STEPS):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.randint(0, 4, (4,)))
            loss.backward()
            optimizer.step()
            prof.log(loss=loss, learning_rate=0.01 * step)
    return root


class Server:
    """A running TensorBoard."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **query: str) -> Any:
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=30) as response:
            return json.load(response)

    def wait_until_loaded(self, run: str, tag: str, step: int) -> None:
        """Until scalar `tag` has `step`: loading goes on in the background."""
        for _ in range(600):
            if tag in self.get("/data/plugin/scalars/tags").get(run, {}):
                served = self.get("/data/plugin/scalars/scalars", run=run, tag=tag)
                if served[-1][1] >= step:
                    return
            time.sleep(0.1)
        raise AssertionError(f"step {step} of {tag!r} in {run!r} was never served")


@contextmanager
def serve(logdir: Path, *flags: str) -> Iterator[Server]:
    """TensorBoard over `logdir`, on a free port of this machine only."""
    log = logdir.parent / f"tensorboard{''.join(flags)}.log"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0", *flags]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            for _ in range(600):
                if found := re.search(r"(http://localhost:\d+)/", log.read_text()):
                    break
                time.sleep(0.1)
            else:
                raise AssertionError(f"TensorBoard did not start:\n{log.read_text()}")
            yield Server(found[1])
        finally:
            process.kill()


@pytest.fixture(scope="session", params=["--load_fast=true", "--load_fast=false"])
def server(logdir: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(logdir, request.param) as running:
        running.wait_until_loaded("real", "loss", STEPS - 1)
        yield running
