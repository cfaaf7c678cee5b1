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
from gradprof.events.block import hist_groups
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


OWN_TAGS = {
    tags.RowsTag(7, 448): "gradprof/rows/0000007_0000000448",
    tags.HistTag(7, 448, 3, 16): "gradprof/hist/0000007_0000000448/03of16",
    tags.HistTag(7, 448, 3, 120): "gradprof/hist/0000007_0000000448/003of120",
    tags.PooledTag(8, 2): "gradprof/pooled/8/0000002",
    tags.PooledHistTag(64, 2, 0, 1): "gradprof/pooled_hist/64/0000002/00of01",
    tags.TotalsTag(2): "gradprof/totals/0000002",
}


@pytest.mark.parametrize("tag", OWN_TAGS)
def test_own_tags_say_what_they_hold(tag: tags.OwnTag) -> None:
    assert str(tag) == OWN_TAGS[tag]
    assert tags.parse(str(tag)) == tag
    assert type(tags.parse(str(tag))) is type(tag)


@pytest.mark.parametrize(
    "tag",
    [
        *("", "gradprof", tags.HEADER, tags.ABOUT, "loss", "gradprof/rows/", "gradprof/rows/0000007"),
        *("gradprof/rows/0000007_0000000448/00of01", "x/gradprof/pooled/8/0000002", "gradprof/pooled/8/2"),
        *("gradprof/hist/0000007_0000000448", "gradprof/rows/0000007_0000000448\n"),
        *("gradprof/rows/00000007_0000000448", "gradprof/totals/00000001", "gradprof/pooled/08/0000002"),
        *("gradprof/rows/000000\u0667_0000000448", "gradprof/hist/0000007_0000000448/003of016"),
        *(f"gradprof/totals/{'9' * 5000}", f"gradprof/rows/0000007_{'9' * 30}"),
    ],
)
def test_other_tags_are_not_own(tag: str) -> None:
    assert tags.parse(tag) is None


def test_block_tags_are_unique_and_sort() -> None:
    numbers = (0, 1, 9, 10, 99, 100, 999_999, 9_999_999)
    for made in (
        [str(tags.RowsTag(i, 64 * i)) for i in numbers],
        [str(tags.PooledTag(8, i)) for i in numbers],
        [str(tags.HistTag(0, 0, i, 120)) for i in range(120)],
    ):
        assert sorted(made) == made
        assert len(set(made)) == len(made)


@given(st.integers(1, 3000), st.integers(1, 100))
def test_groups_divide_the_sites(n_sites: int, n_steps: int) -> None:
    n_groups = hist_groups(n_steps, n_sites)
    groups = [tags.group_sites(group, n_groups, n_sites) for group in range(n_groups)]
    assert [site for group in groups for site in range(n_sites)[group]] == list(range(n_sites))
    sizes = [group.stop - group.start for group in groups]
    assert min(sizes) > 0
    assert max(sizes) * n_steps <= 2048 + n_steps
    for group, sites in enumerate(groups):
        for site in (sites.start, sites.stop - 1):
            assert tags.group_of_site(site, n_groups, n_sites) == group


def test_own_tags_are_reserved() -> None:
    made = [tags.HEADER, tags.ABOUT, *map(str, OWN_TAGS), f"{tags.SUMMARY}/zero_share"]
    made += [tags.site_tags(group, ["param/w"])[0] for group in (tags.ABS_MAX, tags.L2, tags.HIST)]
    assert {tag.partition("/")[0] for tag in made} == set(tags.RESERVED)
