"""The cache holds what was used last and never more than its bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gradprof.tab.cache import ByteCache

uses = st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 60)), max_size=60)


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = ByteCache(10)
    for key in "abc":
        cache.put(key, key.upper(), 3)
    assert cache.get("a") == "A"
    cache.put("d", "D", 3)
    assert cache.get("b") is None
    assert [cache.get(key) for key in "acd"] == ["A", "C", "D"]


def test_too_large_for_all_is_not_kept() -> None:
    cache = ByteCache(10)
    cache.put("a", "A", 4)
    cache.put("a", "AA", 11)
    assert cache.get("a") is None
    assert (len(cache), cache.n_bytes) == (0, 0)


@given(uses)
def test_as_a_list_of_the_latest(uses: list[tuple[bool, int, int]]) -> None:
    cache, expected = ByteCache(100), list[tuple[int, int]]()
    for put, key, size in uses:
        if put:
            expected = [entry for entry in expected if entry[0] != key] + [(key, size)]
            while sum(size for _, size in expected) > 100:
                expected.pop(0)
            cache.put(key, size, size)
        else:
            found = [entry for entry in expected if entry[0] == key]
            expected = [entry for entry in expected if entry[0] != key] + found
            assert cache.get(key) == (found[0][1] if found else None)
        assert cache.n_bytes == sum(size for _, size in expected)
        assert len(cache) == len(expected)
