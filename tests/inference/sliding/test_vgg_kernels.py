"""Each vgg kernel against its plain NumPy twin. Also run with NUMBA_DISABLE_JIT=1, so sizes are small."""

from __future__ import annotations

import numpy as np
import pytest

from streamtag._compile.simd import PANEL
from streamtag.inference.sliding.vgg.kernels import STEM_WIDTH, add_tap, pool, product, raise_to, stem
from streamtag.inference.sliding.vgg.prepared import Stem
from tests.support import naive_vgg

pytestmark = pytest.mark.kernels


def noise(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def panels(matrix):
    return np.ascontiguousarray(matrix.reshape(-1, 128 // PANEL, PANEL).swapaxes(0, 1)).reshape(-1)


def norms():
    """Sign, scale and offset of five layers."""
    found = noise(5, 3, 128, seed=9)
    found[:, 0] = np.sign(found[:, 1])
    return found


def near(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 6, 10, 15])
def test_product_is_its_twin(rows):
    depth, step = 7, 5
    x, matrix, start = noise(200), noise(depth, 128, seed=2), noise(rows + 1, 128, seed=3)
    out = np.full(64 + rows * 128 + 64, 9, np.float32)
    overlapping = np.array([x[3 + i * step :][:depth] for i in range(rows)]).reshape(rows, depth)
    for start_step in (128, 0):
        product(x, 3, step, depth, panels(matrix), 0, start.reshape(-1), 0, start_step, out, 64, rows)
        expected = naive_vgg.product(overlapping, matrix, start[:rows] if start_step else start[0])
        near(out[64:-64].reshape(rows, 128), expected)
    assert (out[:64] == 9).all()
    assert (out[-64:] == 9).all()


def test_add_tap_is_its_twin():
    bands = 6
    kernels = noise(4, 3, 3, 128, 128) / 20  # layer, tap, band, in, out
    filters = np.concatenate([panels(tap) for layer in kernels for tap in layer])
    column, start = noise(bands + 1, 128, seed=2), noise(bands, 128, seed=3)
    x = np.concatenate((np.zeros(128), column.reshape(-1))).astype(np.float32)
    out = np.zeros(bands * 128, np.float32)
    add_tap(x, 0, filters, 2, 1, start.reshape(-1), 0, 128, out, 0, bands)
    near(out.reshape(bands, 128), naive_vgg.tap(column, kernels[2, 1], start))


@pytest.mark.parametrize("missing", [0, 1])
@pytest.mark.parametrize("bands", [8, 47])
def test_stem_is_its_twin(missing, bands):
    frames, kernel, bias = noise(9, 96), noise(3, 3, 128, seed=2), noise(128, seed=3)
    weights = Stem(np.array([0.5, -1], np.float32), panels(kernel), bias)
    patch, out = np.zeros(6 * STEM_WIDTH, np.float32), np.zeros(128 + bands * 128, np.float32)
    stem(frames, 2, missing, weights, norms().reshape(-1), patch, out, 128, bands)
    heard = [None if t < missing else frames[1 + t] for t in range(6)]
    near(out[128:].reshape(bands, 128), naive_vgg.stem(heard, 0.5, -1, kernel, bias, norms()[0], bands))
    assert (out[:128] == 0).all()


def test_pool_is_its_twin():
    columns, out = noise(2, 10, 128), np.zeros(128 + 5 * 128, np.float32)
    pool(columns.reshape(-1), 0, 10 * 128, norms().reshape(-1), 3, out, 128, 5)
    near(out[128:].reshape(5, 128), naive_vgg.pool(columns[0], columns[1], norms()[3]))


def test_raise_to_is_its_twin():
    best, column = noise(2, 128), noise(4, 128, seed=2)
    expected = np.maximum(best[1], column.max(axis=0))
    untouched = best[0].copy()
    raise_to(best.reshape(-1), 128, column.reshape(-1), 0)
    np.testing.assert_array_equal(best[1], expected)
    np.testing.assert_array_equal(best[0], untouched)
