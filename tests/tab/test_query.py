"""Parameters: each once, of its type, within bounds; anything else is a reason, never a crash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from gradprof.tab.query import MAX_INTEGER, BadRequest, Query


def query(**parameters: str | list[str]) -> Query:
    return Query(MultiDict(parameters))


def test_a_text_is_taken_as_it_is() -> None:
    name = "../<b>'\" ünï/" + "x" * 300
    assert query(run=name).text("run") == name
    assert query().text("run", default="") == ""


@pytest.mark.parametrize(
    ("given", "reason"),
    [({}, "given 0 times"), ({"run": ["a", "b"]}, "given 2 times"), ({"run": "x" * 5000}, "5000 characters")],
)
def test_a_text_once_and_not_too_long(given: dict[str, str | list[str]], reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        query(**given).text("run")


@given(st.integers(-5, 9))
def test_integers_within_bounds(value: int) -> None:
    asked = query(site=str(value))
    if 0 <= value <= 4:
        assert asked.integer("site", 0, 4) == value
    else:
        with pytest.raises(BadRequest, match=r"site is '-?\d': expected a whole number from 0 to 4"):
            asked.integer("site", 0, 4)


@pytest.mark.parametrize("text", ["", " 1", "1.0", "1e3", "0x1", "1_0", "١", "nan", "9" * 5000, "--1", "1\n"])
def test_only_decimal_integers(text: str) -> None:
    with pytest.raises(BadRequest, match="site"):
        query(site=text).integer("site", 0, MAX_INTEGER)


def test_a_long_answer_quotes_little() -> None:
    with pytest.raises(BadRequest) as caught:
        query(metric="y" * 4000).choice("metric", ["a", "b"])
    assert len(str(caught.value)) < 200
    assert "expected one of a, b" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "n", "window"),
    [
        ({}, 10, (0, 10)),
        ({"from": "3"}, 10, (3, 10)),
        ({"from": "3", "to": "5"}, 10, (3, 5)),
        ({"from": "3", "to": "3"}, 10, (3, 3)),
        ({"to": "500"}, 10, (0, 10)),
        ({"from": "50"}, 10, (10, 10)),
        ({}, 0, (0, 0)),
    ],
)
def test_a_window_is_cut_off_at_the_end(given: dict[str, str], n: int, window: tuple[int, int]) -> None:
    assert query(**given).window(n) == window


@pytest.mark.parametrize("given", [{"from": "5", "to": "4"}, {"from": "-1"}, {"to": str(MAX_INTEGER + 1)}])
def test_a_window_must_be_one(given: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        query(**given).window(10)


@pytest.mark.parametrize("columns", ["0", "4097", "-1", "many"])
def test_columns_have_a_limit(columns: str) -> None:
    with pytest.raises(BadRequest, match="from 1 to 4096"):
        query(columns=columns).columns()
