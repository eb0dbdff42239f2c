"""Plain NumPy twins of the vgg kernels, in float64. Columns are (bands, 128)."""

from __future__ import annotations

import numpy as np


def product(x, matrix, start):
    """Rows of x (rows, depth) by a matrix (depth, 128), on top of `start`."""
    return start + x.astype(np.float64) @ matrix


def tap(column, kernel, start):
    """What one input column adds to a convolution. kernel: (3 bands, 128 in, 128 out); no zeros above the bands."""
    below = np.concatenate((np.zeros((1, 128)), column.astype(np.float64)))
    return start + sum(below[k : k + len(start)] @ kernel[k] for k in range(3))


def activate(sums, norm):
    """Relu and batch norm; norm: sign, scale and offset (3, 128)."""
    sign, scale, offset = norm.astype(np.float64)
    return scale * np.maximum(sign * sums, 0) + offset


def pool(first, second, norm):
    """Maximum over two columns and pairs of bands."""
    both = np.maximum(first, second)
    return activate(np.maximum(both[::2], both[1::2]), norm)


def stem(frames, scale, offset, kernel, bias, norm, bands):
    """A column of pool 1 from 6 frames; kernel: (3 in time, 3 in frequency, 128). Frames that are None are zeros."""
    x = np.zeros((6, 98))
    for t, frame in enumerate(frames):
        if frame is not None:
            x[t, 1:97] = scale * frame.astype(np.float64) + offset
    rows = [
        [bias + np.einsum("tf,tfc->c", x[t : t + 3, 2 * band : 2 * band + 3], kernel) for band in range(bands)]
        for t in range(4)
    ]
    return activate(np.max(rows, axis=0), norm)
