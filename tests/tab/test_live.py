"""A run that is being written: what is flushed appears with TensorBoard's next reload."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from serving import serve

from gradprof.write.run_writer import RunWriter
from runs import header_of, record_of


def write(writer: RunWriter, start: int, stop: int) -> None:
    for step in range(start, stop):
        writer.write(record_of(step, [[step + 1.0], [1.0]]))
    writer.flush()


@pytest.mark.parametrize("loader", ["--load_fast=true", "--load_fast=false"])
def test_a_run_grows(tmp_path: Path, loader: str) -> None:
    writer = RunWriter(tmp_path / "logs" / "live", header_of(["param/a", "output/b"]))
    with serve(tmp_path / "logs", tmp_path / "log", loader, "--reload_interval=1") as server:
        server.wait_for({"live": 0})
        versions = [server.get("run", run="live").json["version"]]
        # Before the first chunk of 512 is complete, after it, and well within the next.
        for start, stop in ((0, 1), (1, 500), (500, 530), (530, 700)):
            write(writer, start, stop)
            server.wait_for({"live": stop})
            run = server.get("run", run="live").json
            assert (run["n"], run["last_step"]) == (stop, stop - 1)
            versions.append(run["version"])
            header, arrays = server.get("heatmap", run="live", metric="log10_abs_max", columns=80).arrays
            assert (header["n"], header["to"]) == (stop, stop)
            latest = np.log10(arrays["last_step"] + 1).astype(np.float32)
            np.testing.assert_array_equal(arrays["values"][0], latest)
            _, arrays = server.get("site", run="live", site=0, columns=5).arrays
            assert arrays["hist"].sum() == stop
    assert len(set(versions)) == len(versions)
    writer.close()
