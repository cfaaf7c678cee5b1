"""What else people put on a training to see its gradients, each at every iteration, as its documents say."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradprof.observe.hooks import tensors_in

from .contenders import Watcher
from .twin import Twin


class PlainHook(Watcher):
    """A hook for every module that takes `grad.abs().log10().astype(int)` of what flows into it.

    On the output's tensors rather than by full backward hooks, which fail on in-place operations.
    """

    def __init__(self) -> None:
        self.exponents: dict[str, Any] = {}
        """By module, the last ones seen."""
        self._handles: list[Any] = []

    def attach(self, twin: Twin, directory: Path) -> None:
        self._handles = [
            module.register_forward_hook(partial(self._forward, name))
            for name, module in twin.model.named_modules()
            if next(module.children(), None) is None
        ]

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _forward(self, name: str, _module: nn.Module, _args: object, output: object) -> None:
        for tensor in tensors_in(output):
            if tensor.requires_grad:
                tensor.register_hook(partial(self._backward, name))

    def _backward(self, name: str, grad: Tensor) -> None:
        exponents = grad.abs().log10().float().cpu().numpy()  # bfloat16 is not numpy's
        with np.errstate(invalid="ignore"):  # of a zero it is -inf
            self.exponents[name] = exponents.astype(int)


class AddHistogram(Watcher):
    """`SummaryWriter.add_histogram` of every parameter's gradient."""

    def attach(self, twin: Twin, directory: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._twin = twin
        self._writer = SummaryWriter(str(directory))

    def after_backward(self) -> None:
        for name, param in self._twin.model.named_parameters():
            if param.grad is not None:
                self._writer.add_histogram(name, param.grad, self._twin.age)

    def detach(self) -> None:
        self._writer.close()


class ForeachNorm(Watcher):
    """`torch._foreach_norm` of all parameters' gradients, brought to the host: the least there is."""

    def __init__(self) -> None:
        self.norms: list[float] = []

    def attach(self, twin: Twin, directory: Path) -> None:
        self._params = [param for param in twin.model.parameters() if param.requires_grad]

    def after_backward(self) -> None:
        grads = [param.grad for param in self._params if param.grad is not None]
        self.norms = torch.stack(torch._foreach_norm(grads)).tolist()


class WandbWatch(Watcher):
    """`wandb.watch` of the gradients, offline: into the temporary directory, and nothing over the network."""

    _ENVIRONMENT: tuple[tuple[str, str], ...] = (
        ("WANDB_MODE", "offline"),
        ("WANDB_SILENT", "true"),
        ("WANDB_ERROR_REPORTING", "false"),
    )

    def attach(self, twin: Twin, directory: Path) -> None:
        wanted = dict(self._ENVIRONMENT)
        wanted.update({f"WANDB_{what}_DIR": str(directory) for what in ("CACHE", "CONFIG", "DATA")})
        self._before = {key: os.environ.get(key) for key in wanted}
        os.environ.update(wanted)
        self._run: Any = None
        try:
            import wandb

            settings = wandb.Settings(
                console="off", disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True
            )
            self._run = wandb.init(
                mode="offline", dir=str(directory), project="gradprof-bench", settings=settings
            )
            self._run.watch(twin.model, log="gradients", log_freq=1)
        except BaseException:
            self.detach()
            raise
        self._model = twin.model

    def after_backward(self) -> None:
        self._run.log({})

    def detach(self) -> None:
        try:
            if self._run is not None:
                self._run.unwatch(self._model)
                self._run.finish()
        finally:
            for key, value in self._before.items():
                if value is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = value


class TorchInstruments(Watcher):
    """torchinstruments, sampling every forward pass instead of one a minute."""

    def attach(self, twin: Twin, directory: Path) -> None:
        import torchinstruments

        self._remove: Callable[[nn.Module], None] = torchinstruments.remove_observer
        self._model = twin.model
        torchinstruments.inject_observer(
            twin.model, sampler=torchinstruments.AlwaysSampler(), output_dir=str(directory)
        )

    def detach(self) -> None:
        self._remove(self._model)


ALTERNATIVES: dict[str, tuple[str, Callable[[], Watcher]]] = {
    "hook": ("plain log10 hook", PlainHook),
    "add_histogram": ("add_histogram", AddHistogram),
    "foreach_norm": ("_foreach_norm", ForeachNorm),
    "wandb": ("wandb.watch", WandbWatch),
    "torchinstruments": ("torchinstruments", TorchInstruments),
}
"""By the name that `--against` takes: what it is called in the table, and what makes it."""
