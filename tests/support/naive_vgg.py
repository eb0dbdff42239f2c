"""Plain NumPy twins of the vgg kernels, in float64, and the whole network. Columns are (bands, 128)."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.support.naive_musicnn import norm


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


def vgg(tensors, patch):
    """One patch (187, 96) of log-mel to pool1 ... pool5 and taggram, straight from the published architecture."""
    x = norm(tensors, "input_norm", patch.astype(np.float64)[..., None])
    found = {}
    for n, (size, stride) in enumerate((((4, 1), (2, 2)), *[((2, 2), (2, 2))] * 3, ((4, 4), (4, 4))), start=1):
        views = sliding_window_view(np.pad(x, ((1, 1), (1, 1), (0, 0))), (3, 3), axis=(0, 1))
        kernel, bias = tensors[f"cnn{n}_conv/kernel"].astype(np.float64), tensors[f"cnn{n}_conv/bias"]
        sums = np.einsum("tfcab,abco->tfo", views, kernel, optimize=True) + bias
        x = norm(tensors, f"cnn{n}_norm", np.maximum(sums, 0))
        x = sliding_window_view(x, size, axis=(0, 1)).max(axis=(3, 4))[:: stride[0], :: stride[1]]
        found[f"pool{n}"] = x
    logits = x.reshape(-1) @ tensors["tags/kernel"].astype(np.float64) + tensors["tags/bias"]
    return {**found, "taggram": 1 / (1 + np.exp(-logits))}
