"""The parameter shapes of three well-known models, from the models themselves on the meta device."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain

import torch
from torch import nn

Shape = tuple[int, ...]


def numel_of(shapes: Sequence[Shape]) -> int:
    return sum(math.prod(shape) for shape in shapes)


@dataclass(frozen=True)
class Model:
    """Shapes of all parameters, and those of each layer, in the model's order."""

    name: str
    dtype: torch.dtype
    shapes: list[Shape]
    layers: list[list[Shape]]

    def part(self, fits: Callable[[Sequence[Shape]], bool]) -> Part | None:
        """The whole model, or as many of its layers, or of one layer's tensors, as `fits` accepts.

        None if not even one tensor fits.
        """
        if fits(self.shapes):
            return Part(self.name, self, self.shapes)
        n_layers, layer = len(self.layers), self.layers[0]
        for n in range(n_layers, 0, -1):
            if fits(shapes := [*chain.from_iterable(self.layers[:n])]):
                return Part(f"{self.name}, {n} of {n_layers} layers", self, shapes)
        for n in range(len(layer) - 1, 0, -1):
            if fits(layer[:n]):
                return Part(f"{self.name}, {n} of {len(layer)} tensors of a layer", self, layer[:n])
        return None


@dataclass(frozen=True)
class Part:
    """As much of a model as is measured."""

    label: str
    model: Model
    shapes: list[Shape]

    @cached_property
    def numel(self) -> int:
        return numel_of(self.shapes)


@cache
def load_model(name: str) -> Model:
    """One of `MODELS`.

    Raises:
        ModuleNotFoundError: torchvision or transformers is not installed.
    """
    build, dtype = _BUILDERS[name]
    with torch.device("meta"):
        named = [(name, tuple(param.shape)) for name, param in build().named_parameters()]
    layers: dict[str, list[Shape]] = {}
    for param, shape in named:
        if found := _IN_LAYER.match(param):
            layers.setdefault(found[1], []).append(shape)
    return Model(name, dtype, [shape for _, shape in named], list(layers.values()))


_IN_LAYER = re.compile(r"(.*?\.\d+)\.")
"""Such as `layer1.0.conv1.weight`, `transformer.h.0.ln_1.bias`, `model.layers.0.mlp.up_proj.weight`."""


def _resnet50() -> nn.Module:
    from torchvision.models import resnet50

    return resnet50()


def _gpt2_medium() -> nn.Module:
    from gradprof.workloads.decoders import build_decoder, decoder_config

    config = decoder_config("gpt2")
    config.update({"n_layer": 24, "n_head": 16, "n_embd": 1024})
    return build_decoder(config)


def _llama3_8b() -> nn.Module:
    from gradprof.workloads.decoders import build_decoder, decoder_config

    return build_decoder(decoder_config("llama"))


_BUILDERS: dict[str, tuple[Callable[[], nn.Module], torch.dtype]] = {
    "resnet50": (_resnet50, torch.float32),
    "GPT-2 medium": (_gpt2_medium, torch.float32),
    "Llama 3 8B": (_llama3_8b, torch.bfloat16),
}
MODELS = tuple(_BUILDERS)
