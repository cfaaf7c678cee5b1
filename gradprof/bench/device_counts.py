"""What one step asks of a CUDA device: busy time, launches, and how often the host waited for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch._C._autograd import DeviceType

_TRANSFERS = ("Memcpy", "Memset")
_PROFILERS_OWN = "Activity Buffer Request"
_SYNC_WARNING = "synchronizing CUDA operation"


@dataclass(frozen=True)
class DeviceCounts:
    busy_seconds: float
    """Of all kernels and transfers, added."""
    launches: int
    """Kernels."""
    syncs: int
    """Operations of torch's that made the host wait, on the threads of the training."""


def count_device(step: Callable[[], object]) -> DeviceCounts:
    """Of `step`, which is called twice: torch's profiler would itself be counted as waiting."""
    syncs = _count_syncs(step)
    activity = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[activity.CPU, activity.CUDA]) as profile:
        step()
        torch.cuda.synchronize()
    busy_seconds, launches = _busy(profile.events() or [])
    return DeviceCounts(busy_seconds, launches, syncs)


def _count_syncs(step: Callable[[], object]) -> int:
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return sum(_SYNC_WARNING in str(warning.message) for warning in caught)


def _busy(events: Iterable[Any]) -> tuple[float, int]:
    on_device = [
        event
        for event in events
        if event.device_type == DeviceType.CUDA
        and not getattr(event, "is_user_annotation", False)
        and event.name != _PROFILERS_OWN
    ]
    seconds = sum(event.time_range.elapsed_us() for event in on_device) / 1e6
    return seconds, sum(not event.name.startswith(_TRANSFERS) for event in on_device)
