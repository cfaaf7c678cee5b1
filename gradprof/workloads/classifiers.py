"""Untrained classifiers from torchvision, and the loss to train them on."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.func import functional_call

from gradprof.record.sites import near_names

AUXILIARY_WEIGHT = 0.3  # GoogLeNet's, https://arxiv.org/abs/1409.4842, section 5


def build_model(name: str, n_classes: int, image_size: int, batch_size: int) -> nn.Module:
    """An untrained model that can train on batches `[batch_size, 3, image_size, image_size]`.

    Raises:
        ValueError: there is no such model, or it cannot take such images.
    """
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise ValueError(f"torchvision has no classifier {name!r}; {near_names(name, names)}")
    try:
        model: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=n_classes, **_options(name, image_size)
        )
        _check_images(model, image_size, min(batch_size, 2))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        advice = f"try --image-size {299 if name == 'inception_v3' else 224}"
        if batch_size == 1:
            advice += " or a larger --batch-size"
        raise ValueError(
            f"{name} cannot train on images of {image_size}x{image_size} in batches of {batch_size}: "
            f"{advice} ({reason})"
        ) from error
    return model


def classification_loss(output: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Cross entropy, 0-dim; auxiliary classifiers, which some models add while they train, count less.

    Args:
        output: scores `[n, classes]`, or a tuple of them with the auxiliary ones after the first.
        labels: int64 `[n]`.
    """
    if isinstance(output, Tensor):
        return F.cross_entropy(output, labels)
    main, *auxiliary = output
    loss = F.cross_entropy(main, labels)
    for scores in auxiliary:
        loss = loss + AUXILIARY_WEIGHT * F.cross_entropy(scores, labels)
    return loss


def _options(name: str, image_size: int) -> dict[str, Any]:
    """What some constructors must be told."""
    if name.startswith("vit_"):
        return {"image_size": image_size}
    if name.startswith("maxvit"):
        return {"input_size": (image_size, image_size)}
    if name in ("googlenet", "inception_v3"):
        return {"init_weights": True}  # as by default, which torchvision warns may change
    return {}


def _check_images(model: nn.Module, image_size: int, n_images: int) -> None:
    """Run the forward pass on shapes alone, which computes nothing and leaves the model as it is."""
    state = {
        name: torch.empty_like(value, device="meta")
        for name, value in (*model.named_parameters(), *model.named_buffers())
    }
    images = torch.empty(n_images, 3, image_size, image_size, device="meta")
    with torch.no_grad():
        functional_call(model, state, (images,))
