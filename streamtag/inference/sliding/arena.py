"""One array for everything: weights in one, a stream's memory in another.

The kernels take the array and places in it, numbers of float32 from its start. So each kernel has one signature (Numba
compiles it once), a call costs little (Numba looks at every array that is passed), and the memory comes in huge pages.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

LINE = 16
"""Float32 in a cache line of 64 bytes. A register that straddles two lines takes two loads."""


class Arena:
    """Gives out places, each on a cache line, and then makes the array."""

    def __init__(self) -> None:
        self._size = 0
        self._contents: list[tuple[int, Floats]] = []

    def room(self, *shape: int) -> int:
        """Place for zeros of this shape."""
        place = self._size
        self._size += -(-int(np.prod(shape)) // LINE) * LINE
        return place

    def put(self, values: ArrayLike) -> int:
        """Place for these values."""
        values = np.asarray(values, np.float32)
        place = self.room(values.size)
        self._contents.append((place, values.reshape(-1)))
        return place

    def put_all(self, values: Iterable[ArrayLike]) -> tuple[int, ...]:
        """Places for several arrays."""
        return tuple(self.put(each) for each in values)

    def array(self) -> Floats:
        """The array, with room beyond its end: some kernels read a register too many."""
        room = np.zeros(self._size + 8 * LINE, np.float32)
        array = room[-room.ctypes.data % 64 // room.itemsize :]
        for place, values in self._contents:
            array[place : place + values.size] = values
        return array
