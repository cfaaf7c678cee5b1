"""The hooks: how gradients reach the observer, and how they leave no trace.

Hooks are objects rather than closures, so that a deep copy or a pickle of a watched model carries
hooks that do nothing, instead of the profiler with its threads and files.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.compiler import is_compiling

from .targets import tensors_in

if TYPE_CHECKING:
    from .observer import Observer


def _inert_hook(*_args: Any, **_kwargs: Any) -> None:
    """What a copy of a hook is."""


def _make_inert_hook() -> Any:
    return _inert_hook


class Hook:
    """A hook that reports to one observer and does not outlive a copy."""

    def __init__(self, observer: Observer, index: int = -1) -> None:
        self.observer = observer
        self.index = index
        self._report = partial(observer.gradient, index)

    def __deepcopy__(self, _memo: dict[int, Any]) -> Any:
        return _inert_hook

    def __reduce__(self) -> Any:
        return _make_inert_hook, ()

    def _attach(self, value: Any) -> None:
        observer = self.observer
        if not torch.is_grad_enabled():
            return
        start = time.perf_counter()
        try:
            # Nearly always it is one tensor, and looking into nests takes longer than all the rest.
            for tensor in (value,) if isinstance(value, torch.Tensor) else tensors_in(value):
                if tensor.requires_grad:
                    tensor.register_hook(self._report)
        except Exception as error:  # a tensor that takes no hook must not break the forward pass
            observer.failed(self.index, error)
        observer.seconds["output"] += time.perf_counter() - start


class RootHook(Hook):
    """Forward pre-hook of the whole model: a step has begun."""

    def __call__(self, _module: nn.Module, _args: Any) -> None:
        if torch.is_grad_enabled() and not is_compiling():
            self.observer.begin()


class OutputHook(Hook):
    """Forward hook: observe the gradient w.r.t. every tensor that the module returns.

    A tensor hook sees the value before a later in-place operation; full backward hooks break there.
    """

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        if not is_compiling() and self.observer.observing_outputs:
            self._attach(output)


class InputHook(Hook):
    """Forward pre-hook: observe the gradient w.r.t. every tensor given to the module, from all its uses."""

    def __call__(self, _module: nn.Module, args: Any, kwargs: Any) -> None:
        if not is_compiling() and self.observer.observing_outputs:
            self._attach((args, kwargs))


class ParamHook(Hook):
    """Post-accumulate hook of a parameter."""

    def __call__(self, param: torch.Tensor) -> None:
        observer = self.observer
        if observer.observing_params:  # asked here: a call less in every step that is not observed
            observer.accumulated(self.index, param)


class Handles:
    """Everything that was put onto a model and an optimizer; `remove` takes it off again."""

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self._params: list[torch.Tensor] = []

    def add(self, handle: Any) -> None:
        self._handles.append(handle)

    def watch_param(self, param: torch.Tensor, hook: ParamHook) -> None:
        self._handles.append(param.register_post_accumulate_grad_hook(hook))
        self._params.append(param)

    def watch_module(self, module: nn.Module, hook: OutputHook | InputHook) -> None:
        if isinstance(hook, OutputHook):
            self.add(module.register_forward_hook(hook))
        else:
            self.add(module.register_forward_pre_hook(hook, with_kwargs=True))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        for param in self._params:
            # torch leaves an empty dict of hooks behind, which is not how the parameter was found.
            if getattr(param, "_post_accumulate_grad_hooks", None) == {}:
                param._post_accumulate_grad_hooks = None  # type: ignore[assignment]
        self._handles.clear()
        self._params.clear()


def is_watched(model: nn.Module) -> bool:
    """Whether some profiler's hooks are on `model`."""
    return any(isinstance(hook, RootHook) for hook in model._forward_pre_hooks.values())
