"""The parameter shapes of three well-known models, from their published configurations.

    resnet50       He et al., arXiv:1512.03385, as torchvision.models.resnet50 builds it
    GPT-2 medium   Radford et al., 2019: 24 layers, width 1024, the output head tied to the embedding
    Llama 3 8B     arXiv:2407.21783, table 3: 32 layers, width 4096, 8 key-value heads, an untied head

Only shapes: nothing is downloaded, and no model is built.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

Shape = tuple[int, ...]


def numel_of(shapes: Sequence[Shape]) -> int:
    return sum(math.prod(shape) for shape in shapes)


@dataclass(frozen=True)
class Model:
    """Shapes of all parameters; `outside` are those before and after the layers."""

    name: str
    dtype: torch.dtype
    outside: tuple[Shape, ...]
    layers: tuple[tuple[Shape, ...], ...]

    @property
    def shapes(self) -> list[Shape]:
        return [*self.outside, *_joined(self.layers)]

    def part(self, fits: Callable[[Sequence[Shape]], bool]) -> Part | None:
        """The whole model, or as many of its layers, or of one layer's tensors, as `fits` accepts.

        None if not even one tensor fits.
        """
        if fits(self.shapes):
            return Part(self.name, self, self.shapes)
        n_layers = len(self.layers)
        for n in range(n_layers, 0, -1):
            if fits(shapes := _joined(self.layers[:n])):
                return Part(f"{self.name}, {n} of {n_layers} layers", self, shapes)
        layer = self.layers[0]
        for n in range(len(layer) - 1, 0, -1):
            if fits(layer[:n]):
                return Part(f"{self.name}, {n} of {len(layer)} tensors of a layer", self, list(layer[:n]))
        return None


@dataclass(frozen=True)
class Part:
    """As much of a model as is measured."""

    label: str
    model: Model
    shapes: list[Shape]

    @property
    def numel(self) -> int:
        return numel_of(self.shapes)

    @property
    def whole(self) -> bool:
        return len(self.shapes) == len(self.model.shapes)


def _joined(layers: Sequence[tuple[Shape, ...]]) -> list[Shape]:
    return [shape for layer in layers for shape in layer]


def _resnet50() -> Model:
    """A layer is a bottleneck block: three convolutions, each with the two vectors of its batch norm."""

    def convolution(n_out: int, n_in: int, size: int) -> tuple[Shape, ...]:
        return (n_out, n_in, size, size), (n_out,), (n_out,)

    layers = []
    n_in = 64
    for width, n_blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(n_blocks):
            n_out = 4 * width
            shapes = (
                *convolution(width, n_in, 1),
                *convolution(width, width, 3),
                *convolution(n_out, width, 1),
            )
            layers.append(shapes + (convolution(n_out, n_in, 1) if block == 0 else ()))
            n_in = n_out
    outside = (*convolution(64, 3, 7), (1000, 2048), (1000,))
    return Model("resnet50", torch.float32, outside, tuple(layers))


def _gpt2_medium() -> Model:
    width, context, vocabulary, n_layers = 1024, 1024, 50257, 24
    norm = ((width,), (width,))

    def linear(n_in: int, n_out: int) -> tuple[Shape, ...]:
        return (n_in, n_out), (n_out,)

    layer = (
        *norm,
        *linear(width, 3 * width),
        *linear(width, width),
        *norm,
        *linear(width, 4 * width),
        *linear(4 * width, width),
    )
    outside = ((vocabulary, width), (context, width), *norm)
    return Model("GPT-2 medium", torch.float32, outside, (layer,) * n_layers)


def _llama3_8b() -> Model:
    width, mlp, vocabulary, n_layers = 4096, 14336, 128256, 32
    key_value = 8 * 128
    layer = (
        (width, width),
        (key_value, width),
        (key_value, width),
        (width, width),
        (mlp, width),
        (mlp, width),
        (width, mlp),
        (width,),
        (width,),
    )
    outside = ((vocabulary, width), (width,), (vocabulary, width))
    return Model("Llama 3 8B", torch.bfloat16, outside, (layer,) * n_layers)


MODELS = {model.name: model for model in (_resnet50(), _gpt2_medium(), _llama3_8b())}
