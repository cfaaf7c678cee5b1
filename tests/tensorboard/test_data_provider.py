"""The block tags come through TensorBoard's data providers whole, with no flags: what a tab will read."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.data_ingester import LocalDataIngester
from tensorboard.context import RequestContext
from tensorboard.data import server_ingester
from tensorboard.util import grpc_util

import gradprof
from gradprof.events import tags
from gradprof.events.block import EncodedHist, EncodedRows
from gradprof.kernels.row import ROW_DTYPE


def python_provider(logdir: Path) -> Any:
    flags = argparse.Namespace(
        logdir=str(logdir),
        logdir_spec="",
        purge_orphaned_data=True,
        reload_interval=0,
        reload_multifile=False,
        reload_multifile_inactive_secs=0,
        generic_data="auto",
        samples_per_plugin={},
        max_reload_threads=1,
        reload_task="blocking",
        detect_file_replacement=None,
        window_title="",
    )
    ingester = LocalDataIngester(flags)
    ingester.start()
    return ingester.data_provider


def rust_provider(logdir: Path) -> Any:
    ingester = server_ingester.SubprocessServerDataIngester(
        server_binary=server_ingester.get_server_binary(),
        logdir=str(logdir),
        reload_interval=0,
        channel_creds_type=grpc_util.ChannelCredsType.LOCAL,
    )
    ingester.start()
    return ingester.data_provider


# TensorBoard leaves the pipe to its data server open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("provider", [python_provider, rust_provider])
def test_every_row_comes_back(provider: Any, logdir: Path) -> None:
    data = provider(logdir)
    run = gradprof.load(logdir / "real")
    own, hists = (read_all(data, plugin) for plugin in (tags.PLUGIN_NAME, tags.HIST_PLUGIN_NAME))
    header = json.loads(own.pop(tags.HEADER).item())
    assert [site["label"] for site in header["sites"]] == run.sites
    np.testing.assert_array_equal(header["bin_edges"], gradprof.BIN_EDGES)

    blocks = {tags.parse(tag): EncodedRows(own[tag].tobytes()) for tag in sorted(own)}
    assert np.concatenate([block.steps for block in blocks.values()]).tolist() == run.steps.tolist()
    rows = np.zeros((len(run.steps), len(run.sites)), dtype=ROW_DTYPE)
    for tag, block in blocks.items():
        fields = block.fields()
        for name in fields.dtype.names or ():
            rows[name][tag.ordinal : tag.ordinal + len(fields)] = fields[name]
    for tag in map(tags.parse, hists):
        hist = EncodedHist(hists[str(tag)].tobytes()).hist()
        sites = tags.group_sites(tag.group, tag.n_groups, len(run.sites))
        rows["hist"][tag.ordinal : tag.ordinal + len(hist), sites] = hist
    for step in run.steps:
        record = run.record(step)
        for i, label in enumerate(run.sites):
            assert gradprof.TensorStats.from_row(rows[step, i]) == record[label]


def read_all(data: Any, plugin_name: str) -> dict[str, Any]:
    """The array of every tag of a plugin, each of which has one."""
    listed = data.list_tensors(RequestContext(), experiment_id="", plugin_name=plugin_name)
    assert all(len(tag) < 80 for tag in listed["real"])
    read = data.read_tensors(RequestContext(), experiment_id="", plugin_name=plugin_name, downsample=1000)
    return {tag: datum.numpy for tag, (datum,) in read["real"].items()}
