"""Answers as HTTP responses: JSON, arrays, files and errors. Nothing is ever put into HTML."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorboard.backend import http_util
from werkzeug import Request, Response

_ALIGNMENT = 8


@dataclass(frozen=True)
class Arrays:
    """An answer of arrays behind a header."""

    header: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


Answer = Arrays | Mapping[str, Any]
"""Arrays, or one JSON document."""


def reply(request: Request, answer: Answer) -> Response:
    """An answer as a response."""
    if isinstance(answer, Arrays):
        return binary_reply(request, answer.header, answer.arrays)
    return json_reply(request, answer)


def json_reply(request: Request, document: Mapping[str, Any], code: int = 200) -> Response:
    """One JSON document; floats in it have gone through `number` or `numbers`."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return http_util.Respond(request, text, "application/json", code=code)


def error_reply(request: Request, code: int, sentence: str, **headers: str) -> Response:
    """`{"error": sentence}`."""
    text = json.dumps({"error": sentence})
    return http_util.Respond(request, text, "application/json", code=code, headers=list(headers.items()))


def binary_reply(request: Request, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Response:
    """Arrays behind a JSON header; see `frame`. Not compressed: that takes longer than sending it."""
    return http_util.Respond(request, frame(header, arrays), "application/octet-stream")


def frame(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """uint32 length of the header, the header, padded so that the arrays start at a multiple of 8 bytes, then
    the arrays back to back, little-endian, as `header["arrays"]` lists them by name, dtype and shape."""
    listed = [
        {"name": name, "dtype": array.dtype.name, "shape": array.shape} for name, array in arrays.items()
    ]
    text = json.dumps({**header, "arrays": listed}, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-(4 + len(text)) % _ALIGNMENT)
    data = [array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for array in arrays.values()]
    return b"".join((struct.pack("<I", len(text)), text, *data))


def number(value: float) -> float | str | None:
    """A float for JSON: NaN as null, infinities as "inf" and "-inf"."""
    if math.isfinite(value):
        return float(value)
    if math.isnan(value):
        return None
    return "inf" if value > 0 else "-inf"


def numbers(values: np.ndarray) -> list[float | str | None]:
    """`number` of each of `values` `[n]`."""
    plain: list[Any] = values.tolist()
    for i in np.flatnonzero(~np.isfinite(values)).tolist():
        plain[i] = number(plain[i])
    return plain
