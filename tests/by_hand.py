"""Gradients collected with hooks of the tests' own, and what must be said of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradprof
from gradprof.observe.targets import tensors_in


class ByHand:
    """Collects copies of the gradients with hooks of its own, independent of gradprof's."""

    def __init__(self, model: nn.Module, kinds: tuple[str, ...]) -> None:
        self.grads: dict[str, list[Tensor]] = defaultdict(list)
        self.model = model
        for name, module in model.named_modules():
            if "output" in kinds:
                module.register_forward_hook(lambda _m, _a, out, n=name: self._hook(f"output/{n}", out))
            if "input" in kinds:
                module.register_forward_pre_hook(
                    lambda _m, args, kwargs, n=name: self._hook(f"input/{n}", (args, kwargs)),
                    with_kwargs=True,
                )

    def _hook(self, label: str, value: Any) -> None:
        for tensor in tensors_in(value):
            if tensor.requires_grad:
                tensor.register_hook(lambda grad: self.grads[label].append(grad.clone()))

    def take(self) -> dict[str, np.ndarray]:
        """All values of the step by site, float64 and flat."""
        for name, param in self.model.named_parameters():
            if param.grad is not None:
                self.grads[f"param/{name}"] = [param.grad.clone()]
        taken = {
            label: torch.cat([grad.reshape(-1) for grad in grads]).double().cpu().numpy()
            for label, grads in self.grads.items()
        }
        self.grads.clear()
        return taken


def assert_stats_match(stats: gradprof.TensorStats, values: np.ndarray) -> None:
    magnitudes = np.abs(values)
    assert stats.numel == values.size
    assert stats.n_zero == np.sum(values == 0)
    assert stats.n_above == np.sum(magnitudes >= 1)
    assert stats.abs_max == magnitudes.max()
    if magnitudes.any():
        assert stats.abs_min == magnitudes[magnitudes > 0].min()
    assert stats.l2 == pytest.approx(np.sqrt(np.sum(values**2)), rel=1e-6)
    assert stats.l1 == pytest.approx(magnitudes.sum(), rel=1e-6)
    assert stats.mean == pytest.approx(values.mean(), abs=1e-6 * max(magnitudes.mean(), 1e-300))
    edges = gradprof.BIN_EDGES.copy()
    edges[0], edges[-1] = 1e-300, np.inf
    np.testing.assert_array_equal(stats.hist, np.histogram(magnitudes, edges)[0])
