"""The rows of all sites, on every device that gradients are on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch

from gradprof.kernels.reducer import Reducer
from gradprof.kernels.torch.reducer import empty_table
from gradprof.terminal.progress import note_if_slow


class Table:
    """The rows of all sites on one device, `rows`, int64 `[sites, 144]`, and the `reducer` that fills them.

    Hooks run on the streams of the forward pass, the end of a step on the optimizer's. Whoever is about to
    queue work on the rows calls `order` first, so that it comes after all work before.
    """

    def __init__(self, n_sites: int, device: torch.device, reducer: Reducer) -> None:
        self._empty = empty_table(1, device)
        self.rows = empty_table(n_sites, device)
        self.device = device
        self.reducer = reducer
        self._stream = torch.cuda.current_stream(device) if device.type == "cuda" else None

    def order(self) -> None:
        """Have what is queued next on the device's current stream wait for what was queued on the rows."""
        if self._stream is None:
            return
        stream = torch.cuda.current_stream(self.device)
        if stream != self._stream:
            stream.wait_stream(self._stream)
            self._stream = stream

    def clear(self) -> None:
        self.order()
        self.rows.copy_(self._empty)

    def clear_row(self, index: int) -> None:
        self.order()
        self.rows[index] = self._empty[0]


class Tables:
    """The tables by device; one that is met later is added then."""

    def __init__(
        self,
        n_sites: int,
        new_reducer: Callable[[torch.device], Reducer],
        devices: Iterable[torch.device],
    ) -> None:
        self._n_sites = n_sites
        self._new_reducer = new_reducer
        self._tables: dict[torch.device, Table] = {}
        for device in devices:
            self.on(device)

    def on(self, device: torch.device) -> Table:
        """The table of a device."""
        table = self._tables.get(device)
        if table is None:
            with torch.inference_mode(False):  # whose tensors cannot be written later, outside of it
                with note_if_slow(f"gradprof is compiling its reductions for {device} ..."):
                    reducer = self._new_reducer(device)
                table = self._tables[device] = Table(self._n_sites, device, reducer)
        return table

    def __iter__(self) -> Iterator[Table]:
        return iter(list(self._tables.values()))

    def clear(self) -> None:
        """Empty all rows."""
        for table in self:
            table.clear()

    def free(self) -> None:
        """Let go of all of them."""
        self._tables.clear()
