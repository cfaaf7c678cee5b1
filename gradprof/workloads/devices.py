"""Which device to train on."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch


def choose_device(name: str | None, types: Sequence[str] | None = None) -> torch.device:
    """The device called `name`; without a name, cuda where there is one, else cpu.

    Args:
        types: those that will do, such as ("cpu", "cuda"); None: any on which torch computes.

    Raises:
        ValueError: torch knows no such device, cannot use it here, or it is of another type.
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
    if types is not None and device.type not in types:
        raise ValueError(f"--device is {name!r}: expected {' or '.join(types)}")
    return device
