"""Kernels against plain NumPy. Small, so that they also run without compilation (NUMBA_DISABLE_JIT=1)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamtag._compile import simd
from streamtag.inference.networks.weights import Weights
from streamtag.inference.sliding import kernels
from streamtag.inference.sliding.arena import Arena
from streamtag.inference.sliding.musicnn import layout, prepared, temporal, timbral
from streamtag.inference.sliding.musicnn.layout import Block, make_shape
from streamtag.inference.sliding.musicnn.predictor import SlidingPredictor
from streamtag.inference.sliding.musicnn.prepared import SPECTRUM, Prepared
from tests.support import naive_musicnn as naive
from tests.support import sounds

pytestmark = pytest.mark.kernels
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def arrays(**contents: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """An arena with these, and their places."""
    arena = Arena()
    places = {name: arena.put(values) for name, values in contents.items()}
    return arena.array(), places


def panels(matrix: np.ndarray) -> np.ndarray:
    """As `prepared` lays a matrix out."""
    columns = -(-matrix.shape[1] // simd.PANEL) * simd.PANEL
    padded = np.zeros((len(matrix), columns), np.float32)
    padded[:, : matrix.shape[1]] = matrix
    return padded.reshape(len(matrix), -1, simd.PANEL).swapaxes(0, 1)


@pytest.mark.parametrize("rows", [0, 1, 5, 6, 13])
@pytest.mark.parametrize("bias", [False, True])
def test_matmul(rows: int, bias: bool) -> None:
    depth, step, columns = 21, 3, 2 * simd.PANEL
    x, start, out = normal(depth + step * 20), normal(20, columns), np.zeros((20, columns), np.float32)
    matrix = normal(depth, columns)
    memory, at = arrays(x=x, start=start, out=out)
    weights, weights_at = arrays(panels=panels(matrix), bias=normal(columns))
    begin, begin_step = (weights_at["bias"], 0) if bias else (at["start"], columns)
    kernels.matmul(
        memory,
        at["x"],
        step,
        depth,
        weights,
        weights_at["panels"],
        columns,
        begin,
        begin_step,
        at["out"],
        columns,
        rows,
    )
    views = np.lib.stride_tricks.sliding_window_view(x, depth)[::step][:rows]
    first = weights[begin : begin + columns] if bias else start[:rows]
    got = memory[at["out"] :][: out.size].reshape(out.shape)
    np.testing.assert_allclose(got[:rows], first + views @ matrix, atol=2e-5)
    assert not got[rows:].any()


@pytest.mark.parametrize("width", [1, 51, 64])
def test_activate(width: int) -> None:
    x, activation = normal(width), normal(4, width)
    memory, at = arrays(x=x, out=np.zeros(width + 5))
    weights, weights_at = arrays(activation=activation)
    kernels.activate(memory, at["x"], weights, weights_at["activation"], at["out"], width)
    sign, bias, scale, offset = activation
    expected = np.maximum(x * sign + bias, 0) * scale + offset
    got = memory[at["out"] :][: width + 5]
    np.testing.assert_allclose(got[:width], expected, atol=1e-6)
    assert not got[width:].any()


@pytest.mark.parametrize(("width", "count"), [(51, 3), (416, 2), (64, 150), (64, 0)])
def test_pool(width: int, count: int) -> None:
    rows = normal(count + 2, width)
    room = width + simd.PANEL
    memory, at = arrays(rows=rows, maxima=np.full(room, -1.0), totals=np.full(room, 2.0))
    kernels.pool(memory, at["rows"] + width, width, count, width, at["maxima"], at["totals"])
    taken = rows[1 : count + 1]
    np.testing.assert_array_equal(memory[at["maxima"] :][:width], np.maximum(taken.max(axis=0, initial=-1), -1))
    np.testing.assert_allclose(memory[at["totals"] :][:width], 2 + taken.sum(axis=0), atol=2e-5)


@pytest.mark.parametrize(("first", "rows"), [(0, 3), (13, 4), (7, 7), (1_000_000_006, 5)])
def test_mirror(first: int, rows: int) -> None:
    capacity, width = 7, 5
    ring = np.zeros((2 * capacity, width), np.float32)
    values = normal(rows, width)
    ring[first % capacity : first % capacity + rows] = values
    memory, at = arrays(ring=ring)
    kernels.mirror(memory, at["ring"], capacity, width, first, rows)
    got = memory[at["ring"] :][: ring.size].reshape(ring.shape)
    for i, row in enumerate(values):
        for half in (0, capacity):
            np.testing.assert_array_equal(got[(first + i) % capacity + half], row)


def test_spectral_filters_are_a_correlation() -> None:
    for bands in (38, 67):
        kernel, x = RNG.normal(size=(7, bands, 4)), RNG.normal(size=(7, 96))
        spectra, cosines, minus_sines = prepared.spectral_filters(kernel)
        products = np.einsum("tk,ktf->kf", np.fft.rfft(x), spectra[:, :, 0] + 1j * spectra[:, :, 1])
        even, odd = cosines.T @ products.real, minus_sines.T @ products.imag
        direct = naive.timbral(x, kernel)[3]  # its middle frame sees all seven
        np.testing.assert_allclose((even + np.abs(odd)).max(axis=0), direct.max(axis=0), atol=1e-10)


def test_timbral_columns(weights: Weights, prepared: Prepared) -> None:
    frames = sounds.music(10).astype(np.float64)
    x = naive.norm(weights.tensors, "input_norm", frames[..., None])[..., 0]
    spectra = np.zeros((10, SPECTRUM), np.float32)
    spectra[:, :98] = np.fft.rfft(x).astype(np.complex64).view(np.float32)
    width = 2 * prepared.places.timbral_stride
    memory, at = arrays(spectra=spectra, out=np.zeros((6, width)), products=np.zeros(layout.PRODUCTS))
    jobs = np.array([[at["spectra"], 4, at["out"]], [0, 0, 0]])
    timbral.timbral_columns(jobs, 2, memory, prepared.weights, prepared.places, at["products"])
    got = memory[at["out"] :][: 6 * width].reshape(6, 2, -1)
    for branch, bands in enumerate((38, 67)):
        name = f"timbral_{bands}"
        sums = naive.timbral(x, weights.tensors[f"{name}_conv/kernel"][:, :, 0])[3:-3]
        expected = naive.norm(
            weights.tensors, f"{name}_norm", np.maximum(sums + weights.tensors[f"{name}_conv/bias"], 0)
        ).max(axis=1)
        np.testing.assert_allclose(got[:4, branch, :204], expected, atol=3e-5)
    assert not got[4:].any()


@pytest.mark.parametrize(("hop", "at_once", "steps"), [(1, 2, (2, 1)), (3, 1, (1, 1, 1)), (40, 1, (1, 1))])
def test_temporal_columns(weights: Weights, prepared: Prepared, hop: int, at_once: int, steps: tuple[int, ...]) -> None:
    """Edges and whole columns of the branch of 32 frames, over blocks of windows."""
    window, back, ahead = 33, 15, 16
    shape = make_shape(prepared.spec, window, hop, at_once)
    frames = sounds.music(window + hop * sum(steps)).astype(np.float64)
    x = naive.norm(weights.tensors, "input_norm", frames[..., None])[..., 0].astype(np.float32)
    arena = Arena()
    normed = arena.room(2 * shape.capacity, 96)
    left, right = arena.room(shape.slots, back, 51), arena.room(at_once, ahead, 51)
    whole, running = arena.room(2 * shape.capacity, 51), arena.room(ahead, layout.RUNNING)
    best = arena.room(128, layout.FILTERS)
    memory = arena.array()
    filters, activation = prepared.places.temporal[0], prepared.places.temporal_activations[0]

    def rows(place: int, count: int) -> np.ndarray:
        return memory[place : place + 51 * count].reshape(count, 51)

    done = first = 0
    for windows in steps:
        start = first * hop
        end = start + (windows - 1) * hop + window
        for t in range(max(done, start), end):
            for half in (0, shape.capacity):
                place = normed + (t % shape.capacity + half) * 96
                memory[place : place + 96] = x[t]
        block = Block(done, first, windows, start, end)
        branch = layout.Branch(32, filters, activation, left, right, running, whole)
        temporal.left_columns(memory, prepared.weights, shape, block, branch, normed, best)
        temporal.right_columns(memory, prepared.weights, shape, block, branch, normed, best)
        for i in range(windows):
            start = (first + i) * hop
            heard = x[start : start + window].astype(np.float64)
            sums = naive.temporal(heard, weights.tensors["temporal_32_conv/kernel"][:, 0, 0])
            sums = np.maximum(sums + weights.tensors["temporal_32_conv/bias"], 0)
            expected = naive.norm(weights.tensors, "temporal_32_norm", sums).max(axis=1)
            slot = (first + i) % shape.slots
            np.testing.assert_allclose(rows(left + slot * back * 51, back), expected[:back], atol=2e-5)
            np.testing.assert_allclose(rows(right + i * ahead * 51, ahead), expected[-ahead:], atol=2e-5)
            inside = whole + (start + back) % shape.capacity * 51
            np.testing.assert_allclose(rows(inside, window - 31), expected[back:-ahead], atol=2e-5)
        done, first = end, first + windows


def test_a_small_evaluation(weights: Weights, prepared: Prepared) -> None:
    frames = sounds.music(5)
    predictor = SlidingPredictor(prepared, 3, 2)
    predictor.push(frames)
    judged = predictor.take(2)
    for row in range(2):
        expected = naive.musicnn(weights.tensors, frames[2 * row : 2 * row + 3])
        np.testing.assert_allclose(judged.taggram[row], expected["taggram"], atol=5e-6)
        np.testing.assert_allclose(judged.embedding[row], expected["penultimate"], atol=3e-5)


OTHERS = {
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+sse4.2,+avx,+avx2,+fma"},
    "baseline": {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"},
}


@pytest.mark.slow
@pytest.mark.skipif("STREAMTAG_KERNELS_AGAIN" in os.environ, reason="already the inner run")
@pytest.mark.parametrize("other", OTHERS)
def test_kernels_of_other_machines(other: str, tmp_path: Path) -> None:
    """The same tests, compiled for another CPU. Not compiled at all: the last line of `make test`."""
    if "NUMBA_CPU_NAME" in OTHERS[other] and simd.instruction_set() == "NEON":
        pytest.skip("not on ARM")
    environment = {**os.environ, **OTHERS[other], "NUMBA_CACHE_DIR": str(tmp_path), "STREAMTAG_KERNELS_AGAIN": "1"}
    files = [__file__, str(Path(__file__).with_name("test_attention_kernels.py"))]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
