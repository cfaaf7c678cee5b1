"""What is called what in the event files.

Stock dashboards group by the text before the first slash and sort by name. Hence one group per metric, then
the zero-padded place of the site in the model, which keeps model order: `grad_log10_l2/007_param/fc.weight`.
"""

from __future__ import annotations

from collections.abc import Sequence

PLUGIN_NAME = "gradprof"
FORMAT_VERSION = 1

HEADER = "gradprof/header"
"""One JSON document: what the run is."""
ABOUT = "gradprof/about"
"""The same for people, in the Text tab."""
BLOCK_PREFIX = "gradprof/rows/"
"""The full record: one unique tag per block, so that no reservoir of TensorBoard's ever drops one."""

ABS_MAX = "grad_log10_abs_max"
L2 = "grad_log10_l2"
HIST = "grad_log10_hist"
SUMMARY = "grad_summary"

RESERVED = ("gradprof", ABS_MAX, L2, HIST, SUMMARY)
"""First parts of tags that the caller's own scalars must not have."""


def block_tag(ordinal: int) -> str:
    """The tag of the run's `ordinal`-th block."""
    return f"{BLOCK_PREFIX}{ordinal:07d}"


def site_tags(group: str, labels: Sequence[str]) -> list[str]:
    """One tag per site, in an order that survives sorting by name."""
    width = max(3, len(str(len(labels) - 1)))
    return [f"{group}/{i:0{width}d}_{label}" for i, label in enumerate(labels)]
