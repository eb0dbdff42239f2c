"""Mel power, which training stores: a kernel of its own, so that who only plays does not compile it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamtag._compile.jit import kernel
from streamtag.dsp.kernels import F32, F64, I64


@kernel("void(complex128[:, ::1], int64[::1], int64[::1], float64[::1], float64[::1], float32[:, ::1])")
def mel_power(spectra: NDArray[np.complex128], first: I64, offset: I64, weights: F64, gain: F64, power: F32) -> None:
    """Power in mel bands, for each frame: `log_mel` before its logarithm, with the same parameters."""
    frames, bands = power.shape
    for f in range(frames):
        for m in range(bands):
            mel = 0.0
            for k in range(offset[m + 1] - offset[m]):
                value = spectra[f, first[m] + k]
                mel += weights[offset[m] + k] * (value.real * value.real + value.imag * value.imag)
            power[f, m] = gain[f] * mel
