"""A cache that forgets what was used longest ago, bounded by bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class ByteCache:
    """Least recently used first out; safe to share between threads.

    Args:
        capacity: bytes that all entries together may take. What alone takes more is not kept.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.n_bytes = 0

    def get(self, key: Hashable) -> Any:
        """The value, or None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, value: Any, n_bytes: int) -> None:
        """Keep a value that takes `n_bytes`, in place of any other of that key."""
        with self._lock:
            self._drop(key)
            if n_bytes > self._capacity:
                return
            self._entries[key] = value, n_bytes
            self.n_bytes += n_bytes
            while self.n_bytes > self._capacity:
                self._drop(next(iter(self._entries)))

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: Hashable) -> None:
        _, n_bytes = self._entries.pop(key, (None, 0))
        self.n_bytes -= n_bytes
