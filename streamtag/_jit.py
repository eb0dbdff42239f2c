"""How kernels are compiled, and where the machine code is kept.

Numba compiles in seconds, and keeps the result on disk. It looks only at the file that a function is in: a change to a
function that another file's kernel calls would go unnoticed. So the folder is named after the source of all kernels.
It is in the user's cache (site-packages may be read-only), or under NUMBA_CACHE_DIR where that is set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from platformdirs import user_cache_path

Function = TypeVar("Function", bound=Callable[..., Any])
CONFIG: Any = numba.config
NJIT: Any = numba.njit
CFUNC: Any = numba.cfunc
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}  # the last compiles less


def cache_folder() -> Path:
    """Where these sources' machine code goes."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    rooms = (here / "dsp", here / "realtime", here / "inference" / "sliding")
    for path in (here / "_jit.py", *(path for room in rooms for path in sorted(room.rglob("*.py")))):
        digest.update(path.read_bytes())
    parent = Path(CONFIG.CACHE_DIR) if CONFIG.CACHE_DIR else user_cache_path("streamtag")
    return parent / f"kernels-{digest.hexdigest()[:16]}"


def is_cached() -> bool:
    """Whether this machine has compiled these sources before."""
    return any(cache_folder().rglob("*.nbc"))


_FOLDER = str(cache_folder())


def jit(function: Function) -> Function:
    """Compile a kernel at its first call: no GIL, no checks, and IEEE arithmetic in the order that is written."""
    return _cached(function)


def kernel(signature: str, fastmath: bool | set[str] = False, *, nogil: bool = True) -> Callable[[Function], Function]:
    """Compile a kernel at once, for one signature.

    Parameters
    ----------
    signature : str
        Numba's signature.
    fastmath : bool or set of str
        What may depart from IEEE arithmetic.
    nogil : bool
        Whether Python's lock is released meanwhile. A kernel of a microsecond had better keep it: if another thread
        takes it, it may be gone for long.

    Returns
    -------
    callable
        A decorator for the kernel.
    """
    return lambda function: _cached(function, signature, fastmath=fastmath, nogil=nogil)


def cfunction(signature: Any, function: Callable[..., Any]) -> Any:
    """Compile a function that C can call; its `address` is valid as long as the result is kept."""
    return _kept(lambda **cache: CFUNC(signature, nopython=True, error_model="numpy", **cache)(function))


def _cached(function: Function, *signature: str, **options: Any) -> Function:
    return cast(Function, _kept(lambda **cache: NJIT(*signature, **cache, **(OPTIONS | options))(function)))


def _kept(compiled: Callable[..., Any]) -> Any:
    chosen, CONFIG.CACHE_DIR = CONFIG.CACHE_DIR, _FOLDER  # Numba looks at it now, not at the first call
    try:
        return compiled(cache=True)
    except RuntimeError:  # there is no folder that can be written to
        return compiled()
    finally:
        CONFIG.CACHE_DIR = chosen
