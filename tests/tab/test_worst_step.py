"""The step behind a cell, where steps without a value lie beside steps of which the log10 is −inf."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradprof.read.opening import open_recording
from gradprof.read.source import FileSource
from gradprof.tab.routes.cell import worst_step
from runs import write_gradients

NAN = float("nan")


@pytest.mark.parametrize("without", [None, [NAN]], ids=["no gradient", "only NaN"])
@pytest.mark.parametrize("n_before", [3, 70, 600])
def test_a_norm_of_0_is_more_than_none(tmp_path: Path, without: list[float] | None, n_before: int) -> None:
    gradients = [without] * n_before + [[0.0, NAN]] + [[0.0]] * 600
    recording = open_recording(FileSource(write_gradients(tmp_path, {"param/a": gradients})))
    assert worst_step(recording, 0, "log10_l2", 0, recording.n) == n_before
    assert worst_step(recording, 0, "log10_l2", 1, n_before + 2) == n_before
