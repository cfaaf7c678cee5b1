"""gradprof: what are the gradients doing, in every layer, at every iteration?

    stats = gradprof.measure(tensor)                             # one tensor
    prof = gradprof.watch(model, "runs/exp1", optimizer=opt)     # a whole training
    run = gradprof.load("runs/exp1")                             # back from the event files

Importing this package imports neither torch nor tensorboard: TensorBoard itself imports it, and reading
a run needs no torch. Names are resolved on first use (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from gradprof.kernels.bins import BIN_EDGES
    from gradprof.observe.measurement import measure
    from gradprof.observe.profiler import Profiler, watch
    from gradprof.read.run import Run, load
    from gradprof.record.figures import TensorStats
    from gradprof.record.step import Record

_HOME = {
    "BIN_EDGES": "gradprof.kernels.bins",
    "Profiler": "gradprof.observe.profiler",
    "Record": "gradprof.record.step",
    "Run": "gradprof.read.run",
    "TensorStats": "gradprof.record.figures",
    "load": "gradprof.read.run",
    "measure": "gradprof.observe.measurement",
    "watch": "gradprof.observe.profiler",
}

__all__ = [
    "BIN_EDGES",
    "Profiler",
    "Record",
    "Run",
    "TensorStats",
    "__version__",
    "load",
    "measure",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gradprof' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
