"""The keywords of `watch`, checked: what was got, what was expected, what to do."""

from __future__ import annotations

import math
import numbers
import operator
import os
import platform
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gradprof.kernels.reducer import BACKENDS, as_threshold
from gradprof.record.sites import KINDS, one_or_many
from gradprof.write.run_writer import check_scalar_name

from .hooks import is_watched
from .ring import HostScalar

Schedule = int | Callable[[int], bool]


@dataclass(frozen=True)
class Options:
    """The keywords of `watch`, which documents them, as `checked_options` leaves them."""

    optimizer: torch.optim.Optimizer | None
    observe: list[str]
    include: list[str]
    exclude: list[str]
    every: Schedule
    threshold: float
    backend: str
    budget: float | None
    grad_scaler: torch.amp.GradScaler | None
    locate: bool
    strict: bool

    def may_observe(self, number: int) -> bool:
        """Whether `every` allows it for the step of this number."""
        return number % self.every == 0 if isinstance(self.every, int) else bool(self.every(number))

    def as_json(self) -> dict[str, Any]:
        """For the header of the run."""
        return {
            "observe": self.observe,
            "include": self.include,
            "exclude": self.exclude,
            "every": self.every if isinstance(self.every, int) else "a function",
            "threshold": self.threshold,
            "backend": self.backend,
            "budget": self.budget,
            "grad_scaler": self.grad_scaler is not None,
            "locate": self.locate,
        }


def checked_options(
    model: nn.Module,
    *,
    optimizer: object,
    observe: str | Iterable[str],
    include: str | Iterable[str] | None,
    exclude: str | Iterable[str] | None,
    every: object,
    threshold: object,
    backend: object,
    budget: object,
    grad_scaler: object,
    locate: object,
    strict: object,
) -> Options:
    """The keywords as plain values: numbers of numpy's, and fractions, as those of Python's.

    Raises:
        TypeError, ValueError: as `watch` does.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}: expected one of {', '.join(BACKENDS)}")
    return Options(
        optimizer=_check_optimizer(optimizer, model),
        observe=_kinds(one_or_many(observe)),
        include=one_or_many(include),
        exclude=one_or_many(exclude),
        every=_schedule(every),
        threshold=_threshold(threshold),
        backend=str(backend),
        budget=_budget(budget),
        grad_scaler=_check_scaler(grad_scaler),
        locate=bool(locate),
        strict=bool(strict),
    )


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


def as_directory(logdir: object) -> Path:
    """
    Raises:
        TypeError: not a path.
        ValueError: no file system has such a name.
    """
    if not isinstance(logdir, (str, os.PathLike)):
        raise TypeError(f"logdir is {logdir!r}: expected a directory, as text or a path")
    path = os.fspath(logdir)
    if not isinstance(path, str):
        raise TypeError(f"logdir is {logdir!r}: expected text, not bytes")
    if not path or "\0" in path:
        raise ValueError(f"logdir is {path!r}: expected the name of a directory, such as 'runs/exp1'")
    return Path(path)


def new_run_directory(parent: Path | None = None) -> Path:
    """Make a directory that nobody else has: `runs/<date-time>_<host>`, as torch's SummaryWriter has it.

    Raises:
        OSError: it cannot be made.
    """
    stem = f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}"
    parent = Path("runs") if parent is None else parent
    candidate, n = parent / stem, 1
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                candidate.mkdir()
                return candidate
            except FileExistsError:  # another process began within the same second
                n += 1
                candidate = parent / f"{stem}_{n}"
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot make the directory {str(candidate)!r} for a run ({error.strerror}): give watch() a "
            "logdir that can be written",
        ) from error


def as_scalar(name: str, value: Any) -> float | HostScalar:
    """A value given to `prof.log`.

    Raises:
        TypeError: not a real number, nor a tensor of one.
        ValueError: the name is empty or taken.
    """
    check_scalar_name(name)
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


def describe_devices(model: nn.Module) -> list[str]:
    """The devices that the model's parameters are on, with their names."""
    devices = dict.fromkeys(param.device for param in model.parameters())
    return [
        f"{device} ({torch.cuda.get_device_name(device)})"
        if device.type == "cuda"
        else f"{device} ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"
        for device in devices
    ]


def _check_optimizer(optimizer: object, model: nn.Module) -> torch.optim.Optimizer | None:
    if optimizer is None:
        return None
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
    return optimizer


def _check_scaler(scaler: object) -> torch.amp.GradScaler | None:
    if scaler is not None and not isinstance(scaler, torch.amp.GradScaler):
        raise TypeError(f"grad_scaler is a {type(scaler).__name__}: expected a torch.amp.GradScaler")
    return scaler


def _kinds(observe: list[str]) -> list[str]:
    unknown = [kind for kind in observe if kind not in KINDS]
    if unknown or not observe:
        raise ValueError(
            f"observe is {tuple(observe)!r}: expected one or more of {', '.join(map(repr, KINDS))}"
        )
    return observe


def _schedule(every: object) -> Schedule:
    if isinstance(every, numbers.Integral) and not isinstance(every, bool):
        if every < 1:
            raise ValueError(f"every is {every}: expected 1 for each step, n for every n-th")
        return operator.index(every)
    if not callable(every):
        raise TypeError(f"every is {every!r}: expected an int, or a function of the step's number")
    return every


def _threshold(threshold: object) -> float:
    plain = as_threshold(threshold)
    if math.isinf(plain):
        raise ValueError(f"threshold is {threshold!r}: expected a finite magnitude; none reaches it")
    return plain


def _budget(budget: object) -> float | None:
    if budget is None:
        return None
    if not isinstance(budget, numbers.Real) or isinstance(budget, bool):
        raise TypeError(f"budget is {budget!r}: expected a share of step time such as 0.02, or None")
    try:
        share = float(budget)
    except OverflowError:
        share = math.inf
    if not 0 < share < 1:
        raise ValueError(f"budget is {budget!r}: expected a share of step time between 0 and 1, such as 0.02")
    return share
