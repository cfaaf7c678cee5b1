"""From a model to its sites: where each kind is found, and how it is hooked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

from torch import nn
from torch.nn.utils import parametrize

from gradprof.record.sites import KINDS, Site, select

from .hooks import watch_input, watch_output, watch_param
from .observer import Observer
from .private import END_OF_BACKWARD


class Found(NamedTuple):
    """What a kind of site is on this side of the files; `record.sites.KINDS` has the other."""

    find: Callable[[nn.Module], Mapping[Site, Any]]
    """The parameters or modules that have such a site, in model order."""
    hook: Callable[[Any, Observer, int, ExitStack], None]
    """Hooks one of them, for the site of that index; the stack takes it off."""


def find_targets(
    model: nn.Module, observe: Sequence[str], include: Iterable[str], exclude: Iterable[str]
) -> dict[Site, Any]:
    """The chosen sites with what carries their hooks: parameters first, then outputs, then inputs.

    Raises:
        ValueError: nothing to observe, or a pattern without a match.
    """
    found: dict[Site, Any] = {}
    for kind in KINDS:
        if kind in observe:
            found.update(TARGETS[kind].find(model))
    by_label = {site.label: site for site in found}
    chosen = select(list(by_label), include, exclude)
    return {by_label[label]: found[by_label[label]] for label in chosen}


def hook_targets(targets: Mapping[Site, Any], observer: Observer, undo: ExitStack) -> None:
    """Hook everything that was found; `undo` takes all of it off."""
    for index, (site, target) in enumerate(targets.items()):
        TARGETS[site.kind].hook(target, observer, index, undo)


def observable_groups(targets: Iterable[Site]) -> list[str]:
    """The groups of sites that this torch lets be observed."""
    groups = dict.fromkeys(KINDS[site.kind].group for site in targets)
    if END_OF_BACKWARD.find() is None:
        groups.pop(KINDS["param"].group, None)
    return list(groups)


def shapes_of(targets: Mapping[Site, Any]) -> dict[str, Collection[int]]:
    """The shapes that are known beforehand, by label."""
    return {site.label: target.shape for site, target in targets.items() if isinstance(target, nn.Parameter)}


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


TARGETS = {
    "param": Found(find_params, watch_param),
    "output": Found(partial(find_modules, kind="output"), watch_output),
    "input": Found(partial(find_modules, kind="input"), watch_input),
}
