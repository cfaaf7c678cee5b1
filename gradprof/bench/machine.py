"""Where figures were measured: they mean nothing without it."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

import gradprof
from gradprof.version import installed_versions

_LIBRARIES = ("torch", "triton", "numpy", "tensorboard", "google-crc32c")


@dataclass(frozen=True)
class Machine:
    """Device, processor, versions and commit."""

    device: str
    cpu: str
    cores: int
    threads: int
    """What torch uses within one operation."""
    load: float | None
    """Of the last minute, before the start: how many processes wanted a core."""
    system: str
    versions: dict[str, str]
    commit: str | None
    """Of gradprof's own checkout; None where it was installed."""
    changed: bool
    """The checkout has changes that are not committed."""

    @property
    def busy(self) -> bool:
        """Whether others were using the cores that the benchmark needs."""
        return self.load is not None and self.load > self.cores / 2


def describe_machine(device: torch.device) -> Machine:
    commit, changed = _commit(Path(gradprof.__file__).parent.parent)
    return Machine(
        device=_cuda_name(device) if device.type == "cuda" else str(device),
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        system=f"{platform.system()} {platform.release()}",
        versions={
            "gradprof": gradprof.__version__,
            **installed_versions(_LIBRARIES),
            **(_cuda_versions() if device.type == "cuda" else {}),
        },
        commit=commit,
        changed=changed,
    )


def _cuda_name(device: torch.device) -> str:
    properties = torch.cuda.get_device_properties(device)
    memory = properties.total_memory / 2**30
    return f"{properties.name}, {properties.multi_processor_count} multiprocessors, {memory:.0f} GiB"


def _cuda_versions() -> dict[str, str]:
    """Of CUDA, and of the driver where nvidia-smi tells it."""
    found = {"CUDA": str(torch.version.cuda)}
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):  # not installed, or not allowed
        return found
    return {**found, "driver": done.stdout.partition("\n")[0].strip()}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _commit(checkout: Path) -> tuple[str | None, bool]:
    """The commit of `checkout` and whether it was changed since; not of a project that merely holds it."""
    try:
        if Path(_git(checkout, "rev-parse", "--show-toplevel")).resolve() != checkout.resolve():
            return None, False
        return _git(checkout, "rev-parse", "HEAD"), _git(checkout, "status", "--porcelain") != ""
    except (OSError, subprocess.SubprocessError):  # no git, no checkout, or no commit yet
        return None, False


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
