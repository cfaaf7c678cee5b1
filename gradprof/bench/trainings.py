"""What the step benchmark trains: a classifier or decoder of those we bring, or the caller's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .target import Training, target_maker

DECODERS = ("gpt2", "llama")

N_BATCHES = 4
_N_CLASSES = 10
_BATCH_SIZE = {"images": 32, "sequences": 4}
_SCALE = {("gpt2", "cpu"): 1 / 4, ("gpt2", "cuda"): 1.0, ("llama", "cpu"): 1 / 16, ("llama", "cuda"): 1 / 4}
"""So that several twins fit, and one step of them ends within a second or so."""


@dataclass(frozen=True)
class Setup:
    """What is trained. A `target` is given as `module:function`, and then the other sizes mean nothing."""

    model: str
    batch_size: int | None
    image_size: int
    device: torch.device
    tokens: int = 64
    scale: float | None = None
    target: str | None = None

    @property
    def sequences(self) -> bool:
        return self.model in DECODERS

    @property
    def batch(self) -> int:
        return self.batch_size or _BATCH_SIZE["sequences" if self.sequences else "images"]

    @property
    def size(self) -> float:
        """The scale of a decoder."""
        return self.scale or _SCALE[self.model, self.device.type]

    def options(self) -> dict[str, object]:
        """What of it has a meaning."""
        if self.target is not None:
            return {"target": self.target, "device": str(self.device)}
        size = (
            {"tokens": self.tokens, "scale": self.size} if self.sequences else {"image_size": self.image_size}
        )
        return {"model": self.model, "batch_size": self.batch, **size, "device": str(self.device)}

    def __str__(self) -> str:
        if self.target is not None:
            what = self.target
        elif self.sequences:
            what = f"{self.model} at scale {self.size:g}, batch {self.batch} of {self.tokens} tokens"
        else:
            what = f"{self.model}, batch {self.batch} of 3x{self.image_size}x{self.image_size}"
        return f"{what}, SGD with momentum, on {self.device}"


Make = Callable[[], Training]


def maker(setup: Setup) -> Make:
    """What makes the training, on the device; with the same random numbers it makes the same one.

    Raises:
        ImportError: the package that the model comes from is not installed.
        ValueError: there is no such model or target, or it cannot be trained like this.
    """
    if setup.target is not None:
        return target_maker(setup.target, setup.device, N_BATCHES)
    try:
        return _decoder_maker(setup) if setup.sequences else _classifier_maker(setup)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("torchvision", "transformers"):
            raise
        raise ImportError(f'{setup.model} needs {package}: pip install "gradprof[bench]"') from error


def _classifier_maker(setup: Setup) -> Make:
    from gradprof.workloads.classifiers import build_model, classification_loss

    size, device = setup.image_size, setup.device

    def make() -> Training:
        model = build_model(setup.model, _N_CLASSES, size, setup.batch).to(device)
        images = torch.randn(N_BATCHES, setup.batch, 3, size, size, device=device)
        labels = torch.randint(_N_CLASSES, (N_BATCHES, setup.batch), device=device)
        return Training(model, list(zip(images, labels, strict=True)), loss)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        return classification_loss(model(images), labels)

    return make


def _decoder_maker(setup: Setup) -> Make:
    from gradprof.workloads.decoders import build_decoder, decoder_config, next_token_loss

    config = decoder_config(setup.model, setup.size)
    if setup.tokens > config.max_position_embeddings:
        raise ValueError(
            f"--tokens is {setup.tokens}: {setup.model} takes at most {config.max_position_embeddings}"
        )

    def make() -> Training:
        with setup.device:
            model = build_decoder(config)
            tokens = torch.randint(config.vocab_size, (N_BATCHES, setup.batch, setup.tokens + 1))
        return Training(model, list(tokens), next_token_loss)

    return make
