"""A failure inside shows in the tab alone, and what TensorBoard imports at its start is light."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboard.data.provider import TensorDatum, TensorTimeSeries
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from gradprof.read.source import HEADER, PLUGIN_NAME, Missing, Piece
from gradprof.tab import provider as store_module
from gradprof.tab.plugin import GradientsPlugin
from gradprof.tab.provider import Asker, Store
from gradprof.tab.routes import ROUTES
from runs import python

pytestmark = pytest.mark.filterwarnings("ignore:html5lib's sanitizer:DeprecationWarning")  # TensorBoard's

ASKER = Asker(None, "")


class Provider:
    """A data provider of made-up tags, which counts what it is asked."""

    def __init__(self, data: dict[str, bytes]) -> None:
        self.data = data
        self.listed = 0
        self.read: list[int] = []

    def list_tensors(self, ctx: Any, *, experiment_id: str, plugin_name: str, run_tag_filter: Any) -> Any:
        self.listed += 1
        series = {
            tag: TensorTimeSeries(
                max_step=1, max_wall_time=5.0, plugin_content=b"", description="", display_name=""
            )
            for tag in self.data
        }
        return {"run": series} if "run" in (run_tag_filter.runs or ["run"]) else {}

    def read_tensors(
        self, ctx: Any, *, experiment_id: str, plugin_name: str, downsample: int, run_tag_filter: Any
    ) -> Any:
        asked = sorted(run_tag_filter.tags)
        self.read.append(len(asked))
        found = {tag: self.data[tag] for tag in asked if tag in self.data}
        return {
            "run": {
                tag: [TensorDatum(step=1, wall_time=5.0, numpy=np.frombuffer(data, np.uint8))]
                for tag, data in found.items()
            }
        }


def pieces(*names: str, wall_time: float = 5.0) -> list[Piece]:
    return [Piece(PLUGIN_NAME, name, wall_time) for name in names]


def client(provider: Any, route: str) -> Client:
    return Client(GradientsPlugin(TBContext(data_provider=provider)).get_plugin_apps()[f"/{route}"])


def test_a_failure_inside_is_a_sentence_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    provider = SimpleNamespace(list_tensors=lambda *_, **__: 1 / 0)
    for route in ROUTES:
        reply = client(provider, route).get(f"/{route}?run=a")
        assert reply.status_code == 500
        assert "ZeroDivisionError" in reply.json["error"]
        assert "Traceback" not in reply.json["error"]
    assert len(caplog.records) == len(ROUTES)
    assert all(record.exc_info for record in caplog.records)


def test_without_a_data_provider_the_tab_says_what_to_do() -> None:
    reply = client(None, "runs").get("/runs")
    assert reply.status_code == 500
    assert "--generic_data=false" in reply.json["error"]


def test_one_run_that_fails_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradprof.tab.routes import runs

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(runs, "open_run", fail)
    reply = client(Provider({HEADER: b"{}"}), "runs").get("/runs")
    (run,) = reply.json["runs"]
    assert "ZeroDivisionError" in run["error"]


def test_pieces_are_read_once_in_order_and_in_batches() -> None:
    names = [f"{i:03d}" for i in range(100)]
    provider = Provider({name: name.encode() for name in names})
    store = Store(provider)
    for _ in range(2):
        read = store.read(
            ASKER, "run", pieces(*reversed(names)), store_module.BATCH_BYTES // 30, bytes.decode
        )
        assert list(read) == names[::-1]
    assert provider.read == [30, 30, 30, 10]
    list(store.read(ASKER, "run", pieces("000", wall_time=6.0), 1, bytes.decode))
    assert provider.read[-1] == 1  # recorded anew, so read anew
    with pytest.raises(Missing, match="nope"):
        list(store.read(ASKER, "run", pieces("000", "nope"), 1, bytes.decode))


def test_tags_are_listed_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(store_module.time, "monotonic", lambda: now)
    provider = Provider({"a": b""})
    store = Store(provider)
    first = store.listing(ASKER, "run")
    now += 0.9
    provider.data["b"] = b""
    assert store.listing(ASKER, "run") is first
    now += 0.2
    second = store.listing(ASKER, "run")
    assert set(second) == {"a", "b"}
    now += 2
    assert store.listing(ASKER, "run") is second  # nothing new: what was worked out stays
    assert provider.listed == 3
    assert store.listing(ASKER, "nope") == {}


def test_several_threads_get_the_same() -> None:
    names = [f"{i:03d}" for i in range(200)]
    store = Store(Provider({name: name.encode() * 100_000 for name in names}))
    found: list[int] = []

    def read() -> None:
        for data in store.read(ASKER, "run", pieces(*names), store_module.BATCH_BYTES // 7, bytes):
            found.append(len(data))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [300_000] * 1200
    assert store.cache.n_bytes <= store_module.CACHE_BYTES


_LOADED = "import sys; print(sorted({name.split('.')[0] for name in sys.modules}))"


def test_what_tensorboard_imports_at_its_start_is_light() -> None:
    code = "import sys, tensorboard.main; before = set(sys.modules)\n"
    code += "from tensorboard.default import get_dynamic_plugins; plugins = get_dynamic_plugins()\n"
    code += "print([plugin.__name__ for plugin in plugins], *sorted(set(sys.modules) - before))"
    result = python(f"import warnings; warnings.simplefilter('ignore')\n{code}")
    assert result.returncode == 0, result.stderr
    assert "GradientsPlugin" in result.stdout
    new = {name for name in result.stdout.split() if name.startswith("gradprof")}
    assert new == {
        "gradprof",
        "gradprof.tab",
        "gradprof.tab.plugin",
        "gradprof.tab.routes",
        "gradprof.version",
    }
    assert not {"torch", "numba", "scipy", "matplotlib"} & set(result.stdout.split())


def test_no_route_ever_loads_torch() -> None:
    code = (
        "import gradprof.tab.plugin\nfrom importlib import import_module\n"
        "from gradprof.tab.routes import ROUTES\n"
        "for route in ROUTES: import_module(f'gradprof.tab.routes.{route}')\n"
    )
    result = python(code + _LOADED)
    assert result.returncode == 0, result.stderr
    assert "'numpy'" in result.stdout
    assert "'torch'" not in result.stdout


def test_the_check_for_torch_can_fail() -> None:
    assert "'torch'" in python("import gradprof; gradprof.measure\n" + _LOADED).stdout
