"""A cache that cannot grow beyond a total weight."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """Keeps the values last used, up to a total weight. Any thread may use it."""

    def __init__(self, most: int) -> None:
        """`most` is the total weight, in the caller's unit."""
        self._most = most
        self._weight = 0
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def weight(self) -> int:
        """What all the values weigh now."""
        return self._weight

    def get(self, key: K) -> V | None:
        """The value, which counts as used now; None when it is not kept."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep the value in place of any other of that key; one too heavy by itself is not kept."""
        with self._lock:
            _, gone = self._values.pop(key, (None, 0))
            self._weight -= gone
            if weight > self._most:
                return
            self._values[key] = (value, weight)
            self._weight += weight
            while self._weight > self._most:
                _, (_, lightened) = self._values.popitem(last=False)
                self._weight -= lightened
