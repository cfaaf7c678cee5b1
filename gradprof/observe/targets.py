"""From a model to its sites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from gradprof.record.sites import KINDS, Site, select

Target = nn.Parameter | nn.Module


def find_targets(
    model: nn.Module, observe: Sequence[str], include: Iterable[str], exclude: Iterable[str]
) -> dict[Site, Target]:
    """The chosen sites with what carries their hooks: parameters first, then outputs, then inputs.

    Raises:
        ValueError: an unknown or missing kind, nothing to observe, or a pattern without a match.
    """
    unknown = [kind for kind in observe if kind not in KINDS]
    if unknown or not observe:
        raise ValueError(
            f"observe is {tuple(observe)!r}: expected one or more of {', '.join(map(repr, KINDS))}"
        )
    found: dict[Site, Target] = {}
    for kind in KINDS:
        if kind in observe:
            found.update(find_params(model) if kind == "param" else find_modules(model, kind))
    by_label = {site.label: site for site in found}
    chosen = select(list(by_label), include, exclude)
    return {by_label[label]: found[by_label[label]] for label in chosen}


def find_params(model: nn.Module) -> dict[Site, nn.Parameter]:
    """Parameters that require a gradient, in model order; tied ones once, under their first name.

    Raises:
        ValueError: there is none, or one is not initialised yet.
    """
    params = {}
    for name, param in model.named_parameters():
        if isinstance(param, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"parameter {name!r} is lazy and has no shape yet: run one forward pass, then watch the model"
            )
        if param.requires_grad:
            params[Site("param", name)] = param
    if not params:
        raise ValueError(
            f"{type(model).__name__} has no parameters that require gradients, so there is nothing to "
            "watch: call requires_grad_(True) on what is trained, or pass observe=('output',)"
        )
    return params


def find_modules(model: nn.Module, kind: str) -> dict[Site, nn.Module]:
    """The modules whose output (or input) is observed, in model order: the leaves, and those that
    compute without calling their children."""
    sites = {}
    hidden: set[nn.Module] = set()
    for name, module in model.named_modules():
        if module in hidden:
            continue
        if _bypasses_children(module):
            hidden.update(module.modules())
        elif next(module.children(), None) is not None:
            continue
        sites[Site(kind, name or type(model).__name__)] = module
    return sites


def _bypasses_children(module: nn.Module) -> bool:
    if isinstance(module, nn.MultiheadAttention):
        return True  # passes its output projection's weights to a function instead of calling it
    children = dict(module.named_children())
    return list(children) == ["parametrizations"] and parametrize.is_parametrized(module)


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
