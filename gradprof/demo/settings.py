"""What the demo can be asked for, with its defaults; no torch, so that `--help` is quick."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """One training; the defaults take well under a minute on two CPU cores."""

    model: str = "resnet18"
    dataset: str = "digits"
    data_root: Path = Path("data")
    download: bool = False
    lr: float = 0.01
    """The largest of the one-cycle schedule."""
    epochs: int = 10
    batch_size: int = 32
    image_size: int = 64
    """Height and width that images are resized to."""
    device: str | None = None
    """None: cuda where there is one, else cpu."""
    seed: int = 0
    logdir: Path | None = None
    """None: a new directory below `runs`."""
    ascend: bool = False
    watch: bool = True

    def check(self) -> None:
        """
        Raises:
            ValueError: a number that no training can use.
        """
        for option in ("epochs", "batch_size", "image_size"):
            if (value := getattr(self, option)) < 1:
                raise ValueError(f"--{option.replace('_', '-')} is {value}: expected 1 or more")
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ValueError(f"--lr is {self.lr:g}: expected a finite number above 0, such as 0.01")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"--seed is {self.seed}: expected a number from 0 to 2**63 - 1")
