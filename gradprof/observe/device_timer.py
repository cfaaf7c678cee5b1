"""How long the device works on reductions, learned without ever waiting for it."""

from __future__ import annotations

from collections import deque

import torch

Span = tuple[str, torch.cuda.Event, torch.cuda.Event]


class DeviceTimer:
    """Pairs of CUDA events around reductions, read in a later step, when the device has passed them."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._steps: deque[list[Span]] = deque()

    def start(self, device: torch.device) -> torch.cuda.Event:
        """What follows on the device's current stream is timed."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(device))
        return event

    def stop(self, group: str, device: torch.device, start: torch.cuda.Event) -> None:
        """The work for `group` was queued."""
        self._spans.append((group, start, self.start(device)))

    def end_step(self) -> None:
        if self._spans:
            self._steps.append(self._spans)
            self._spans = []

    def arrived(self) -> list[dict[str, float]]:
        """Seconds by group of each step that the device has finished since the last call."""
        steps = []
        while self._steps and all(end.query() for _, _, end in self._steps[0]):
            seconds: dict[str, float] = {}
            for group, start, end in self._steps.popleft():
                seconds[group] = seconds.get(group, 0.0) + start.elapsed_time(end) / 1e3
            steps.append(seconds)
        return steps
