"""Steps of a training without the training: rows as a reduction of random gradients gives them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from gradprof.events.header import make_header
from gradprof.kernels.row import ROW_DTYPE
from gradprof.kernels.torch.reducer import TorchReducer, empty_table
from gradprof.record.sites import Site


def synthetic_steps(n_sites: int, n_steps: int, seed: int = 0) -> list[np.ndarray]:
    """Structured arrays `[sites]` of distinct steps.

    Gradients of 64 to 64 Ki elements, spread log-normally within a site and between sites, a third of
    them behind a ReLU, hence half zeros. Nothing repeats from step to step, as in a training.
    """
    generator = torch.Generator().manual_seed(seed)
    log10_scales = torch.randn(n_sites, generator=generator) - 4
    reducer = TorchReducer()
    steps = []
    with _one_thread():
        for _ in range(n_steps):
            table = empty_table(n_sites, "cpu")
            for i, log10_scale in enumerate(log10_scales.tolist()):
                n = int(2 ** (6 + 10 * i / n_sites))
                spread = torch.randn(n, generator=generator).exp()
                gradient = torch.randn(n, generator=generator) * spread * 10**log10_scale
                reducer.reduce_into(table, i, gradient.relu() if i % 3 == 0 else gradient)
            steps.append(table.numpy().view(ROW_DTYPE)[:, 0].copy())
    return steps


def synthetic_header(n_sites: int) -> dict[str, Any]:
    """The header of a run of such steps: half parameters, half outputs, names as long as a resnet's."""
    modules = [f"layer{i // 20}.{i // 2 % 10}.conv1" for i in range(n_sites)]
    sites = [
        Site("output", module) if i % 2 else Site("param", f"{module}.weight")
        for i, module in enumerate(modules)
    ]
    return make_header(sites, shapes={}, devices=["cpu"], model="Synthetic", options={"threshold": 1.0})


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small tensors are done sooner by one thread than shared out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
