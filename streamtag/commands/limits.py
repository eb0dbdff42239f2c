"""Limits on a process (`ulimit`, a service manager's) under which libraries hang or crash instead of saying why."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

from streamtag.errors import StreamtagError

ADDRESS_SPACE = 800_000_000
"""Bytes; a first start of MSD_musicnn, which compiles, has 761 MB. Less is in use: see docs/start.md."""
FEW_THREADS = 64
M_ARENA_MAX = -8
"""Of glibc's ``mallopt``, see mallopt(3)."""


def heed_limits() -> None:
    """Keep within the limits of this process, before NumPy is imported.

    Raises
    ------
    StreamtagError
        They are too narrow: OpenBLAS would try for ever to get memory.
    """
    try:
        import resource
    except ImportError:  # Windows has none
        return
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    data, _ = resource.getrlimit(resource.RLIMIT_DATA)
    threads = resource.getrlimit(resource.RLIMIT_NPROC)[0] if hasattr(resource, "RLIMIT_NPROC") else -1
    for limit, name in ((space, "address space (ulimit -v)"), (data, "data (ulimit -d)")):
        if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE:
            raise StreamtagError(
                f"this process may have only {limit / 1e6:.0f} MB of {name}; streamtag needs {ADDRESS_SPACE / 1e6:.0f}"
            )
    if {space, data} != {resource.RLIM_INFINITY} or 0 <= threads < FEW_THREADS:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each of its threads sets memory aside
        _share_one_arena()


def _share_one_arena() -> None:
    """Keep glibc from setting addresses aside for each thread that allocates: 370 MB of a live session."""
    with suppress(OSError, AttributeError):  # other C libraries do no such thing
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def plainly(error: BaseException) -> str | None:
    """What is wrong with where or how this process runs; None for anything else."""
    text = str(error)
    if isinstance(error, FileNotFoundError) and error.errno and error.filename is None:  # `getcwd`, of any library
        return "the working directory is gone: start it in another"
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and "failed to map" in text):
        return "out of memory"
    if isinstance(error, RuntimeError) and "start new thread" in text:
        return "the system lets this process start no further thread (ulimit -u, ulimit -v, a container's limit)"
    return None
