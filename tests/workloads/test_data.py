"""The datasets: what they hold, how they are given out, and where they are read from."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradprof.workloads.data import load_dataset

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data goes to a directory of the test's own."""
    monkeypatch.chdir(tmp_path)


def test_digits_are_threes_and_sevens() -> None:
    data = load_dataset("digits", Path("data"), False, 64, CPU)
    assert (len(data.train), len(data.validation), data.n_classes) == (290, 72, 2)
    for part in (data.train, data.validation):
        assert 0.4 < part.labels.float().mean() < 0.6
    images = torch.cat([batch for batch, _ in data.validation_batches(32)])
    assert images.shape == (72, 3, 64, 64)
    assert images.dtype == torch.float32
    assert abs(images.mean()) < 0.1
    assert images.std() == pytest.approx(1, abs=0.25)


def test_an_epoch_is_full_batches_of_different_images() -> None:
    data = load_dataset("fake", Path("data"), False, 8, CPU)
    batches = list(data.train_batches(60, torch.Generator().manual_seed(0)))
    assert [len(labels) for _, labels in batches] == [60, 60, 60, 60]
    assert len(torch.cat([images for images, _ in batches]).flatten(1).unique(dim=0)) == 240


def write_idx(path: Path, values: np.ndarray) -> None:
    """MNIST's format: two zeros, the type, the number of dimensions, their sizes, the bytes."""
    head = bytes([0, 0, 8, values.ndim]) + b"".join(struct.pack(">I", n) for n in values.shape)
    path.write_bytes(head + values.tobytes())


def test_mnist_is_read_from_the_data_root(tmp_path: Path) -> None:
    raw = tmp_path / "here" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, n in (("train", 20), ("t10k", 5)):
        write_idx(raw / f"{part}-images-idx3-ubyte", random.integers(0, 256, (n, 28, 28), dtype=np.uint8))
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8) % 10)
    data = load_dataset("mnist", tmp_path / "here", False, 14, CPU)
    assert (len(data.train), len(data.validation), data.n_classes) == (20, 5, 10)
    images, labels = next(data.validation_batches(5))
    assert images.shape == (5, 3, 14, 14)
    assert labels.tolist() == [0, 1, 2, 3, 4]


class OldDtype:
    """Pickles as an old numpy's uint8 does, which numpy 2.4 warns about."""

    def __reduce__(self) -> Any:
        return np.dtype, ("u1", 0, 1)


def test_cifar10_is_read_from_the_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        pixels = np.zeros((2, 3072), dtype=np.uint8)
        pixels[:, :1024] = 255  # red: planes come first
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": [1, 9], "old": OldDtype()}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    data = load_dataset("cifar10", Path("data"), False, 32, CPU)
    assert (len(data.train), len(data.validation)) == (10, 2)
    assert data.validation.pixels[0, :, 5, 7].tolist() == [255, 0, 0]
    assert data.validation.labels.tolist() == [1, 9]
