"""A curve in a dozen characters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-~=+*#"


def sparkline(values: npt.NDArray[np.float64], width: int, levels: str = BLOCKS) -> str:
    """`values` over their own range in at most `width` characters, lowest to highest of `levels`.

    Columns are pooled by maximum, so that one high value of many shows. A column without values is a
    space, and a curve without range is drawn in the middle.
    """
    if not len(values):
        return ""
    pooled = []
    for part in np.array_split(values, min(width, len(values))):
        finite = part[np.isfinite(part)]
        pooled.append(finite.max() if finite.size else np.nan)
    column = np.array(pooled)
    finite = column[np.isfinite(column)]
    if not finite.size:
        return " " * len(column)
    low, span = finite.min(), np.ptp(finite)
    middle = len(levels) // 2 - 1
    marks = []
    for value in column:
        if np.isnan(value):
            marks.append(" ")
        else:
            level = middle if span == 0 else round((value - low) / span * (len(levels) - 1))
            marks.append(levels[int(level)])
    return "".join(marks)
