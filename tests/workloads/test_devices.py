"""Devices by name: what torch can use here, and of the types that will do."""

from __future__ import annotations

import pytest
import torch

from gradprof.workloads.devices import choose_device


def test_the_default_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, name in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device(None) == torch.device(name)


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:99", "cpu:x"])
def test_what_cannot_be_used_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"--device '{name}' cannot be used: .*; expected such as cpu"):
        choose_device(name)


def test_another_type_is_refused() -> None:
    assert choose_device("cpu", ("cpu", "cuda")) == torch.device("cpu")
    with pytest.raises(ValueError, match="--device is 'cpu': expected cuda or xpu"):
        choose_device("cpu", ("cuda", "xpu"))
