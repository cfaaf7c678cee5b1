"""Whatever is asked, and whatever lies in the log directory: a reason, and TensorBoard stays up."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from recorded import BROKEN_HEADER, CUT, DAMAGED, EMPTY_HEADER, HEADLESS, LONG, OLD
from serving import PREFIX, Reply, Server

import gradprof
from gradprof.tab.routes import ROUTES

HEATMAP = {"run": LONG, "metric": "log10_l2"}
SITE = {"run": LONG, "site": 0}
NUMBERS = ["-1", "1e3", "1.5", "nan", "", " 1", "0x1", "1" * 400, "9" * 16, "١", "' OR 1=1", "<b>", "\0"]


def refused(reply: Reply, status: int = 400) -> str:
    """The reason why; it is plain, short and nothing but JSON."""
    assert reply.status == status, reply.data[:300]
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["x-content-type-options"] == "nosniff"
    (error,) = reply.json.values()
    assert "Traceback" not in error
    assert len(error) < 500
    return error


@pytest.mark.parametrize(
    ("route", "query", "reason"),
    [
        ("run", {}, "'run' was given 0 times"),
        ("run", {"run": ["a", "b"]}, "'run' was given 2 times"),
        ("run", {"run": "nope"}, "there is no run 'nope'"),
        ("run", {"run": "../../etc/passwd"}, "there is no run"),
        ("run", {"run": "<script>alert(1)</script>"}, "there is no run '<script>"),
        ("run", {"run": "foreign"}, "there is no run"),
        ("run", {"run": "x" * 5000}, "5000 characters"),
        ("heatmap", {"run": LONG}, "'metric' was given 0 times"),
        ("heatmap", {"run": LONG, "metric": "__class__"}, "expected one of log10_abs_max"),
        ("heatmap", {**HEATMAP, "kind": "Param"}, "expected one of all, param"),
        ("heatmap", {**HEATMAP, "columns": 4097}, "from 1 to 4096"),
        ("heatmap", {**HEATMAP, "columns": 0}, "from 1 to 4096"),
        ("heatmap", {**HEATMAP, "from_": 9, "to": 3}, "expected 'from' before 'to'"),
        ("heatmap", {**HEATMAP, "from_": [1, 2]}, "'from' was given 2 times"),
        ("site", {"run": LONG}, "'site' was given 0 times"),
        ("site", {"run": LONG, "site": 12}, "from 0 to 11"),
        ("cell", {**SITE, "metric": "log10_l2", "from_": 5, "to": 5}, "holds none"),
        ("cell", {**SITE, "metric": "log10_l2", "from_": 10**9}, "holds none"),
        ("step", {"run": LONG}, "expected either 'ordinal' or 'step'"),
        ("step", {"run": LONG, "ordinal": 1, "step": 3}, "expected either 'ordinal' or 'step'"),
        ("step", {"run": LONG, "ordinal": 1300}, "from 0 to 1299"),
        ("step", {"run": LONG, "step": 1}, "step 1 was not observed"),
        ("step", {"run": LONG, "step": 10**15}, "was not observed"),
        ("step", {"run": LONG, "step": -4}, "was not observed"),
    ],
)
def test_a_wrong_request_is_told_why(server: Server, route: str, query: dict[str, Any], reason: str) -> None:
    assert reason in refused(server.get(route, **query))


def test_what_is_no_number_is_refused_everywhere(server: Server) -> None:
    for number in NUMBERS:
        for name in ("from_", "to", "columns"):
            refused(server.get("heatmap", **{**HEATMAP, name: number}))
        for name in ("site", "from_", "columns"):
            refused(server.get("site", **{**SITE, name: number}))
        refused(server.get("step", run=LONG, ordinal=number))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(server: Server, method: str) -> None:
    for route in (*ROUTES, "index.js"):
        reply = server.request(PREFIX + route, method, b"{}")
        assert "expected GET" in refused(reply, 405)
        assert reply.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "static/index.js",
        "index.js/../plugin.py",
        "model/../index.js",
        "model/../../plugin.py",
        "model/",
        "api.js",
        "plugin.py",
        "package.json",
        "%2e%2e/plugin.py",
        "index.js%00.css",
        "",
        "nope",
    ],
)
def test_only_the_declared_routes(server: Server, path: str) -> None:
    reply = server.request(PREFIX + path)
    assert reply.status == 404
    assert b"import" not in reply.data
    assert b"root:" not in reply.data


def test_files_of_the_page_come_as_what_they_are(server: Server) -> None:
    static = Path(gradprof.__file__).parent / "tab" / "static"
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for file in filter(Path.is_file, static.rglob("*")):
        reply = server.request(PREFIX + file.relative_to(static).as_posix())
        assert reply.data == file.read_bytes()
        assert reply.headers["content-type"].split(";")[0] == kinds[file.suffix]
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_runs_that_cannot_be_read_are_listed_with_the_reason(server: Server, logdir: Path) -> None:
    runs = {run["run"]: run for run in server.get("runs").json["runs"]}
    assert "format version 2; this gradprof reads version 3" in runs[OLD]["error"]
    assert "damaged: gradprof/header" in runs[BROKEN_HEADER]["error"]
    assert (runs[CUT]["error"], runs[CUT]["steps"]) == (None, len(gradprof.load(logdir / CUT).steps))
    assert HEADLESS not in runs
    assert "no header" in refused(server.get("run", run=HEADLESS), 422)
    assert "its header is not one of a run" in runs[EMPTY_HEADER]["error"]
    for run in (OLD, BROKEN_HEADER, EMPTY_HEADER):
        for route in ROUTES[1:]:
            query = {**HEATMAP, **SITE, "run": run, "ordinal": 0}
            assert runs[run]["error"] == refused(server.get(route, **query), 422)


def test_damage_is_told_where_it_is_and_the_rest_can_be_seen(server: Server) -> None:
    whole = {**HEATMAP, "run": DAMAGED}
    assert "gradprof/rows/0000004_0000000256: " in refused(server.get("heatmap", **whole, columns=4096), 422)
    assert server.get("heatmap", **whole, to=256).arrays[0]["level"] == 1
    assert server.get("heatmap", **whole, columns=8, to=512).arrays[0]["level"] == 64
    assert "damaged" in refused(server.get("site", run=DAMAGED, site=0, from_=128, to=140), 422)
    server.get("site", run=DAMAGED, site=0, to=128).arrays  # noqa: B018  # asserts that it is one
    assert server.get("step", run=DAMAGED, ordinal=255).json["ordinal"] == 255
    refused(server.get("step", run=DAMAGED, ordinal=256), 422)


def test_a_request_that_is_none_leaves_it_up(server: Server) -> None:
    host, port = server.address.split(":")
    address = f"{PREFIX}heatmap?run=%ff%fe&metric=%zz".encode()
    for junk in (b"GET " + address + b" HTTP/1.0\r\n\r\n", b"\0\1\2\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(junk)
            connection.recv(100)
    assert server.get("runs").status == 200


def test_the_tab_is_listed_and_its_frame_loads(server: Server) -> None:
    listed = server.request("/data/plugins_listing").json["gradprof"]
    assert (listed["tab_name"], listed["enabled"]) == ("Gradients", True)
    assert listed["loading_mechanism"] == {"type": "IFRAME", "module_path": f"{PREFIX}index.js"}
    assert b"./index.js" in server.request("/data/plugin_entry.html?name=gradprof").data
