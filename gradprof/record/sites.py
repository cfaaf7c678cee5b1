"""Sites: the places where gradients are observed, and how people name and choose them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Kind:
    """A kind of site; how it is found and hooked is said in `observe.targets`.

    Attributes:
        name: before the slash of a label.
        title: above a list of such sites.
        meaning: what "gradients" is followed by in a sentence.
        group: what is observed in the same steps.
    """

    name: str
    title: str
    meaning: str
    group: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("param", "Parameters", "of parameters", group="param"),
        Kind("output", "Outputs", "w.r.t. module outputs", group="output"),
        Kind("input", "Inputs", "w.r.t. module inputs", group="output"),
    )
}
"""By name, in the order in which they are listed. Inputs are hooked as outputs are, and go with them."""

GROUPS = tuple(dict.fromkeys(kind.group for kind in KINDS.values()))
"""What is observed apart."""


@dataclass(frozen=True)
class Site:
    """One place where a gradient is observed.

    `param/fc.weight` is the gradient of a parameter, `output/layer1.0.conv1` the gradient w.r.t. what a
    module returns, `input/…` w.r.t. what it is given.
    """

    kind: str
    name: str

    @property
    def label(self) -> str:
        """`kind/name`, the key everywhere."""
        return f"{self.kind}/{self.name}"


def matches(label: str, pattern: str) -> bool:
    """Whether a shell-style pattern (`*`, `?`, `[…]`) matches a whole label, or its name after the kind."""
    return fnmatchcase(label, pattern) or fnmatchcase(label.partition("/")[2], pattern)


def select(labels: Sequence[str], include: Iterable[str] = (), exclude: Iterable[str] = ()) -> list[str]:
    """The labels that match some `include` pattern (all, if there is none) and no `exclude` pattern.

    Raises:
        ValueError: a pattern matches nothing, or nothing is left; the message lists near names.
    """
    include, exclude = list(include), list(exclude)
    for pattern in (*include, *exclude):
        if not any(matches(label, pattern) for label in labels):
            raise ValueError(
                f"pattern {pattern!r} matches none of the {len(labels)} sites; "
                f"{near_names(pattern, labels)}. Patterns match a whole name: * stands for any text"
            )
    chosen = [
        label
        for label in labels
        if (not include or any(matches(label, pattern) for pattern in include))
        and not any(matches(label, pattern) for pattern in exclude)
    ]
    if not chosen:
        raise ValueError(f"include={include} and exclude={exclude} leave none of the {len(labels)} sites")
    return chosen


def near_names(wanted: str, names: Sequence[str], n: int = 5) -> str:
    """A phrase that names what may have been meant."""
    plain = wanted.replace("*", "").replace("?", "")
    inside = [name for name in names if plain and plain.lower() in name.lower()]
    bare = {name.partition("/")[2]: name for name in names}
    close = difflib.get_close_matches(plain, [*names, *bare], n=n, cutoff=0.4)
    found = list(dict.fromkeys([*inside, *(bare.get(name, name) for name in close)]))[:n]
    if found:
        return f"near names: {', '.join(found)}"
    return f"the names are like {', '.join(names[:n])}"


def one_or_many(value: str | Iterable[str] | None) -> list[str]:
    """A keyword that takes one string or several, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
