"""Classifiers of torchvision's, untrained, and the loss to train them on."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision

from gradprof.workloads.classifiers import AUXILIARY_WEIGHT, build_model, classification_loss

pytestmark = pytest.mark.usefixtures("one_thread")


def test_checking_a_model_changes_nothing() -> None:
    """The random numbers after it, and the statistics in it, are those of a model just made."""
    torch.manual_seed(0)
    built = build_model("resnet18", 2, 64, 32)
    after = torch.rand(3)
    torch.manual_seed(0)
    plain = torchvision.models.resnet18(weights=None, num_classes=2)
    assert torch.equal(after, torch.rand(3))
    for name, value in plain.state_dict().items():
        assert torch.equal(value, built.state_dict()[name])


def test_auxiliary_classifiers_count_less() -> None:
    main, auxiliary = torch.randn(2, 5, 3)
    labels = torch.tensor([0, 1, 2, 0, 1])
    alone = classification_loss(main, labels)
    assert torch.equal(alone, F.cross_entropy(main, labels))
    both = classification_loss((main, auxiliary), labels)
    assert float(both) == pytest.approx(float(alone + AUXILIARY_WEIGHT * F.cross_entropy(auxiliary, labels)))
