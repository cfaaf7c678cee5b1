"""The models that watching is tested on: small, but real architectures with the traps of real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn


def resnet18() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    """In-place ReLU and `out += identity`, which full backward hooks break on."""
    model = torchvision.models.resnet18(num_classes=4)
    return model, classify((4, 3, 32, 32), 4)


def vit() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    """Attention whose output projection is never called as a module."""
    model = torchvision.models.VisionTransformer(
        image_size=16, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=4
    )
    return model, classify((4, 3, 16, 16), 4)


class Tagger(nn.Module):
    """An LSTM, whose output is a tuple with a tuple in it; every part of it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.lstm = nn.LSTM(8, 12, num_layers=2, batch_first=True)
        self.head = nn.Linear(12, 11)

    def forward(self, tokens: Tensor) -> Tensor:
        states, (hidden, cell) = self.lstm(self.embed(tokens))
        return self.head(states + hidden[-1].unsqueeze(1) + cell[-1].unsqueeze(1))


def lstm() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    return Tagger(), next_token


class TiedTransformer(nn.Module):
    """A decoder whose output layer shares the embedding's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.head(self.layers(self.embed(tokens), mask=mask, is_causal=True))


def tied_transformer() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    return TiedTransformer(), next_token


@dataclass
class Pair:
    """What a module may return besides tensors and tuples."""

    left: Tensor
    right: Tensor


class Split(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> object:
        left, right = x * self.scale, x.sin()
        if self.form == "dict":
            return {"left": left, "right": [right, "text", None]}
        return Pair(left, right)


class Twice(nn.Module):
    """A module called twice in a step, in-place activations, outputs in a dict and a dataclass."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(6, 6)
        self.act = nn.ReLU(inplace=True)
        self.as_dict = Split("dict")
        self.as_dataclass = Split("dataclass")
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.shared(self.act(self.shared(x))))
        split = self.as_dict(x)
        pair = self.as_dataclass(split["left"] + split["right"][0])
        return self.head(pair.left * pair.right)


def twice() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    return Twice(), classify((8, 6), 4)


MODELS = {f.__name__: f for f in (resnet18, vit, lstm, tied_transformer, twice)}


def mlp() -> nn.Module:
    """The smallest thing worth watching, for what does not depend on the model."""
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def classify(shape: tuple[int, ...], n_classes: int) -> Callable[[nn.Module], Tensor]:
    def loss_of(model: nn.Module) -> Tensor:
        x = torch.randn(shape)
        return F.cross_entropy(model(x), torch.randint(0, n_classes, shape[:1]))

    return loss_of


def next_token(model: nn.Module) -> Tensor:
    tokens = torch.randint(0, 11, (3, 7))
    return F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
