"""What every part needs: where and by what it measures, and how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from gradprof.bench.clock import Clock, within
from gradprof.bench.pairs import alternate
from gradprof.kernels.reducer import Reducer
from gradprof.terminal.bar import Rounds

from .sizes import Sizes


@dataclass(frozen=True)
class Job:
    rounds: Rounds
    device: torch.device
    pairs: int
    sizes: Sizes
    reducer: Reducer

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def compare(
        self, acts: Mapping[str, Callable[[], object]], what: str, of_the_host: bool = False
    ) -> dict[str, list[float]]:
        """Seconds of each act, round by round; of the device, or of the host that asks for it."""
        clock = Clock(self.device, self.sizes.seconds_per_sample)
        sampler = clock.host_sampler if of_the_host else clock.sampler
        return self.alternate({name: sampler(act) for name, act in acts.items()}, what)

    def alternate(self, contenders: Mapping[str, Callable[[], float]], what: str) -> dict[str, list[float]]:
        rounds = self.rounds(self.pairs, f"kernels: {what}")
        return alternate(contenders, within(self.sizes.seconds_per_comparison, rounds))
