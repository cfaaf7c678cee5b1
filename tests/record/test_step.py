"""A record is asked for its sites in constant time each."""

from __future__ import annotations

import numpy as np
import pytest

from gradprof.kernels.row import empty_rows
from gradprof.record import step as step_module
from gradprof.record.step import Record


def record_of(n: int, without: int = -1) -> Record:
    rows = empty_rows(n)
    rows["n_obs"] = np.arange(n) != without
    rows["numel"] = np.arange(n)
    return Record(7, [f"param/{i}" for i in range(n)], rows)


def test_asking_for_a_site_looks_for_no_near_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_module, "near_names", lambda *_: pytest.fail("looked for near names"))
    record = record_of(5, without=3)
    assert "param/4" in record
    assert "param/3" not in record, "no gradient came"
    assert "param/9" not in record
    assert 4 not in record
    assert record.get("param/9") is None
    assert record.get("param/9", 1) == 1
    assert record.get("param/2").numel == 2


class Label(str):
    """Counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Label.compared += 1
        return str.__eq__(self, other)


def test_values_are_found_without_searching() -> None:
    record = Record(7, [Label(f"param/{i}") for i in range(1000)], record_of(1000, without=1)._rows)
    Label.compared = 0
    assert [stats.numel for stats in record.values()] == [i for i in range(1000) if i != 1]
    assert Label.compared < 2000
    assert len(record) == 999


def test_an_unknown_site_lists_near_names() -> None:
    with pytest.raises(KeyError, match=r"no site 'param/1x'; near names: .*param/1"):
        record_of(3)["param/1x"]
    with pytest.raises(KeyError, match="no gradient reached 'param/1' in step 7"):
        record_of(3, without=1)["param/1"]
