"""Which block of a run holds which of its steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .source import Piece

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """The blocks of a run in order.

    Attributes:
        pieces: where each is.
        starts: the ordinal of each one's first step, and at last the number of all, int64 `[blocks + 1]`.
        last_steps: no step of a block has a higher number, int64 `[blocks]`.
    """

    pieces: list[Piece]
    starts: Int64Array
    last_steps: Int64Array

    def __len__(self) -> int:
        return len(self.pieces)

    def n_steps(self, block: int) -> int:
        """How many observed steps it has."""
        return int(self.starts[block + 1] - self.starts[block])

    def holding(self, start: int, stop: int) -> list[int]:
        """Indices of the blocks that hold ordinals from `start` up to `stop`."""
        if start >= stop:
            return []
        first, last = np.searchsorted(self.starts[:-1], (start, stop - 1), side="right") - 1
        return [i for i in range(int(first), int(last) + 1) if self.starts[i] < self.starts[i + 1]]

    def within(self, start: int, stop: int) -> slice:
        """Which of the steps of all blocks `holding` these ordinals they are."""
        blocks = self.holding(start, stop)
        skip = start - int(self.starts[blocks[0]]) if blocks else 0
        return slice(skip, skip + stop - start)
