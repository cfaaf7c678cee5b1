"""The datasets: kept in memory as bytes, normalised and resized batch by batch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .names import DATASETS


@dataclass(frozen=True)
class Images:
    """Pixels, uint8 `[n, channels, height, width]`, and labels, int64 `[n]`."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Images:
        return Images(self.pixels[index], self.labels[index])

    def to(self, device: torch.device) -> Images:
        return Images(self.pixels.to(device), self.labels.to(device))


class Dataset:
    """A training and a validation part, given out as float32 batches `[n, 3, image_size, image_size]`.

    Pixels are normalised to mean 0 and standard deviation 1 over the training part, channel by channel;
    grey images are repeated into three channels.
    """

    def __init__(self, train: Images, validation: Images, n_classes: int, image_size: int) -> None:
        self.train = train
        self.validation = validation
        self.n_classes = n_classes
        self.image_size = image_size
        self._std, self._mean = torch.std_mean(
            train.pixels.float(), dim=(0, 2, 3), keepdim=True, unbiased=False
        )

    def train_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """One shuffled epoch of full batches; the rest is dropped, as BatchNorm fails on a single image."""
        order = torch.randperm(len(self.train), generator=generator)
        for at in range(0, len(order) - batch_size + 1, batch_size):
            yield self._prepare(self.train[order[at : at + batch_size].to(self.train.labels.device)])

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in order."""
        for at in range(0, len(self.validation), batch_size):
            yield self._prepare(self.validation[at : at + batch_size])

    def _prepare(self, images: Images) -> tuple[Tensor, Tensor]:
        pixels = (images.pixels.float() - self._mean) / self._std
        size = (self.image_size, self.image_size)
        pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
        return pixels.expand(-1, 3, -1, -1), images.labels


def load_dataset(name: str, root: Path, download: bool, image_size: int, device: torch.device) -> Dataset:
    """The dataset called `name`, on `device`. Nothing is fetched unless `download` is true.

    Raises:
        ValueError: there is no such dataset.
        FileNotFoundError: it is not below `root`, and was not asked to be downloaded.
        OSError: it could not be downloaded.
        ModuleNotFoundError: the package that it comes from is not installed.
    """
    if name == "digits":
        train, validation, n_classes = _load_digits()
    elif name == "fake":
        train, validation, n_classes = _fake(256), _fake(64), 10
    elif name in DATASETS:
        train, validation = (_load_torchvision(name, root, download, part) for part in (True, False))
        n_classes = 10
    else:
        raise ValueError(f"--dataset is {name!r}: expected one of {', '.join(DATASETS)}")
    return Dataset(train.to(device), validation.to(device), n_classes, image_size)


def _load_digits() -> tuple[Images, Images, int]:
    """The 362 threes and sevens; every fifth is held out."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8)
    labels = torch.from_numpy(digits.target)
    chosen = (labels == 3) | (labels == 7)
    images = Images(pixels[chosen].unsqueeze(1), (labels[chosen] == 7).long())
    held_out = torch.arange(len(images)) % 5 == 4
    return images[~held_out], images[held_out], 2


def _fake(n: int) -> Images:
    generator = torch.Generator().manual_seed(n)
    pixels = torch.randint(256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.randint(10, (n,), generator=generator))


def _load_torchvision(name: str, root: Path, download: bool, train: bool) -> Images:
    from torchvision import datasets

    source = {"mnist": datasets.MNIST, "cifar10": datasets.CIFAR10}[name]
    try:
        with warnings.catch_warnings():
            # CIFAR's files are pickles of an old numpy, which numpy 2.4 warns about when it reads them.
            warnings.filterwarnings("ignore", message=".*align should be passed")
            images = source(str(root), train=train, download=download)
    except (RuntimeError, OSError) as error:
        if download:
            reason = " ".join(str(error).split())
            raise OSError(f"could not download {name} to {str(root)!r}: {reason}") from error
        if isinstance(error, OSError):
            raise
        raise FileNotFoundError(
            f"there is no {name} in {str(root)!r}: add --download to fetch it, or name the directory that "
            "holds it with --data-root"
        ) from error
    pixels, labels = torch.as_tensor(images.data), torch.as_tensor(images.targets)
    # MNIST is [n, 28, 28], CIFAR [n, 32, 32, 3].
    pixels = pixels.unsqueeze(1) if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    return Images(pixels, labels)
