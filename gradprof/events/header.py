"""What a run is, for programs: its header, made and checked."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import numpy as np

from gradprof.kernels.bins import BIN_EDGES
from gradprof.record.sites import KINDS, Site
from gradprof.version import __version__, installed_versions

from .streams import BadBlock
from .tags import FORMAT_VERSION, MOST_SITES

_MOST_BYTES = 1 << 26
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


class OtherFormat(Exception):
    """The header is one of another format version; the message says whose."""


def parse_header(document: bytes) -> dict[str, Any]:
    """A header back from its JSON, as `make_header` made it.

    Raises:
        OtherFormat: it has another format version.
        BadBlock: it is not a header, or has numbers that are none.
    """
    if len(document) > _MOST_BYTES:
        raise BadBlock(f"its header has {len(document)} bytes: expected at most {_MOST_BYTES}")
    try:
        header = json.loads(document)
        version = header.get("format_version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise BadBlock(f"its header is no JSON document: {error}") from error
    if version != FORMAT_VERSION:
        writer = header.get("gradprof") if version else "unknown"
        raise OtherFormat(
            f"has format version {version}; this gradprof reads version {FORMAT_VERSION}: "
            f"use the gradprof that wrote it ({writer})"
        )
    try:
        _check(header)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BadBlock(f"its header is not one of a run: {error!r}") from error
    return cast(dict[str, Any], header)


def _check(header: Mapping[str, Any]) -> None:
    """Touch whatever readers will."""
    json.dumps(header, allow_nan=False)
    edges = np.array(header["bin_edges"], dtype=np.float64)
    if edges.shape != BIN_EDGES.shape or np.diff(edges).min() <= 0:
        raise ValueError("bin_edges do not increase")
    if type(header["model"]) is not str or not math.isfinite(header["options"]["threshold"]):
        raise TypeError("model, or threshold")
    for kind in header["kinds"]:
        kind["name"], kind["title"]
    for site in header["sites"]:
        if not all(type(site[name]) is str for name in ("label", "kind", "name")):
            raise TypeError("a site without a name")
        if site["shape"] is not None:
            site["shape"] = [int(n) for n in site["shape"]]
    if not 0 < len(header["sites"]) <= MOST_SITES:
        raise ValueError(f"{len(header['sites'])} sites")
