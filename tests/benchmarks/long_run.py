"""A long run of a large network, written in minutes: millions of plausible rows, made without torch.

python tests/benchmarks/long_run.py runs/long --steps 100000 --sites 200 --spike 150 50000
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(1, str(Path(__file__).parents[1] / "fixtures"))  # as pytest does

import numpy as np

from gradprof.kernels.bins import bin_of
from gradprof.record.step import StepRecord
from gradprof.write.run_writer import RunWriter
from runs import Training, header_of

_STEPS_AT_ONCE = 50
"""Made, written and flushed together, as in a training of 10 steps a second."""
_STEP_SECONDS = 0.1
_LOG_SCALES = -6.0, -1.0
"""Between these a site's magnitudes stay, however long it is trained."""


@dataclass(frozen=True)
class Spike:
    """One value of `abs_max`, in one site at one step."""

    site: int
    step: int
    abs_max: float = 1e6


def write_long_run(
    directory: str | Path, n_steps: int, n_sites: int, spike: Spike | None = None, seed: int = 0
) -> None:
    """Write a whole run, the steps 0 to `n_steps` - 1 with a loss, into a directory of its own.

    Raises:
        OSError, ValueError: as `RunWriter` does.
    """
    training = Training(n_sites, seed, bounds=_LOG_SCALES)
    header = header_of(training.labels, model="LongRun")
    writer, start = RunWriter(directory, header), header["created"]
    for first in range(0, n_steps, _STEPS_AT_ONCE):
        rows = training.rows(min(_STEPS_AT_ONCE, n_steps - first))
        for step, row in enumerate(rows, first):
            if spike is not None and spike.step == step:
                _add_spike(row[spike.site], spike.abs_max)
            loss = {"loss": 2.5 / (1 + step / 2000) + 0.1}
            writer.write(StepRecord(step, start + _STEP_SECONDS * step, row, seconds=1e-3, scalars=loss))
        writer.flush()
    writer.close()


def _add_spike(row: np.void, abs_max: float) -> None:
    """One more value in the row."""
    row["numel"] += 1
    row["n_above"] += 1
    row["hist"][bin_of(np.array([abs_max]))[0]] += 1
    row["abs_max"] = abs_max
    for name, power in (("sum", 1), ("abs_sum", 1), ("sq", 2)):
        row[name] += abs_max**power


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--spike", type=int, nargs=2, metavar=("SITE", "STEP"), help="one abs_max of 1e6")
    given = parser.parse_args()
    spike = None if given.spike is None else Spike(*given.spike)
    write_long_run(given.directory, given.steps, given.sites, spike)


if __name__ == "__main__":
    _main()
