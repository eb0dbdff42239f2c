"""Limits on a process (`ulimit`, a service manager's) under which libraries hang or crash instead of saying why."""

from __future__ import annotations

import os

from streamtag.errors import StreamtagError

ADDRESS_SPACE = 700_000_000
"""Bytes; measured with `ulimit -v`: a first start of MSD_musicnn, which compiles. Less is in use: see docs/start.md."""
FEW_THREADS = 64


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


def plainly(error: BaseException) -> str | None:
    """What is wrong with where or how this process runs; None for anything else."""
    text = str(error)
    if isinstance(error, FileNotFoundError) and error.errno and error.filename is None:  # `getcwd`, of any library
        return "the working directory is gone: start it in another"
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and "failed to map" in text):
        return "out of memory"
    if isinstance(error, RuntimeError) and "start new thread" in text:
        return "the system lets this process start no further thread (ulimit -u, or a container's limit of processes)"
    return None
