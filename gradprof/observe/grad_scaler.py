"""What gradprof needs to know of a GradScaler: its factor, and whether a step has ended under it."""

from __future__ import annotations

import torch

from .private import SCALER_STATES


class ScalerWatch:
    """Reads a GradScaler without waiting for the device, and without touching it.

    A step whose gradients overflowed never reaches `optimizer.step`, so no optimizer hook tells of it.
    But `scaler.update` ends every step, and it replaces the scaler's per-optimizer states.
    """

    def __init__(self, scaler: torch.amp.GradScaler) -> None:
        if not isinstance(scaler, torch.amp.GradScaler):
            raise TypeError(f"grad_scaler is a {type(scaler).__name__}: expected a torch.amp.GradScaler")
        self._scaler = scaler
        self._states = self._current_states()
        self._inverse: dict[torch.device, torch.Tensor] = {}

    def is_enabled(self) -> bool:
        """Whether it scales anything."""
        return self._scaler.is_enabled()

    def begin_step(self) -> None:
        """Forget the factor of the step before, and note the states that `update` will replace."""
        self._states = self._current_states()
        self._inverse.clear()

    def updated(self) -> bool:
        """Whether `scaler.update` was called since `begin_step`."""
        return self._current_states() is not self._states

    def inverse(self, device: torch.device) -> torch.Tensor | None:
        """The factor that unscales, 0-dim float32 on `device`, computed as the scaler itself does."""
        if not self.is_enabled():
            return None
        if device not in self._inverse:
            one = torch.ones((), dtype=torch.float32, device=device)
            self._inverse[device] = self._scaler.scale(one).double().reciprocal().float()
        return self._inverse[device]

    def _current_states(self) -> object:
        return SCALER_STATES.find(self._scaler) if self.is_enabled() else None
