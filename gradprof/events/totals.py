"""The totals of a run up to the end of a chunk: what a headline needs, of however many steps."""

from __future__ import annotations

import numpy as np

from gradprof.record.columns import Columns
from gradprof.record.totals import TOTAL_RULES

from .streams import BadBlock, Packed, StreamWriter, pack
from .tags import MOST_SITES

TOTALS_MAGIC = b"GPT3"

_COUNTED = {
    "first_above_step": "n_above",
    "first_non_finite_step": "n_non_finite",
    "last_seen_step": "steps_seen",
}
"""Steps at which something happened, with how often it did."""


def encode_totals(totals: Columns) -> bytes:
    """`record.totals` as bytes, each array a stream of its own."""
    streams = {}
    for name, values in totals.arrays.items():
        stream = StreamWriter()
        if values.dtype == np.int64:
            stream.integers(values)
        else:
            stream.floats(values)
        streams[name] = stream.finish()
    return pack(TOTALS_MAGIC, {"sites": totals["numel"].shape[1]}, streams)


class EncodedTotals:
    """Totals still compressed.

    Attributes:
        shape: (1, sites).

    Raises:
        BadBlock: the bytes are not totals of this format version.
    """

    def __init__(self, data: bytes) -> None:
        self._packed = Packed(data, TOTALS_MAGIC)
        self.shape = 1, self._packed.count("sites", MOST_SITES)

    def columns(self) -> Columns:
        """What was given to `encode_totals`.

        Raises:
            BadBlock: a stream is missing or not whole, or what they say disagrees.
        """
        arrays = {}
        for name, rule in TOTAL_RULES.items():
            shape = self.shape[:1] if name == "n_steps" or "/" in name else self.shape
            stream = self._packed.reader(name, 1, 8 * self.shape[1])
            arrays[name] = stream.integers(shape) if rule == "sum" else stream.floats(shape)
        happened = {step: arrays[count] > 0 for step, count in _COUNTED.items()}
        happened["abs_max_step"] = ~np.isnan(arrays["abs_max"])
        for name, did in happened.items():
            if not np.where(did, np.isfinite(arrays[name]), np.isnan(arrays[name])).all():
                raise BadBlock(f"the {name} of a site is not there, or is of what never happened")
        return Columns(arrays, TOTAL_RULES)
