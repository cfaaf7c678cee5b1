"""A real TensorBoard over a log directory, and the tab's routes as a reader of them sees them."""

from __future__ import annotations

import http.client
import json
import re
import struct
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

PREFIX = "/data/plugin/gradprof/"


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"].startswith("application/json"), self.headers
        return json.loads(self.data, parse_constant=_no_constant)

    @property
    def arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        assert self.headers["content-type"] == "application/octet-stream", self.data[:500]
        return unframe(self.data)


class Server:
    """A running TensorBoard."""

    def __init__(self, address: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.address = address
        self.process = process
        self.log = log

    def request(self, path: str, method: str = "GET", body: bytes | None = None) -> Reply:
        """One request of a path with its query, as it is."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, headers, response.read())
        finally:
            connection.close()

    def get(self, route: str, **query: Any) -> Reply:
        """A route of the tab; `from_` stands for `from`, a list for a parameter given several times."""
        named = {name.rstrip("_"): value for name, value in query.items()}
        return self.request(f"{PREFIX}{route}?{urllib.parse.urlencode(named, doseq=True)}")

    def wait_for(self, steps: dict[str, int | None]) -> None:
        """Until every run is listed with that many steps, None for one that cannot be read."""
        for _ in range(300):
            reply = self.get("runs")
            assert reply.status == 200, reply.data.decode() + self.log.read_text()
            listed = {run["run"]: run["steps"] for run in reply.json["runs"]}
            if listed == steps:
                return
            time.sleep(0.1)
        raise AssertionError(f"expected {steps}, got {listed}\n{self.log.read_text()}")


S = TypeVar("S", bound=Server)


@contextmanager
def serve(logdir: Path, log: Path, *flags: str, server: type[S] = Server) -> Iterator[S]:  # type: ignore[assignment]
    """TensorBoard on a free port of this machine only."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0", *flags]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            for _ in range(600):
                if found := re.search(r"http://(localhost:\d+)/", log.read_text()):
                    break
                time.sleep(0.1)
            else:
                raise AssertionError(f"TensorBoard did not start:\n{log.read_text()}")
            yield server(found[1], process, log)
        finally:
            process.kill()


def unframe(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of a binary answer."""
    (length,) = struct.unpack_from("<I", data)
    assert (4 + length) % 8 == 0
    header = json.loads(data[4 : 4 + length], parse_constant=_no_constant)
    at, arrays = 4 + length, {}
    for entry in header["arrays"]:
        dtype, shape = np.dtype(entry["dtype"]).newbyteorder("<"), entry["shape"]
        arrays[entry["name"]] = np.frombuffer(data, dtype, int(np.prod(shape)), at).reshape(shape)
        at += arrays[entry["name"]].nbytes
    assert at == len(data)
    return header, arrays


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")
