"""Times that are no numbers, as a stranger's file may have them, are not put into JSON as they are."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from providers import FileProvider
from werkzeug.datastructures import MultiDict

from gradprof.tab.provider import Asker, Store
from gradprof.tab.query import Query
from runs import record_of, write_run


@pytest.mark.parametrize(
    ("route", "parameters"),
    [("step", {"ordinal": "0"}), ("cell", {"site": "0", "metric": "log10_l2"})],
    ids=["step", "cell"],
)
def test_of_a_step(tmp_path: Path, route: str, parameters: dict[str, Any]) -> None:
    path = write_run(tmp_path, ["param/a"], [record_of(0, [[1.0]], wall_time=float("inf"))])
    answer = import_module(f"gradprof.tab.routes.{route}").answer
    reply = answer(Store(FileProvider(path)), Asker(None, ""), Query(MultiDict({"run": "run", **parameters})))
    assert reply["wall_time"] == "inf"
