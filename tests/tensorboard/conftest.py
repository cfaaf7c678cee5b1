"""A recorded run and a real TensorBoard that serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from serving import serve
from stock_server import STEPS, StockServer

import gradprof


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


@pytest.fixture(scope="session", params=["--load_fast=true", "--load_fast=false"])
def server(logdir: Path, request: pytest.FixtureRequest) -> Iterator[StockServer]:
    log = logdir.parent / f"tensorboard{request.param}.log"
    with serve(logdir, log, request.param, server=StockServer) as running:
        running.wait_until_loaded("real", "loss", STEPS - 1)
        yield running
