"""Where the runs are."""

from __future__ import annotations

from pathlib import Path

from gradprof.events.tags import FILE_SUFFIX
from gradprof.record.sites import near_names


def find_runs(root: Path) -> list[Path]:
    """The event files of all runs at or below `root`, the latest written last."""
    return sorted(root.rglob(f"*tfevents*{FILE_SUFFIX}"), key=lambda file: file.stat().st_mtime)


def find_event_file(path: Path) -> Path:
    """The event file of the run at `path`; raises as `load` does."""
    if path.is_file():
        return path
    if not path.is_dir():
        beside = [run.parent.name for run in find_runs(path.parent)] if path.parent.is_dir() else []
        hint = f"; {near_names(path.name, beside)}" if beside else ""
        raise FileNotFoundError(f"there is no run {str(path)!r}{hint}")
    files = sorted(path.glob(f"*tfevents*{FILE_SUFFIX}"))
    if len(files) == 1:
        return files[0]
    if files:
        raise ValueError(f"{str(path)!r} holds {len(files)} runs: name one file, such as {files[-1].name!r}")
    if below := [str(run.parent) for run in find_runs(path)]:
        shown = ", ".join(below[-5:])
        raise ValueError(f"{str(path)!r} is not a run but holds {len(below)}; choose one: {shown}")
    if next(path.glob("*tfevents*"), None) is not None:
        raise ValueError(f"the event files in {str(path)!r} were not written by gradprof")
    raise ValueError(f"{str(path)!r} holds no event file: expected the directory given to gradprof.watch()")
