"""Summaries from serialized parts are the protocol buffers that they stand for."""

from __future__ import annotations

import json
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary
from tensorboard.plugins.histogram.metadata import parse_plugin_metadata
from tensorboard.util import tensor_util

from gradprof.events import tags
from gradprof.events.summary import (
    HIST_ROWS,
    HistogramTemplate,
    ScalarTemplate,
    bytes_value,
    json_value,
    text_value,
)

TAGS = ["grad_log10_l2/000_param/fc.weight", "", "grad/Größe<b>·|", "x" * 300]
SOME = np.array([True, False, True, False])


def scalars_in(summary: bytes) -> dict[str, float]:
    values = Summary.FromString(summary).value
    assert all(value.WhichOneof("value") == "simple_value" for value in values)
    return {value.tag: value.simple_value for value in values}


# --- scalars ---------------------------------------------------------------------------------------


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_scalars_are_those_given(values: list[float]) -> None:
    filled = scalars_in(ScalarTemplate(TAGS).fill(values))
    assert list(filled) == TAGS
    assert [math.copysign(1, v) for v in filled.values()] == [math.copysign(1, v) for v in values]
    assert list(filled.values()) == values


def test_only_present_scalars_are_written() -> None:
    template = ScalarTemplate(TAGS)
    assert scalars_in(template.fill([1, 2, 3, 4], SOME)) == {TAGS[0]: 1.0, TAGS[2]: 3.0}
    assert template.fill([1, 2, 3, 4], np.zeros(4, dtype=bool)) == b""
    assert list(scalars_in(template.fill([1, 2, 3, 4]))) == TAGS


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e39, -1e300])
def test_what_has_no_finite_float32_becomes_nan(value: float) -> None:
    """TensorBoard marks NaN and leaves inf out; and warnings are errors here."""
    filled = scalars_in(ScalarTemplate(TAGS).fill([1.0, value, 0.0, 2.0]))
    assert math.isnan(filled[TAGS[1]])
    assert [filled[TAGS[i]] for i in (0, 2, 3)] == [1.0, 0.0, 2.0]


# --- histograms ------------------------------------------------------------------------------------


def random_rows(seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((len(TAGS), HIST_ROWS, 3), dtype=np.float32)


def test_histograms_are_the_rows_given() -> None:
    template = HistogramTemplate(TAGS, "what it is")
    for step in range(3):  # the first event, with metadata, and those without
        rows = random_rows(step)
        values = Summary.FromString(template.fill(rows, np.ones(4, dtype=bool))).value
        assert [value.tag for value in values] == TAGS
        for value, row in zip(values, rows, strict=True):
            np.testing.assert_array_equal(tensor_util.make_ndarray(value.tensor), row)
            assert value.tensor.tensor_content  # not float_val, whose length depends on the values


def test_metadata_stands_on_the_first_event_of_a_tag_only() -> None:
    template = HistogramTemplate(TAGS, "what it is")
    described = []
    for present in (SOME, SOME, np.ones(4, dtype=bool), ~SOME):
        values = Summary.FromString(template.fill(random_rows(0), present)).value
        assert [value.tag for value in values] == [TAGS[i] for i in np.flatnonzero(present)]
        described.append([value.tag for value in values if value.HasField("metadata")])
    assert described == [[TAGS[0], TAGS[2]], [], [TAGS[1], TAGS[3]], []]


def test_metadata_is_what_the_histogram_dashboard_expects() -> None:
    summary = HistogramTemplate(TAGS, "what it is").fill(random_rows(0), np.ones(4, dtype=bool))
    for value in Summary.FromString(summary).value:
        assert value.metadata.plugin_data.plugin_name == "histograms"
        assert value.metadata.data_class == DATA_CLASS_TENSOR
        assert value.metadata.summary_description == "what it is"
        parse_plugin_metadata(value.metadata.plugin_data.content)  # raises if it cannot be read


# --- strings and bytes -----------------------------------------------------------------------------


def only_value(summary: bytes) -> Summary.Value:
    (value,) = Summary.FromString(summary).value
    assert value.metadata.data_class == DATA_CLASS_TENSOR
    return value


def test_text() -> None:
    value = only_value(text_value("gradprof/about", "| größer | <b> |"))
    assert (value.tag, value.metadata.plugin_data.plugin_name) == ("gradprof/about", "text")
    assert tensor_util.make_ndarray(value.tensor).item().decode() == "| größer | <b> |"


def test_json() -> None:
    value = only_value(json_value("gradprof/header", json.dumps({"a": "ü"})))
    assert value.metadata.plugin_data.plugin_name == "gradprof"
    assert json.loads(tensor_util.make_ndarray(value.tensor).item()) == {"a": "ü"}


@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 9])
def test_bytes(data: bytes) -> None:
    value = only_value(bytes_value("gradprof/rows/0000000", data))
    assert value.metadata.plugin_data.plugin_name == "gradprof"
    assert value.tensor.tensor_content == data
    if data:
        assert tensor_util.make_ndarray(value.tensor).tobytes() == data


# --- tags ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 999, 1000, 1001, 12_000])
def test_site_tags_sort_in_model_order(n: int) -> None:
    made = tags.site_tags("grad_log10_l2", [f"param/layer{i}.weight" for i in range(n)])
    assert sorted(made) == made
    assert len(set(made)) == n
    assert made[0].startswith("grad_log10_l2/000")
    assert made[-1].endswith(f"_param/layer{n - 1}.weight")


def test_block_tags_are_unique_and_sort() -> None:
    made = [tags.block_tag(i) for i in (0, 1, 9, 10, 99, 100, 999_999, 9_999_999)]
    assert sorted(made) == made
    assert len(set(made)) == len(made)
    assert all(tag.startswith(tags.BLOCK_PREFIX) for tag in made)


def test_own_tags_are_reserved() -> None:
    made = [tags.HEADER, tags.ABOUT, tags.block_tag(0), f"{tags.SUMMARY}/zero_share"]
    made += [tags.site_tags(group, ["param/w"])[0] for group in (tags.ABS_MAX, tags.L2, tags.HIST)]
    assert {tag.partition("/")[0] for tag in made} == set(tags.RESERVED)
