"""What can be trained on, by name; no torch, so that `--help` is quick."""

from __future__ import annotations

DATASETS = {
    "digits": "handwritten 3s and 7s of 8x8 pixels, part of scikit-learn",
    "mnist": "handwritten digits of 28x28",
    "cifar10": "photographs of 32x32 in 10 classes",
    "fake": "noise, for a quick try of a model",
}
