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

from .tags import PLUGIN_NAME

HIST_ROWS = 32
"""Rows of a stock histogram. Both front ends show 30 bins, so the 31 quarter-decades down from the
largest magnitude, and one row for all below, lose nothing to the eye and take a quarter of the bytes."""

_HIST_BYTES = HIST_ROWS * 3 * 4


class ScalarTemplate:
    """Scalars of fixed tags: `fill` gives the serialized values of those that are present."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._prefixes = [_without_tail(Summary.Value(tag=tag, simple_value=1.0), 4) for tag in tags]

    def fill(self, values: npt.ArrayLike, present: npt.NDArray[np.bool_] | None = None) -> bytes:
        """Serialized `Summary` of float `values` `[tags]`; inf is written as NaN, which TensorBoard marks."""
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf
            floats = np.asarray(values, dtype="<f4")
        data = np.where(np.isinf(floats), np.float32(np.nan), floats).tobytes()
        return _interleave(self._prefixes, data, 4, present)


class HistogramTemplate:
    """Histograms of fixed tags, `[32, 3]` rows of (left, right, count) each."""

    def __init__(self, tags: Sequence[str], description: str) -> None:
        self._tags = list(tags)
        self._described = np.zeros(len(tags), dtype=bool)
        metadata = histogram_metadata.create_summary_metadata(None, description)
        metadata.data_class = DATA_CLASS_TENSOR
        self._metadata = metadata
        self._prefixes = [self._prefix(tag, described=True) for tag in tags]

    def fill(self, rows: npt.NDArray[np.float32], present: npt.NDArray[np.bool_]) -> bytes:
        """Serialized `Summary` of the `present` among `rows`, float32 `[tags, 32, 3]`."""
        summary = _interleave(self._prefixes, rows.astype("<f4", copy=False).tobytes(), _HIST_BYTES, present)
        for i in np.flatnonzero(present & ~self._described):
            # Metadata belongs to a tag's first event only.
            self._prefixes[i] = self._prefix(self._tags[i], described=False)
            self._described[i] = True
        return summary

    def _prefix(self, tag: str, described: bool) -> bytes:
        head = Summary.Value(tag=tag, metadata=self._metadata if described else None)
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in (HIST_ROWS, 3)])
        tensor = TensorProto(dtype=DT_FLOAT, tensor_shape=shape, tensor_content=bytes(_HIST_BYTES))
        # A message's fields may come in any order: metadata first leaves the content at the end.
        body = head.SerializeToString() + Summary.Value(tensor=tensor).SerializeToString()
        whole: bytes = Summary(value=[Summary.Value.FromString(body)]).SerializeToString()
        at = len(whole) - len(body)
        return whole[:at] + body[:-_HIST_BYTES]


def text_value(tag: str, markdown: str) -> bytes:
    """Serialized `Summary` of one text."""
    metadata = text_metadata.create_summary_metadata(None, "")
    metadata.data_class = DATA_CLASS_TENSOR
    return _string_value(tag, markdown.encode(), metadata)


def json_value(tag: str, document: str) -> bytes:
    """Serialized `Summary` of one JSON document, for gradprof's own readers."""
    return _string_value(tag, document.encode(), _own_metadata())


def bytes_value(tag: str, data: bytes) -> bytes:
    """Serialized `Summary` of one uint8 tensor `[len(data)]`, for gradprof's own readers."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(data))])
    tensor = TensorProto(dtype=DT_UINT8, tensor_shape=shape, tensor_content=data)
    value = Summary.Value(tag=tag, metadata=_own_metadata(), tensor=tensor)
    serialized: bytes = Summary(value=[value]).SerializeToString()
    return serialized


def _string_value(tag: str, data: bytes, metadata: SummaryMetadata) -> bytes:
    tensor = TensorProto(dtype=DT_STRING, string_val=[data])
    serialized: bytes = Summary(
        value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)]
    ).SerializeToString()
    return serialized


def _own_metadata() -> SummaryMetadata:
    # Without a data class both of TensorBoard's loaders drop the tag.
    return SummaryMetadata(
        plugin_data=SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME), data_class=DATA_CLASS_TENSOR
    )


def _without_tail(value: Summary.Value, n_bytes: int) -> bytes:
    serialized: bytes = Summary(value=[value]).SerializeToString()
    return serialized[:-n_bytes]


def _interleave(
    prefixes: list[bytes], data: bytes, size: int, present: npt.NDArray[np.bool_] | None
) -> bytes:
    parts = [b""] * (2 * len(prefixes))
    parts[0::2] = prefixes
    parts[1::2] = [data[at : at + size] for at in range(0, len(data), size)]
    if present is not None and not present.all():
        parts = [part for part, keep in zip(parts, np.repeat(present, 2), strict=True) if keep]
    return b"".join(parts)
