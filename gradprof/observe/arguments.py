"""The keywords of `watch`, checked: what was got, what was expected, what to do."""

from __future__ import annotations

import math
import numbers
import platform
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gradprof.events.tags import RESERVED

from .hooks import is_watched
from .ring import HostScalar


def check_model(model: object) -> None:
    """
    Raises:
        TypeError: not a module.
        ValueError: watched already.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"watch() got a {type(model).__name__}: expected a torch.nn.Module")
    if is_watched(model):
        raise ValueError(
            f"this {type(model).__name__} is already watched by gradprof: close() that profiler first, "
            "or use it"
        )


def check_optimizer(optimizer: object, model: nn.Module) -> None:
    """
    Raises:
        TypeError: not an optimizer.
        ValueError: it optimizes no parameter of the model.
    """
    if optimizer is None:
        return
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer is a {type(optimizer).__name__}: expected a torch.optim.Optimizer; "
            "without one, call prof.step() after each step"
        )
    own = {id(param) for param in model.parameters()}
    if not any(id(param) in own for group in optimizer.param_groups for param in group["params"]):
        raise ValueError(
            f"this {type(optimizer).__name__} optimizes none of the parameters of this "
            f"{type(model).__name__}: pass the optimizer that trains it, made after the model was moved"
        )


def as_schedule(every: object) -> Callable[[int], bool]:
    """
    Raises:
        TypeError: neither an int nor a function.
        ValueError: an int below 1.
    """
    if isinstance(every, int) and not isinstance(every, bool):
        if every < 1:
            raise ValueError(f"every is {every}: expected 1 for each step, n for every n-th")
        return lambda step: step % every == 0
    if not callable(every):
        raise TypeError(f"every is {every!r}: expected an int, or a function of the step's number")
    return lambda step: bool(every(step))


def as_budget(budget: object) -> float | None:
    """
    Raises:
        TypeError: not a number.
        ValueError: not a share.
    """
    if budget is None:
        return None
    if not isinstance(budget, numbers.Real) or isinstance(budget, bool):
        raise TypeError(f"budget is {budget!r}: expected a share of step time such as 0.02, or None")
    if not 0 < float(budget) < 1:
        raise ValueError(f"budget is {budget!r}: expected a share of step time between 0 and 1, such as 0.02")
    return float(budget)


def as_scalar(name: str, value: Any) -> float | HostScalar:
    """A value given to `prof.log`.

    Raises:
        TypeError: not a real number, nor a tensor of one.
        ValueError: the name is empty or taken.
    """
    if not name or name.partition("/")[0] in RESERVED:
        raise ValueError(f"cannot log a value as {name!r}: names in {', '.join(RESERVED)} are gradprof's own")
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_complex():
        return HostScalar(value)
    if isinstance(value, (numbers.Real, np.bool_)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if isinstance(value, np.ndarray) and value.size == 1 and np.isrealobj(value):
        return float(value.reshape(()))
    shown = f"shape {tuple(value.shape)}" if hasattr(value, "shape") else repr(value)
    raise TypeError(
        f"cannot log {name}={type(value).__name__} ({shown[:60]}): expected a number, "
        "or a tensor of one element"
    )


def new_run_directory(parent: Path | None = None) -> Path:
    """A directory that does not exist yet: `runs/<date-time>_<host>`, as torch's SummaryWriter has it."""
    stem = f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}"
    parent = Path("runs") if parent is None else parent
    candidate, n = parent / stem, 1
    while candidate.exists():
        n += 1
        candidate = parent / f"{stem}_{n}"
    return candidate


def describe_devices(model: nn.Module) -> list[str]:
    """The devices that the model's parameters are on, with their names."""
    devices = dict.fromkeys(param.device for param in model.parameters())
    return [
        f"{device} ({torch.cuda.get_device_name(device)})"
        if device.type == "cuda"
        else f"{device} ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"
        for device in devices
    ]
