"""How kernels are compiled, and where the machine code is kept.

Numba compiles at the first call, in seconds, and keeps the result on disk. It looks only at the file that a function is
in: a change to a function that another file's kernel calls would go unnoticed. So the folder is named after all of our
source. It is in the user's cache (site-packages may be read-only), or under NUMBA_CACHE_DIR where that is set.
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


def cache_folder() -> Path:
    """Where these sources' machine code goes."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    parent = Path(CONFIG.CACHE_DIR) if CONFIG.CACHE_DIR else user_cache_path("streamtag")
    return parent / f"kernels-{digest.hexdigest()[:16]}"


_FOLDER = str(cache_folder())


def jit(function: Function) -> Function:
    """Compile a kernel: without the GIL, without checks, with IEEE arithmetic in the order that is written."""
    chosen, CONFIG.CACHE_DIR = CONFIG.CACHE_DIR, _FOLDER  # Numba looks at it now, not at the first call
    try:
        return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # there is no folder that can be written to
        return cast(Function, numba.njit(nogil=True, error_model="numpy")(function))
    finally:
        CONFIG.CACHE_DIR = chosen
