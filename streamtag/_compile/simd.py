"""Tiles of vector registers for Numba kernels.

A convolution is fast when its running sums stay in vector registers while the weights stream past. Numba has no vector
type, so this module makes one: a *tile* of ``rows x regs`` registers of `LANES` float32 each, held in one variable.
The kernels are written once in terms of tiles; how large a tile is follows from the CPU, through `TILES`.

``fma(tile, a, at, step, v)`` is the heart: row i of the tile gains ``a[at + i * step] * v``, one fused multiply-add a
register. `tiles` has the same operations in NumPy; they stand in when Numba is disabled (NUMBA_DISABLE_JIT=1).

All arrays are C-contiguous float32 and are addressed flat: ``at`` counts float32 from the first element, whatever the
shape. Nothing is bounds-checked.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import binding, ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

from streamtag._compile import tiles
from streamtag._compile.jit import CONFIG


class Tiles(NamedTuple):
    """Shape of the register tiles on one kind of CPU.

    Attributes
    ----------
    lanes : int
        How many float32 a vector register holds.
    rows : int
        Rows of a matrix product's tile (also mel bands of a temporal branch's).
    regs : int
        Registers in each of these rows; ``regs * lanes`` must divide 64.
    slice_regs : int
        Registers of timbral filters that are multiplied at once; their lanes must divide 32.
    bands : int
        Outputs of a timbral branch's inverse DFT that are summed at once, for three columns; must divide 15.
    """

    lanes: int
    rows: int
    regs: int
    slice_regs: int
    bands: int


# rows * regs sums, regs weights and one broadcast must fit the register file, or they spill and the speed halves.
TILES = {
    "AVX-512": Tiles(lanes=16, rows=6, regs=4, slice_regs=2, bands=5),  # 32 registers
    "AVX2": Tiles(lanes=8, rows=6, regs=2, slice_regs=1, bands=3),  # 16 registers
    "NEON": Tiles(lanes=4, rows=6, regs=4, slice_regs=2, bands=5),  # 32 registers
    "baseline": Tiles(lanes=4, rows=6, regs=2, slice_regs=1, bands=3),  # SSE2, or whatever LLVM makes of it
}


def instruction_set() -> str:
    """Which row of `TILES` fits the CPU that Numba compiles for (NUMBA_CPU_FEATURES overrides the host's)."""
    if platform.machine() in ("arm64", "aarch64"):
        return "NEON"
    chosen = CONFIG.CPU_FEATURES
    features = (binding.get_host_cpu_features().flatten() if chosen is None else chosen).split(",")
    if "+avx512f" in features:
        return "AVX-512"
    return "AVX2" if {"+avx2", "+fma"} <= set(features) else "baseline"


INSTRUCTION_SET = instruction_set()
LANES, ROWS, REGS, SLICE_REGS, BANDS = TILES[INSTRUCTION_SET]
PANEL = REGS * LANES
"""Columns of a matrix that a tile covers: weights are laid out in panels of this width."""
SLICE = SLICE_REGS * LANES
"""Timbral filters treated at once."""

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_BITS = ir.VectorType(ir.IntType(32), LANES)
_LOWEST = -3.0e38


class TileType(types.Type):
    """Numba's type of a tile."""

    def __init__(self, rows: int, regs: int) -> None:
        self.rows, self.regs = rows, regs
        super().__init__(name=f"Tile({rows}, {regs}, {LANES})")


@register_model(TileType)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: TileType) -> None:
        super().__init__(manager, tile, ir.ArrayType(_VECTOR, tile.rows * tile.regs))  # type: ignore[no-untyped-call]


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, element: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), element.as_pointer())


def _load(builder: Any, pointer: Any) -> Any:
    value = builder.load(pointer)
    value.align = 4  # rows begin anywhere
    return value


def _splat(builder: Any, scalar: Any) -> Any:
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), lanes)


def _fill(rows: int, regs: int, value: float) -> Any:
    return ir.Constant(ir.ArrayType(_VECTOR, rows * regs), [ir.Constant(_VECTOR, [value] * LANES)] * (rows * regs))


def _call(builder: Any, name: str, *args: Any) -> Any:
    """Call an LLVM intrinsic of vectors, such as `llvm.fabs`."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(args))
    full = f"{name}.v{LANES}f32"
    function = builder.module.globals.get(full) or ir.Function(builder.module, kind, full)
    return builder.call(function, args)


def _all(value: float) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)  # one instruction on x86; loses NaN


def _exponential_of(builder: Any, x: Any) -> Any:
    """e**x = 2**n * e**r with n the nearest integer to x / log(2): |r| is at most 0.35, where Taylor's series is short.

    Its terms to the 7th leave 5e-9 of e**r out. log(2) is taken off in two parts, of which the first has so few digits
    that n times it is exact (W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980).
    """
    x = _larger(builder, x, _all(tiles.LEAST_EXPONENT))
    # above 2**23 a float32 has no fraction: what is added there is rounded to an integer, which the lowest bits hold
    shifted = _call(builder, "llvm.fmuladd", x, _all(1 / math.log(2)), _all(_NO_FRACTION))
    n = builder.fsub(shifted, _all(_NO_FRACTION))
    r = _call(builder, "llvm.fmuladd", n, _all(-_LOG_2), x)
    r = _call(builder, "llvm.fmuladd", n, _all(_LOG_2 - math.log(2)), r)
    series = _all(1 / math.factorial(7))
    for power in range(6, -1, -1):
        series = _call(builder, "llvm.fmuladd", series, r, _all(1 / math.factorial(power)))
    exponent = builder.shl(builder.bitcast(shifted, _BITS), ir.Constant(_BITS, [23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(series, _BITS), exponent), _VECTOR)


_NO_FRACTION = 1.5 * 2**23
_LOG_2 = 355 / 512


def _each(operation: Callable[..., Any], *operands: TileType) -> tuple[Any, Any]:
    """A register by register operation on tiles of one shape: its signature and code."""
    first = operands[0]

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = args[0]
        for n in range(first.rows * first.regs):
            out = builder.insert_value(out, operation(builder, *(builder.extract_value(a, n) for a in args)), n)
        return out

    return first(*operands), code


@intrinsic(prefer_literal=True)
def _zeros(typing: Any, rows: Any, regs: Any) -> Any:
    tile = TileType(rows.literal_value, regs.literal_value)
    return tile(rows, regs), lambda context, builder, signature, args: _fill(tile.rows, tile.regs, 0.0)


@intrinsic(prefer_literal=True)
def _lowest(typing: Any, rows: Any, regs: Any) -> Any:
    tile = TileType(rows.literal_value, regs.literal_value)
    return tile(rows, regs), lambda context, builder, signature, args: _fill(tile.rows, tile.regs, _LOWEST)


@intrinsic(prefer_literal=True)
def _load_rows(typing: Any, a: Any, at: Any, step: Any, rows: Any, regs: Any) -> Any:
    tile = TileType(rows.literal_value, regs.literal_value)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = _fill(tile.rows, tile.regs, 0.0)
        row = args[1]
        for i in range(tile.rows):
            for j in range(tile.regs):
                at = builder.add(row, ir.Constant(row.type, j * LANES))
                pointer = _pointer(context, builder, signature.args[0], args[0], at, _VECTOR)
                out = builder.insert_value(out, _load(builder, pointer), i * tile.regs + j)
            row = builder.add(row, args[2])
        return out

    return tile(a, types.intp, types.intp, rows, regs), code


@intrinsic(prefer_literal=True)
def _load_row(typing: Any, a: Any, at: Any, regs: Any) -> Any:
    tile = TileType(1, regs.literal_value)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        step = ir.Constant(args[1].type, LANES)
        return _gather(context, builder, signature.args[0], args[0], args[1], step, tile.regs)

    return tile(a, types.intp, regs), code


@intrinsic(prefer_literal=True)
def _load_spread(typing: Any, a: Any, at: Any, step: Any, regs: Any) -> Any:
    tile = TileType(1, regs.literal_value)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _gather(context, builder, signature.args[0], args[0], args[1], args[2], tile.regs)

    return tile(a, types.intp, types.intp, regs), code


def _gather(context: Any, builder: Any, array_type: Any, array: Any, at: Any, step: Any, regs: int) -> Any:
    out = _fill(1, regs, 0.0)
    for j in range(regs):
        out = builder.insert_value(out, _load(builder, _pointer(context, builder, array_type, array, at, _VECTOR)), j)
        at = builder.add(at, step)
    return out


@intrinsic
def _store_spread(typing: Any, tile: Any, a: Any, at: Any, step: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = args[2]
        for j in range(tile.regs):
            pointer = _pointer(context, builder, signature.args[1], args[1], at, _VECTOR)
            builder.store(builder.extract_value(args[0], j), pointer).align = 4
            at = builder.add(at, args[3])
        return context.get_dummy_value()

    return types.void(tile, a, types.intp, types.intp), code


@intrinsic
def _store_rows(typing: Any, tile: Any, a: Any, at: Any, step: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = args[2]
        for i in range(tile.rows):
            for j in range(tile.regs):
                at = builder.add(row, ir.Constant(row.type, j * LANES))
                pointer = _pointer(context, builder, signature.args[1], args[1], at, _VECTOR)
                builder.store(builder.extract_value(args[0], i * tile.regs + j), pointer).align = 4
            row = builder.add(row, args[3])
        return context.get_dummy_value()

    return types.void(tile, a, types.intp, types.intp), code


def _accumulate(negative: bool) -> Callable[..., Any]:
    def typed(typing: Any, tile: Any, a: Any, at: Any, step: Any, v: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            out, row = args[0], args[2]
            for i in range(tile.rows):
                scalar = builder.load(_pointer(context, builder, signature.args[1], args[1], row, _FLOAT))
                factor = _splat(builder, builder.fneg(scalar) if negative else scalar)
                for j in range(tile.regs):
                    n = i * tile.regs + j
                    register = builder.extract_value(args[4], j)
                    # fused where the CPU can, two roundings where it cannot
                    total = _call(builder, "llvm.fmuladd", factor, register, builder.extract_value(args[0], n))
                    out = builder.insert_value(out, total, n)
                row = builder.add(row, args[3])
            return out

        return tile(tile, a, types.intp, types.intp, v), code

    return typed


@intrinsic
def _row_max(typing: Any, tile: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = _fill(1, tile.regs, 0.0)
        for j in range(tile.regs):
            column = [builder.extract_value(args[0], i * tile.regs + j) for i in range(tile.rows)]
            while len(column) > 1:  # as a tree, so that the maxima do not wait for each other
                odd = column[len(column) // 2 * 2 :]
                column = [_larger(builder, a, b) for a, b in zip(column[::2], column[1::2], strict=False)] + odd
            out = builder.insert_value(out, column[0], j)
        return out

    return TileType(1, tile.regs)(tile), code


@intrinsic
def _add(typing: Any, a: Any, b: Any) -> Any:
    return _each(lambda builder, x, y: builder.fadd(x, y), a, b)


@intrinsic
def _multiply(typing: Any, a: Any, b: Any) -> Any:
    return _each(lambda builder, x, y: builder.fmul(x, y), a, b)


@intrinsic
def _subtract(typing: Any, a: Any, b: Any) -> Any:
    return _each(lambda builder, x, y: builder.fsub(x, y), a, b)


@intrinsic
def _divide(typing: Any, a: Any, b: Any) -> Any:
    return _each(lambda builder, x, y: builder.fdiv(x, y), a, b)


@intrinsic
def _exponential(typing: Any, a: Any) -> Any:
    return _each(_exponential_of, a)


@intrinsic
def _maximum(typing: Any, a: Any, b: Any) -> Any:
    return _each(_larger, a, b)


@intrinsic
def _absolute(typing: Any, a: Any) -> Any:
    return _each(lambda builder, x: _call(builder, "llvm.fabs", x), a)


_OPERATIONS: dict[str, Any] = {
    "zeros": _zeros,
    "lowest": _lowest,
    "load_rows": _load_rows,
    "load_row": _load_row,
    "load_spread": _load_spread,
    "store_spread": _store_spread,
    "store_rows": _store_rows,
    "fma": intrinsic(_accumulate(negative=False)),
    "fnma": intrinsic(_accumulate(negative=True)),
    "row_max": _row_max,
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "exponential": _exponential,
    "maximum": _maximum,
    "absolute": _absolute,
}
if CONFIG.DISABLE_JIT:
    _OPERATIONS = tiles.operations(LANES)

zeros = _OPERATIONS["zeros"]
"""(rows, regs): a tile of zeros."""
lowest = _OPERATIONS["lowest"]
"""(rows, regs): a tile that any maximum replaces."""
load_rows = _OPERATIONS["load_rows"]
"""(a, at, step, rows, regs): row i from ``a[at + i * step]`` on."""
load_row = _OPERATIONS["load_row"]
"""(a, at, regs): one row."""
load_spread = _OPERATIONS["load_spread"]
"""(a, at, step, regs): one row, register j from ``a[at + j * step]`` on."""
store_spread = _OPERATIONS["store_spread"]
"""(tile, a, at, step): one row, register j to ``a[at + j * step]`` on."""
store_rows = _OPERATIONS["store_rows"]
"""(tile, a, at, step): row i to ``a[at + i * step]`` on."""
fma = _OPERATIONS["fma"]
"""(tile, a, at, step, v): row i of the tile, plus ``a[at + i * step]`` times the row v."""
fnma = _OPERATIONS["fnma"]
"""(tile, a, at, step, v): minus instead of plus."""
row_max = _OPERATIONS["row_max"]
"""(tile): the greatest of its rows, lane by lane, as one row."""
add = _OPERATIONS["add"]
subtract = _OPERATIONS["subtract"]
multiply = _OPERATIONS["multiply"]
divide = _OPERATIONS["divide"]
maximum = _OPERATIONS["maximum"]
absolute = _OPERATIONS["absolute"]
exponential = _OPERATIONS["exponential"]
"""(tile): e to the power of each, up to 88, within 2e-7 of it; below -86 as at -86, which is 4e-38."""
