"""Loads and stores that two threads may rely on, on every processor; and addresses, as C has them.

Writer: sample data first, then `store_release` of the index. Reader: `load_acquire` of the index, then the data. x86
keeps that order by itself; ARM does not, and a compiler need not on either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.int64]
WORD = 8
"""Bytes; also the alignment that makes a load or store indivisible."""

if TYPE_CHECKING or numba.config.DISABLE_JIT:
    # Python's threads change places only between bytecodes, so plain accesses are in order.
    def load_acquire(words: Words, index: int) -> int:
        """words[index]; what is read after this was written before it was published."""
        return int(words[index])

    def store_release(words: Words, index: int, value: int) -> None:
        """words[index] = value, seen by others only after all that was written before."""
        words[index] = value

    def as_pointer(address: int) -> Any:
        """An address as a pointer; in compiled code only."""
        raise NotImplementedError

else:
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
        struct = context.make_array(array_type)(context, builder, array)
        return cgutils.get_item_pointer(context, builder, array_type, struct, [index])

    @intrinsic
    def load_acquire(typing: Any, words: Any, index: Any) -> Any:
        """words[index]; what is read after this was written before it was published."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load_atomic(_address(context, builder, words, *arguments), "acquire", WORD)

        return types.int64(words, types.intp), generate

    @intrinsic
    def store_release(typing: Any, words: Any, index: Any, value: Any) -> Any:
        """words[index] = value, seen by others only after all that was written before."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array, place, content = arguments
            builder.store_atomic(content, _address(context, builder, words, array, place), "release", WORD)
            return context.get_dummy_value()

        return types.void(words, types.intp, types.int64), generate

    @intrinsic
    def as_pointer(typing: Any, address: Any) -> Any:
        """An address as a pointer; in compiled code only."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

        return types.voidptr(types.int64), generate
