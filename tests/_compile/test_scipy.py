"""Numba would load SciPy at each start, for a BLAS that none of our kernels uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
import streamtag.realtime.callback
print(any(name.startswith("scipy.linalg") for name in sys.modules))
import numba, numpy
print(numba.njit(lambda a, b: numpy.dot(a, b))(numpy.ones(4), numpy.ones(4)))
"""


@pytest.mark.slow
def test_a_start_leaves_it_out_and_a_kernel_of_ones_own_finds_it() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "False\n4.0\n"
