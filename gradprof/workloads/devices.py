"""Which device to train on."""

from __future__ import annotations

import re

import torch


def choose_device(name: str | None) -> torch.device:
    """The device called `name`; without a name, cuda where there is one, else cpu.

    Raises:
        ValueError: torch knows no such device, or cannot use it here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # the device must hold a number and give it back
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = re.split(r"\.\s|\n", str(error))[0]  # the rest is for developers of torch
        raise ValueError(
            f"--device {name!r} cannot be used: {reason}; expected such as cpu or cuda"
        ) from error
    return device
