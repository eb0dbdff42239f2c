"""The tile operations of `simd` in plain NumPy: what they mean, and what runs while Numba is disabled.

A tile is a float32 array (rows, regs * lanes). `operations` makes them for a number of lanes to a register.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.float32]

LEAST_EXPONENT = -86.0
"""Powers of e below it are as at it: a little further down float32 are subnormal, and slow."""


def operations(lanes: int) -> dict[str, Callable[..., Any]]:
    """The operations by name."""

    def zeros(rows: int, regs: int) -> Tile:
        return np.zeros((rows, regs * lanes), np.float32)

    def lowest(rows: int, regs: int) -> Tile:
        return np.full((rows, regs * lanes), -3.0e38, np.float32)

    def load_rows(a: Tile, at: int, step: int, rows: int, regs: int) -> Tile:
        flat = a.reshape(-1)
        return np.stack([flat[at + i * step : at + i * step + regs * lanes] for i in range(rows)])

    def load_row(a: Tile, at: int, regs: int) -> Tile:
        return load_rows(a, at, 0, 1, regs)

    def load_spread(a: Tile, at: int, step: int, regs: int) -> Tile:
        return load_rows(a, at, step, regs, 1).reshape(1, -1)

    def store_spread(tile: Tile, a: Tile, at: int, step: int) -> None:
        store_rows(tile.reshape(-1, lanes), a, at, step)

    def store_rows(tile: Tile, a: Tile, at: int, step: int) -> None:
        flat = a.reshape(-1)  # a view, as `a` is contiguous
        for i, row in enumerate(tile):
            flat[at + i * step : at + i * step + len(row)] = row

    def scalars(tile: Tile, a: Tile, at: int, step: int) -> Tile:
        return a.reshape(-1)[at + step * np.arange(len(tile))][:, None]

    def fma(tile: Tile, a: Tile, at: int, step: int, v: Tile) -> Tile:
        return tile + scalars(tile, a, at, step) * v

    def fnma(tile: Tile, a: Tile, at: int, step: int, v: Tile) -> Tile:
        return tile - scalars(tile, a, at, step) * v

    def row_max(tile: Tile) -> Tile:
        greatest: Tile = np.max(tile, axis=0, keepdims=True)
        return greatest

    def exponential(tile: Tile) -> Tile:
        power: Tile = np.exp(np.maximum(tile, np.float32(LEAST_EXPONENT)))
        return power

    return {
        "zeros": zeros,
        "lowest": lowest,
        "load_rows": load_rows,
        "load_row": load_row,
        "load_spread": load_spread,
        "store_spread": store_spread,
        "store_rows": store_rows,
        "fma": fma,
        "fnma": fnma,
        "row_max": row_max,
        "add": np.add,
        "subtract": np.subtract,
        "multiply": np.multiply,
        "divide": np.divide,
        "exponential": exponential,
        "maximum": np.maximum,
        "absolute": np.abs,
    }
