"""What a run is, for programs: its header."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gradprof.kernels.bins import BIN_EDGES
from gradprof.record.sites import KINDS, Site
from gradprof.version import __version__, installed_versions

from .tags import FORMAT_VERSION

_LIBRARIES = ("torch", "triton", "numpy", "tensorboard")


def make_header(
    sites: Sequence[Site],
    *,
    shapes: Mapping[str, Sequence[int]],
    devices: Iterable[str],
    model: str,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The header of a run: JSON types only. `shapes` gives those known beforehand, by label."""
    return {
        "format_version": FORMAT_VERSION,
        "gradprof": __version__,
        "created": time.time(),
        "model": model,
        "devices": list(devices),
        "options": dict(options),
        "libraries": installed_versions(_LIBRARIES),
        "bin_edges": BIN_EDGES.tolist(),
        "kinds": [asdict(kind) for kind in KINDS.values() if any(site.kind == kind.name for site in sites)],
        "sites": [
            {
                "label": site.label,
                "kind": site.kind,
                "name": site.name,
                "shape": list(shapes[site.label]) if site.label in shapes else None,
            }
            for site in sites
        ],
    }
