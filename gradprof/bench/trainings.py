"""What the step benchmark trains: a classifier of torchvision's, a decoder, or the caller's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradprof.record.sites import near_names

DECODERS = ("gpt2", "llama")

N_BATCHES = 4
_N_CLASSES = 10
_BATCH_SIZE = {"images": 32, "sequences": 4}
_SCALE = {("gpt2", "cpu"): 1 / 4, ("gpt2", "cuda"): 1.0, ("llama", "cpu"): 1 / 16, ("llama", "cuda"): 1 / 4}
"""So that several twins fit, and one step of them ends within a second or so."""


@dataclass
class Training:
    """One model with what it is trained on."""

    model: nn.Module
    batches: Sequence[Any]
    loss: Callable[[nn.Module, Any], Tensor]
    """Of the model on one batch, a tensor of one element."""


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


def maker(setup: Setup) -> Callable[[], Training]:
    """What makes the training, on the device; with the same random numbers it makes the same one.

    Raises:
        ImportError: torchvision is not installed.
        ValueError: there is no such model or target.
    """
    if setup.target is not None:
        from .target import target_maker

        return target_maker(setup.target, setup.device, N_BATCHES)
    return _decoder_maker(setup) if setup.sequences else _classifier_maker(setup)


def _classifier_maker(setup: Setup) -> Callable[[], Training]:
    try:
        from torchvision import models
    except ImportError as error:
        raise ImportError("the step benchmark needs torchvision: pip install torchvision") from error
    name, size = setup.model, setup.image_size
    names = models.list_models(module=models)
    if name not in names:
        raise ValueError(f"torchvision has no model {name!r}; {near_names(name, [*DECODERS, *names])}")
    options: dict[str, Any] = {"weights": None, "num_classes": _N_CLASSES}
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False  # takes minutes
    elif name.startswith("vit_"):
        options["image_size"] = size

    def make() -> Training:
        model = models.get_model(name, **options).to(setup.device)
        images = torch.randn(N_BATCHES, setup.batch, 3, size, size, device=setup.device)
        labels = torch.randint(_N_CLASSES, (N_BATCHES, setup.batch), device=setup.device)
        return Training(model, list(zip(images, labels, strict=True)), _classification_loss)

    return make


def _decoder_maker(setup: Setup) -> Callable[[], Training]:
    from gradprof.workloads.decoders import GPT2, LLAMA, Gpt2, Llama

    whole, kind = (GPT2, Gpt2) if setup.model == "gpt2" else (LLAMA, Llama)
    shape = whole.scaled(setup.size)
    if setup.tokens > shape.context:
        raise ValueError(f"--tokens is {setup.tokens}: {setup.model} takes at most {shape.context}")

    def make() -> Training:
        with setup.device:  # made where it is trained: a large one takes minutes on the host
            model = kind(shape)
            size = (N_BATCHES, setup.batch, setup.tokens + 1)
            tokens = torch.randint(shape.vocabulary, size)
        return Training(model, list(tokens), _next_token_loss)

    return make


def _classification_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    images, labels = batch
    output = model(images)
    logits = output if isinstance(output, Tensor) else output[0]
    return nn.functional.cross_entropy(logits, labels)


def _next_token_loss(model: nn.Module, tokens: Tensor) -> Tensor:
    logits = model(tokens[:, :-1])
    return nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
