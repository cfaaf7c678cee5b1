"""Totals come back bit by bit, and what is damaged is found."""

from __future__ import annotations

import numpy as np
import pytest
from damage import assert_damage_is_found

from gradprof.events.block import BadBlock
from gradprof.events.streams import pack
from gradprof.events.totals import EncodedTotals, encode_totals
from gradprof.record.columns import Columns
from gradprof.record.totals import TOTAL_RULES, sites_by_kind, totals_of
from runs import Training


def totals(n_sites: int) -> Columns:
    training = Training(n_sites)
    rows = training.rows(20)
    rows["n_nan"][7:, 0] = 3
    return totals_of(np.arange(20), rows, sites_by_kind(training.labels))


@pytest.mark.parametrize("n_sites", [1, 2, 50])
def test_every_bit_comes_back(n_sites: int) -> None:
    written = totals(n_sites)
    encoded = EncodedTotals(encode_totals(written))
    assert encoded.shape == (1, n_sites)
    read = encoded.columns()
    assert list(read.arrays) == list(TOTAL_RULES)
    for name, values in written.arrays.items():
        assert (read[name].dtype, read[name].shape) == (values.dtype, values.shape)
        assert read[name].tobytes() == values.tobytes()


def test_damaged_and_missing() -> None:
    assert_damage_is_found(encode_totals(totals(3)), EncodedTotals)
    with pytest.raises(BadBlock, match="no stream 'n_steps'"):
        EncodedTotals(pack(b"GPT3", {"sites": 3}, {})).columns()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_non_finite", 0),
        ("first_non_finite_step", np.nan),
        ("first_non_finite_step", np.inf),
        ("last_seen_step", np.nan),
        ("abs_max_step", np.inf),
        ("abs_max", np.nan),
    ],
)
def test_what_disagrees(name: str, value: float) -> None:
    written = totals(3)
    written.arrays[name][0, 0] = value
    with pytest.raises(BadBlock, match="_step of a site is not there, or is of what never happened"):
        EncodedTotals(encode_totals(written)).columns()


def test_of_a_long_run_they_take_next_to_nothing() -> None:
    """A chunk of 512 steps has one."""
    assert len(encode_totals(totals(200))) / 200 / 512 < 0.2
