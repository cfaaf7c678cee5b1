"""What a run is, as Markdown for TensorBoard's Text tab."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any


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
