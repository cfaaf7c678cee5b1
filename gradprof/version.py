"""Our version, and those of what is installed."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0"


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """The version of Python, and of each package that is installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # triton, where there is none
    return found
