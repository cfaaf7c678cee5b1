"""`--target module:function`: the caller's own training. The function returns model, data and loss."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gradprof.record.sites import near_names

_EXPECTED = "expected (model, data, loss): a torch.nn.Module, an iterable of batches, and loss(model, batch)"


@dataclass
class Training:
    """One model with what it is trained on."""

    model: nn.Module
    batches: Sequence[Any]
    loss: Callable[[nn.Module, Any], Tensor]
    """Of the model on one batch, a tensor of one element."""


class TargetError(ValueError):
    """The caller's function is not what is expected; its own errors are other ones."""


def target_maker(target: str, device: torch.device, n_batches: int) -> Callable[[], Training]:
    """What calls the function for one training; model and tensors are moved to `device`.

    Raises:
        TargetError: `target` is not of that form, or there is no such module or function.
    """
    function = _find(target)

    def make() -> Training:
        model, data, loss = _parts(target, function())
        batches = list(itertools.islice(data, n_batches))
        if not batches:
            raise TargetError(f"--target {target}: its data gave no batch, {_EXPECTED}")

        def checked_loss(model: nn.Module, batch: Any) -> Tensor:
            value = loss(model, batch)
            if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
                raise TargetError(
                    f"--target {target}: its loss returned {_shown(value)}, expected a tensor of one element "
                    "that requires a gradient: return the loss itself, not .item() or .detach() of it"
                )
            return value

        return Training(model.to(device), [_moved(batch, device) for batch in batches], checked_loss)

    return make


def _find(target: str) -> Callable[[], Any]:
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise TargetError(f"--target is {target!r}: expected module:function, such as my_training:make")
    try:
        with _importable_from_here():
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise TargetError(
            f"--target {target}: there is no module {module_name!r} here or among the installed ones: "
            "run from the directory that holds it, or set PYTHONPATH"
        ) from error
    function = getattr(module, name, None)
    if function is None:
        public = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        hint = f"; {near_names(name, public)}" if public else ""
        raise TargetError(f"--target {target}: {module_name} has no {name!r}{hint}")
    if not callable(function):
        raise TargetError(f"--target {target}: {name} is {_shown(function)}, expected a function")
    return function


@contextmanager
def _importable_from_here() -> Iterator[None]:
    """As for `python -m`, which the installed command lacks."""
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _parts(target: str, returned: Any) -> tuple[nn.Module, Iterator[Any], Callable[..., Any]]:
    if not isinstance(returned, tuple) or len(returned) != 3:
        raise TargetError(f"--target {target} returned {_shown(returned)}, {_EXPECTED}")
    model, data, loss = returned
    if not isinstance(model, nn.Module):
        raise TargetError(f"--target {target}: its model is {_shown(model)}, {_EXPECTED}")
    if isinstance(data, Tensor):
        raise TargetError(
            f"--target {target}: its data is {_shown(data)}, expected batches: [data] is a list of one"
        )
    try:
        batches = iter(data)
    except TypeError:
        raise TargetError(f"--target {target}: its data is {_shown(data)}, {_EXPECTED}") from None
    if not callable(loss):
        raise TargetError(f"--target {target}: its loss is {_shown(loss)}, {_EXPECTED}")
    return model, batches, loss


def _moved(batch: Any, device: torch.device) -> Any:
    """The tensors in tuples, lists and mappings; anything else stays, and may have its own `to`."""
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_moved(item, device) for item in batch))
    if type(batch) in (tuple, list):
        return type(batch)(_moved(item, device) for item in batch)
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: _moved(item, device) for key, item in batch.items()}
    return batch


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} ({', '.join(type(item).__name__ for item in value)})"
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}, requires_grad={value.requires_grad}"
    return f"a {type(value).__name__}"
