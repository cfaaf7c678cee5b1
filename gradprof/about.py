"""What a run is: the header for programs, and the same as Markdown for TensorBoard's Text tab."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gradprof.events.tags import FORMAT_VERSION
from gradprof.kernels.bins import BIN_EDGES
from gradprof.record.sites import Site

from .version import __version__

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


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """The version of Python, and of each package that is installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # triton, where there is none
    return found


def about(header: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]) -> str:
    """Markdown for the Text tab; `shapes` adds those that became known while training."""
    libraries = ", ".join(f"{name} {number}" for name, number in header["libraries"].items())
    options = ", ".join(f"{name}={value!r}" for name, value in header["options"].items())
    created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(header["created"]))
    lines = [
        f"## gradprof: gradients of {_cell(header['model'])}",
        "",
        "| | |",
        "| --- | --- |",
        f"| started | {created} |",
        f"| device | {_cell(', '.join(header['devices']))} |",
        f"| versions | gradprof {header['gradprof']}, {libraries} |",
        f"| options | {_cell(options)} |",
        f"| format | version {header['format_version']} |",
        "",
        "`grad_log10_abs_max` and `grad_log10_l2` are log10 of the largest magnitude and of the L2 norm of a",
        "site's gradient: −3 means 0.001, and above 0 means above 1. `grad_log10_hist` is the histogram of",
        "log10 of all its magnitudes. Zeros and non-finite values are in `grad_summary`.",
        "In a terminal, `gradprof report RUN` shows every site in one table.",
        "",
        "| order | site | shape |",
        "| ---: | --- | --- |",
    ]
    for i, site in enumerate(header["sites"]):
        shape = site["shape"] if site["shape"] is not None else shapes.get(site["label"])
        size = "not seen yet" if shape is None else " × ".join(map(str, shape)) or "scalar"
        lines.append(f"| {i} | {_cell(site['label'])} | {size} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text that cannot break a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("_", "\\_")
