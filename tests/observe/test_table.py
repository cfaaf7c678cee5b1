"""Work on the rows of a device is in order, whichever streams and threads it comes from."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch

from gradprof.kernels.torch.reducer import TorchReducer, empty_table
from gradprof.observe import table as table_module
from gradprof.observe.ring import Slot
from gradprof.observe.step import Step
from gradprof.observe.table import Table, Tables


class Stream:
    """A stream that notes whom it waits for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waits_for: list[str] = []

    def wait_stream(self, other: Stream) -> None:
        self.waits_for.append(other.name)


@pytest.fixture
def on_stream(monkeypatch: pytest.MonkeyPatch) -> Callable[[Stream], None]:
    """Makes a stream the current one of a device that is not there."""
    current: list[Stream] = []
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: current[-1])
    monkeypatch.setattr(table_module, "empty_table", lambda n, _device: empty_table(n, "cpu"))
    return current.append


def test_each_change_of_stream_is_ordered(on_stream: Callable[[Stream], None]) -> None:
    default, side = Stream("default"), Stream("side")
    on_stream(default)
    table = Table(2, torch.device("cuda:0"), TorchReducer())
    table.order()
    assert default.waits_for == []
    on_stream(side)  # a hook, on the stream of its forward pass
    table.order()
    table.order()
    assert side.waits_for == ["default"]
    on_stream(default)  # the end of the step
    table.clear()
    assert default.waits_for == ["side"]
    on_stream(side)
    table.clear_row(1)
    assert side.waits_for == ["default", "default"]


def test_the_copy_waits_for_merges_on_other_streams(
    on_stream: Callable[[Stream], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    default, side = Stream("default"), Stream("side")
    on_stream(default)
    device = torch.device("cuda:0")
    tables = Tables(2, lambda _device: TorchReducer(), [device])
    on_stream(side)
    tables.on(device).order()
    on_stream(default)
    monkeypatch.setattr(
        table_module.Table, "rows", property(lambda _: pytest.fail("copied too early")), False
    )
    with pytest.raises(BaseException, match="copied too early"):
        Slot(2).fill(tables)
    assert default.waits_for == ["side"]


def test_a_host_has_no_streams() -> None:
    table = Table(1, torch.device("cpu"), TorchReducer())
    table.order()
    table.clear()


def test_seconds_of_devices_do_not_meet() -> None:
    """Each device's gradients come on a thread of its own; what they add up must not be lost."""
    step = Step(0, frozenset({"output"}))
    n = 50_000

    def add(device: torch.device) -> None:
        for _ in range(n):
            step.spent(1.0, "output", device)

    threads = [threading.Thread(target=add, args=(torch.device("cuda", i),)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert step.seconds_of("output") == 3 * n
    assert step.seconds_of("param") == 0
