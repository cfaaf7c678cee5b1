"""The rows of all sites on one device."""

from __future__ import annotations

import torch

from gradprof.kernels.torch.reducer import empty_table


class Table:
    """The rows of all sites on one device: `rows`, int64 `[sites, 144]`."""

    def __init__(self, n_sites: int, device: torch.device) -> None:
        self._empty = empty_table(1, device)
        self.rows = empty_table(n_sites, device)

    def clear(self) -> None:
        self.rows.copy_(self._empty)

    def clear_row(self, index: int) -> None:
        self.rows[index] = self._empty[0]
