"""A TensorBoard that is asked what its own dashboards show."""

from __future__ import annotations

import json
import time
import urllib.parse
from typing import Any

from serving import Server

STEPS = 40
"""Of the recorded run."""


class StockServer(Server):
    """A running TensorBoard, asked what its own dashboards show."""

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def ask(self, path: str, **query: str) -> Any:
        reply = self.request(f"{path}?{urllib.parse.urlencode(query)}")
        assert reply.status == 200, reply.data
        return json.loads(reply.data)

    def wait_until_loaded(self, run: str, tag: str, step: int) -> None:
        """Until scalar `tag` has `step`: loading goes on in the background."""
        for _ in range(600):
            if tag in self.ask("/data/plugin/scalars/tags").get(run, {}):
                served = self.ask("/data/plugin/scalars/scalars", run=run, tag=tag)
                if served[-1][1] >= step:
                    return
            time.sleep(0.1)
        raise AssertionError(f"step {step} of {tag!r} in {run!r} was never served")
