"""The hooks: how gradients reach the observer, and how they leave no trace.

Hooks are objects rather than closures, so that a deep copy or a pickle of a watched model carries
hooks that do nothing, instead of the profiler with its threads and files.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.compiler import is_compiling

from .private import MODULE_HOOKS, PARAMETER_HOOKS

if TYPE_CHECKING:
    from .lifecycle import Steps
    from .observer import Observer


def _inert_hook(*_args: Any, **_kwargs: Any) -> None:
    """What a copy of a hook is."""


def _make_inert_hook() -> Any:
    return _inert_hook


class Hook:
    """A hook that does not outlive a copy."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> Any:
        return _inert_hook

    def __reduce__(self) -> Any:
        return _make_inert_hook, ()


class RootHook(Hook):
    """Forward pre-hook of the whole model: a step has begun."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __call__(self, _module: nn.Module, _args: Any) -> None:
        if torch.is_grad_enabled() and not is_compiling():
            self._steps.begin()


class ModuleHook(Hook):
    """Puts hooks on the tensors of a forward pass, for one site."""

    def __init__(self, observer: Observer, index: int) -> None:
        self._observer = observer
        self._index = index
        self._group = observer.groups[index]
        self._steps = observer.steps
        self._report = partial(observer.gradient, index)

    def _attach(self, value: Any) -> None:
        if not torch.is_grad_enabled():
            return
        observer = self._observer
        start = time.perf_counter()
        try:
            # Nearly always it is one tensor, and looking into nests takes longer than all the rest.
            for tensor in (value,) if isinstance(value, torch.Tensor) else tensors_in(value):
                if tensor.requires_grad:
                    observer.tensor_hooks.add(tensor, self._report)
        except Exception as error:  # a tensor that takes no hook must not break the forward pass
            observer.drop(self._index, error)
            observer.notices.say()
        self._steps.current.spent(time.perf_counter() - start, self._group)


class OutputHook(ModuleHook):
    """Forward hook: observe the gradient w.r.t. every tensor that the module returns.

    A tensor hook sees the value before a later in-place operation; full backward hooks break there.
    """

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        if not is_compiling() and self._group in self._steps.current.due:
            self._attach(output)


class InputHook(ModuleHook):
    """Forward pre-hook: observe the gradient w.r.t. every tensor given to the module, from all its uses."""

    def __call__(self, _module: nn.Module, args: Any, kwargs: Any) -> None:
        if not is_compiling() and self._group in self._steps.current.due:
            self._attach((args, kwargs))


class ParamHook(Hook):
    """Post-accumulate hook of a parameter."""

    def __init__(self, observer: Observer, index: int) -> None:
        self._index = index
        self._group = observer.groups[index]
        self._steps = observer.steps
        self._accumulated = observer.accumulated

    def __call__(self, param: torch.Tensor) -> None:
        if self._group in self._steps.current.due:  # asked here: a call less in every step not observed
            self._accumulated(self._index, param)


def watch_model(model: nn.Module, steps: Steps, undo: ExitStack) -> None:
    """Hook the model as a whole."""
    undo.callback(model.register_forward_pre_hook(RootHook(steps)).remove)


def watch_optimizer(optimizer: torch.optim.Optimizer, steps: Steps, undo: ExitStack) -> None:
    """Have the optimizer end steps.

    Raises:
        ValueError: it takes no hooks.
    """
    try:
        undo.callback(optimizer.register_step_post_hook(lambda *_: steps.end()).remove)
    except AttributeError as error:  # torch's constructor was never called
        raise ValueError(
            f"this {type(optimizer).__name__} cannot say when it steps ({error}): leave optimizer= out, and "
            "call prof.step() after each step"
        ) from error


def watch_param(param: nn.Parameter, observer: Observer, index: int, undo: ExitStack) -> None:
    """Hook a parameter; `undo` leaves it as it was found."""

    def leave_nothing() -> None:
        if PARAMETER_HOOKS.find(param) == {}:  # what torch leaves behind
            param._post_accumulate_grad_hooks = None  # type: ignore[assignment]

    undo.callback(leave_nothing)
    undo.callback(param.register_post_accumulate_grad_hook(ParamHook(observer, index)).remove)


def watch_output(module: nn.Module, observer: Observer, index: int, undo: ExitStack) -> None:
    """Hook what a module returns."""
    undo.callback(module.register_forward_hook(OutputHook(observer, index)).remove)


def watch_input(module: nn.Module, observer: Observer, index: int, undo: ExitStack) -> None:
    """Hook what a module is given."""
    handle = module.register_forward_pre_hook(InputHook(observer, index), with_kwargs=True)
    undo.callback(handle.remove)


def is_watched(model: nn.Module) -> bool:
    """Whether some profiler's hooks are on `model`."""
    return any(isinstance(hook, RootHook) for hook in (MODULE_HOOKS.find(model) or {}).values())


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in a nest of tuples, lists, dicts and dataclasses, each once."""
    seen: set[int] = set()
    for tensor in _walk(value):
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor


def _walk(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _walk(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _walk(getattr(value, field.name, None))
