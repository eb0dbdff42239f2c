"""Kernels of attention and autopool against plain NumPy. Also run with NUMBA_DISABLE_JIT=1, so sizes are small."""

from __future__ import annotations

import numpy as np
import pytest

from streamtag._compile import simd
from streamtag._compile.jit import jit
from streamtag.inference.sliding.arena import Arena, Floats
from streamtag.inference.sliding.attention import convolution, geometry, layout
from streamtag.inference.sliding.attention.prepared import Weighing
from streamtag.inference.sliding.attention.weighing import Part, attend, autopool, weighted_mean
from streamtag.inference.sliding.musicnn import geometry as musicnn_geometry
from streamtag.inference.sliding.musicnn.layout import Block, Rooms, Shape, make_rooms
from streamtag.inference.sliding.musicnn.prepared import panels
from tests.support import naive_attention as naive
from tests.support.naive_musicnn import convolution as convolved

pytestmark = pytest.mark.kernels
RNG = np.random.default_rng(0)
CHANNELS = 4 * 64
"""Of a network with as many filters in its front end as in each layer."""
WINDOWS = [1, 2, 5, 8, 9, 26, 30]
"""No row, some, and all are the window's own, of the sum over the front end and of the whole."""


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@jit
def exponentials(x: Floats, out: Floats) -> None:
    for i in range(0, len(x), simd.LANES):
        simd.store_rows(simd.exponential(simd.load_row(x, i, 1)), out, i, 0)


def test_exponential() -> None:
    x = np.concatenate((np.linspace(-86, 88, 100_032), normal(64), np.zeros(16))).astype(np.float32)
    out = np.empty_like(x)
    exponentials(x, out)
    np.testing.assert_allclose(out, np.exp(x.astype(np.float64)), rtol=2e-7)
    assert (out[-16:] == 1).all()
    exponentials(np.full(16, -1e30, np.float32), out)
    np.testing.assert_allclose(out[:16], np.exp(-86), rtol=2e-7)


@pytest.mark.parametrize("rows", [(2, 70, 3), (0, 1, 0), (4, 0, 3)])
def test_weighted_mean_of_rows_in_any_order(rows: tuple[int, int, int]) -> None:
    width, count = 2 * simd.PANEL, sum(rows)
    logits, more, values, places = (20 * normal(count, width) for _ in range(4))
    arena = Arena()
    forwards = [arena.put(each) for each in (logits, more, values, places)]
    backwards = arena.put(logits[::-1])
    out = arena.room(width)
    memory, weights = arena.array(), np.array([0.7], np.float32)
    parts, begin = [], 0
    for number, n in enumerate(rows):
        at = [place + begin * width for place in forwards]
        step = width
        if number == 2:
            at[0], step = backwards + (n - 1) * width, -width
        parts.append(Part(at[0], step, at[1], width, at[2], width, at[3], width, n))
        begin += n
    weighted_mean(memory, weights, 0, (parts[0], parts[1], parts[2]), width, out)
    factor = np.float64(weights[0])
    expected = naive.weighted_mean((values + places).astype(np.float64), factor * logits.astype(np.float64) + more)
    np.testing.assert_allclose(memory[out : out + width], expected, rtol=2e-5, atol=2e-5)


class Small:
    """A stream of a small network that has been given a window's features, those of its own rows among them."""

    def __init__(self, window: int, start: int) -> None:
        temporal: tuple[int, ...] = ()
        edges = tuple(musicnn_geometry.groups(window, temporal))
        levels = tuple(musicnn_geometry.midend(window, temporal))
        self.shape = Shape(window, 1, window, 1, window, 64, 8, 4, CHANNELS, CHANNELS, (64,), edges, levels)
        self.block = Block(0, start, 1, start, start + window)
        self.features, self.kernel = normal(window, CHANNELS), normal(3, CHANNELS, CHANNELS) / 20
        arena = Arena()
        filters = (panels(self.kernel[:, c : c + 64].reshape(-1, CHANNELS)) for c in range(0, CHANNELS, 64))
        kernels = arena.put_all(filters)
        self.weighing = Weighing(arena.put(1), arena.room(CHANNELS), kernels)
        self.weights = arena.array()
        arena = Arena()
        self.rooms: Rooms = make_rooms(self.shape, arena)
        self.attention = layout.make_attention(self.shape, arena)
        self.nothing = arena.room(CHANNELS)
        self.memory = arena.array()
        for group in range(4):
            ring, patch, width, edge = convolution.features(self.rooms, self.shape, group)
            own = self.features[:, 64 * group :][:, :64]
            inside = range(edge.before, window - edge.after)
            laid_out = self.rows(patch + 3 * width, window, width)
            laid_out[:] = own
            laid_out[inside] = 1e9  # who needs it takes it out of the ring
            for half in (0, window):
                for t in inside:
                    self.rows(ring, 2 * window, width)[(start + t) % window + half] = own[t]

    def rows(self, at: int, count: int, width: int) -> np.ndarray:
        return self.memory[at : at + count * width].reshape(count, width)

    def convolve(self) -> None:
        state = (self.memory, self.weights, self.weighing, self.attention)
        convolution.convolve_places(*state, self.shape)
        convolution.shared_sums(*state, self.rooms, self.shape, self.block)
        convolution.edge_sums(*state, self.rooms, self.shape, self.block.start)


@pytest.mark.parametrize("window", WINDOWS)
def test_the_convolution_of_a_window(window: int) -> None:
    small = Small(window, start=17)
    small.convolve()
    nothing = np.zeros(CHANNELS)
    expected = convolved(small.features.astype(np.float64), small.kernel, nothing)
    attention = small.attention
    assert geometry.edges(window) == (attention.left, attention.right)
    own = small.rows(attention.edges, attention.left + attention.right, CHANNELS)
    for row, sums in enumerate(own):
        np.testing.assert_allclose(sums, expected[convolution.place(row, window)], atol=2e-5)
    ring = small.rows(attention.sums[-1], 2 * window, CHANNELS)
    for t in range(attention.left, window - attention.right):
        np.testing.assert_allclose(ring[(17 + t) % window], expected[t], atol=2e-5)
    placed = naive.encoding(window, CHANNELS)
    sums = small.rows(attention.place_sums, window, CHANNELS)
    np.testing.assert_allclose(sums, convolved(placed, small.kernel, nothing), atol=2e-5)


@pytest.mark.parametrize("window", WINDOWS)
def test_attention_sums_up_a_window(window: int) -> None:
    small = Small(window, start=17)
    small.convolve()
    attend(
        small.memory, small.weights, small.weighing, small.attention, small.rooms, small.shape, 17, small.rooms.pooled
    )
    placed = small.features + naive.encoding(window, CHANNELS)
    expected = naive.weighted_mean(placed, convolved(placed, small.kernel, np.zeros(CHANNELS)))
    np.testing.assert_allclose(small.memory[small.rooms.pooled :][:CHANNELS], expected, atol=1e-5)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("alpha", [0, 1.5, -2])
def test_autopool_sums_up_a_window(window: int, alpha: float) -> None:
    small = Small(window, start=17)
    weights = np.full(simd.PANEL, alpha, np.float32)
    autopool(small.memory, weights, 0, small.nothing, small.rooms, small.shape, 17, small.rooms.pooled)
    values = small.features.astype(np.float64)
    expected = naive.weighted_mean(values, alpha * values)
    np.testing.assert_allclose(small.memory[small.rooms.pooled :][:CHANNELS], expected, atol=1e-5)
