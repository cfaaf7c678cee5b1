"""Hooks on the tensors of forward passes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch

from .private import TENSOR_HOOKS

_MANY = 1000
"""Hooks are put on before those of tensors that are gone are looked for."""


class TensorHooks:
    """The hooks on tensors of forward passes: a site's on one tensor once, however often a module returns it.

    Such a hook lives as long as its tensor, mostly until the backward pass. A leaf tensor outlives steps, so
    the hook on it goes at the end of the step.
    """

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self._on_leaves: list[tuple[Any, weakref.ref[torch.Tensor]]] = []
        self._enough = _MANY

    def add(self, tensor: torch.Tensor, report: Callable[[torch.Tensor | None], None]) -> None:
        """Have `report` called with the gradient w.r.t. `tensor`."""
        # Those of the tensor as it is now: changed in place, it has none yet. Asked for each tensor of a
        # pass, hence not by `find`.
        hooks = getattr(tensor, TENSOR_HOOKS.path, None)
        if hooks and report in hooks.values():
            return
        handle = tensor.register_hook(report)
        if tensor.is_leaf:
            self._on_leaves.append((handle, weakref.ref(tensor)))
        else:
            self._handles.append(handle)
        if len(self._handles) + len(self._on_leaves) > self._enough:
            self._forget_gone()  # in a step that does not end, as where nobody says so

    def end_step(self) -> None:
        """Take the hooks off leaf tensors, and forget those of tensors that are gone."""
        for handle, leaf in self._on_leaves:
            handle.remove()
            tensor = leaf()
            if tensor is not None and TENSOR_HOOKS.find(tensor) == {}:  # what torch leaves behind
                tensor._backward_hooks = None
        self._on_leaves.clear()
        self._forget_gone()

    def remove(self) -> None:
        """Take all of them off."""
        self.end_step()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _forget_gone(self) -> None:
        self._handles = [handle for handle in self._handles if _is_on(handle)]
        self._on_leaves = [(handle, leaf) for handle, leaf in self._on_leaves if _is_on(handle)]
        self._enough = max(_MANY, 2 * (len(self._handles) + len(self._on_leaves)))


def _is_on(handle: Any) -> bool:
    """Whether the tensor of a hook is still there."""
    return handle.hooks_dict_ref() is not None
