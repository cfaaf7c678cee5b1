"""Summary values for the stock dashboards, from pre-serialized parts.

Protocol buffers are built once per tag; after that a step costs one join of bytes, because a float and
a tensor of fixed shape have serialized values of fixed length, at the end of their message.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_STRING, DT_UINT8
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.text import metadata as text_metadata

from .framing import varint
from .tags import PLUGIN_NAME

HIST_ROWS = 32
"""Rows of a stock histogram. Both front ends show 30 bins, so the 31 quarter-decades down from the
largest magnitude, and one row for all below, lose nothing to the eye and take a quarter of the bytes."""

_HIST_BYTES = HIST_ROWS * 3 * 4
_VALUE_FIELD = b"\x0a"  # Summary.value: field 1, length-delimited


class ScalarTemplate:
    """Scalars of fixed tags: `fill` gives the serialized values of those that are present."""

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = list(tags)
        tail = Summary.Value(simple_value=1.0).SerializeToString()
        self._values = [_value(tag, tail) for tag in tags]
        self._all = np.ones(len(self.tags), dtype=bool)
        self._select(self._all)

    def fill(self, values: npt.ArrayLike, present: npt.NDArray[np.bool_] | None = None) -> bytes:
        """Serialized `Summary` of float `values` `[tags]`; inf is written as NaN, which TensorBoard marks."""
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf
            floats = np.asarray(values, dtype="<f4")
        floats = np.where(np.isinf(floats), np.float32(np.nan), floats)
        if present is None:
            present = self._all
        if not np.array_equal(present, self._present):
            self._select(present)
        summary = self._template.copy()
        summary[self._places] = floats[present].view(np.uint8)
        return summary.tobytes()

    def _select(self, present: npt.NDArray[np.bool_]) -> None:
        """Lay out the serialized summary of those present; from step to step they are mostly the same."""
        values = [value for value, keep in zip(self._values, present, strict=True) if keep]
        self._present = present
        self._template = np.frombuffer(b"".join(values), dtype=np.uint8)
        ends = np.cumsum([len(value) for value in values], dtype=np.int64)
        self._places = (ends[:, None] + np.arange(-4, 0)).reshape(-1)


class HistogramTemplate:
    """Histograms of fixed tags, `[32, 3]` rows of (left, right, count) each."""

    def __init__(self, tags: Sequence[str], description: str) -> None:
        metadata = histogram_metadata.create_summary_metadata(None, description)
        metadata.data_class = DATA_CLASS_TENSOR
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in (HIST_ROWS, 3)])
        tensor = TensorProto(dtype=DT_FLOAT, tensor_shape=shape, tensor_content=bytes(_HIST_BYTES))
        # A message's fields may come in any order: metadata first leaves the content at the end.
        tail = Summary.Value(tensor=tensor).SerializeToString()
        described = Summary.Value(metadata=metadata).SerializeToString() + tail
        self._prefixes = [_value(tag, described)[:-_HIST_BYTES] for tag in tags]
        self._next_prefixes = [_value(tag, tail)[:-_HIST_BYTES] for tag in tags]
        self._described = np.zeros(len(tags), dtype=bool)

    def fill(self, rows: npt.NDArray[np.float32], present: npt.NDArray[np.bool_]) -> bytes:
        """Serialized `Summary` of the `present` among `rows`, float32 `[tags, 32, 3]`."""
        data = memoryview(rows.astype("<f4", copy=False).tobytes())
        parts: list[bytes | memoryview] = [b""] * (2 * len(self._prefixes))
        parts[0::2] = self._prefixes
        parts[1::2] = [data[at : at + _HIST_BYTES] for at in range(0, len(data), _HIST_BYTES)]
        if not present.all():
            parts = [part for part, keep in zip(parts, np.repeat(present, 2), strict=True) if keep]
        for i in np.flatnonzero(present & ~self._described):
            # Metadata belongs to a tag's first event only.
            self._prefixes[i] = self._next_prefixes[i]
            self._described[i] = True
        return b"".join(parts)


def text_value(tag: str, markdown: str) -> bytes:
    """Serialized `Summary` of one text."""
    metadata = text_metadata.create_summary_metadata(None, "")
    metadata.data_class = DATA_CLASS_TENSOR
    return _string_value(tag, markdown.encode(), metadata)


def json_value(tag: str, document: str) -> bytes:
    """Serialized `Summary` of one JSON document, for gradprof's own readers."""
    return _string_value(tag, document.encode(), _own_metadata(PLUGIN_NAME))


def bytes_value(tag: str, data: bytes, plugin_name: str = PLUGIN_NAME) -> bytes:
    """Serialized `Summary` of one uint8 tensor `[len(data)]`, for gradprof's own readers."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(data))])
    tensor = TensorProto(dtype=DT_UINT8, tensor_shape=shape, tensor_content=data)
    value = Summary.Value(tag=tag, metadata=_own_metadata(plugin_name), tensor=tensor)
    return _serialized(value)


def _string_value(tag: str, data: bytes, metadata: SummaryMetadata) -> bytes:
    tensor = TensorProto(dtype=DT_STRING, string_val=[data])
    return _serialized(Summary.Value(tag=tag, metadata=metadata, tensor=tensor))


def _own_metadata(plugin_name: str) -> SummaryMetadata:
    # Without a data class both of TensorBoard's loaders drop the tag.
    return SummaryMetadata(
        plugin_data=SummaryMetadata.PluginData(plugin_name=plugin_name), data_class=DATA_CLASS_TENSOR
    )


def _value(tag: str, tail: bytes) -> bytes:
    """Serialized `Summary` of one value: its tag, then serialized fields of `Summary.Value`."""
    body = Summary.Value(tag=tag).SerializeToString() + tail
    return b"".join((_VALUE_FIELD, varint(len(body)), body))


def _serialized(value: Summary.Value) -> bytes:
    serialized: bytes = Summary(value=[value]).SerializeToString()
    return serialized
