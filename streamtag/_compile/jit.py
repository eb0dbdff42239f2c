"""How kernels are compiled: each once, and then out of the cache (`streamtag._compile.cache`).

Numba's own cache stops the program where a file of it is damaged or cannot be written, and falls back to folders whose
code may be stale. So its dispatchers get another one here.
"""

from __future__ import annotations

import hashlib
import importlib
import pickle
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import llvmlite
import numba
from numba.core import sigutils
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.core.typeinfer import register_dispatcher

from streamtag._compile import progress
from streamtag._compile.cache import KernelStore

Function = TypeVar("Function", bound=Callable[..., Any])
CONFIG: Any = numba.config
NJIT: Any = numba.njit
NORMALIZED: Any = sigutils.normalize_signature
RESULT: Any = CompileResult
DUMPED: Any = dumps
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}  # the last compiles less

_VERSIONS = (numba.__version__, llvmlite.__version__, sys.version, sys.abiflags if hasattr(sys, "abiflags") else "")
_SETTINGS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DISABLE_INTEL_SVML")
"""Of Numba's (NUMBA_OPT ...), those that make other code: who tries one once does not want its code from then on."""
_store = KernelStore()


def _without_scipy() -> None:
    """Have Numba load its array functions without SciPy, which would be 0.25 s of each start.

    It asks there for a BLAS, for np.dot and its kin. No kernel calls them; one of the caller's own still finds it.
    """
    try:
        module: Any = importlib.import_module("numba.np.linalg")
        find = module.ensure_blas
    except (ImportError, AttributeError):  # a Numba that has this elsewhere starts as it comes
        return
    module.ensure_blas = lambda: None
    try:
        importlib.import_module("numba.np.arraymath")  # which calls it, once
    finally:
        module.ensure_blas = find


_without_scipy()


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
    _name_apart(function)
    options = {"nopython": True, "error_model": "numpy"}
    compiled: Any = CFunc(function, NORMALIZED(signature), locals={}, options=options)
    compiled._cache = _Cache(function)
    compiled.compile()
    return compiled


def _cached(function: Function, *signature: str, **options: Any) -> Function:
    if CONFIG.DISABLE_JIT:
        return function
    _name_apart(function)
    dispatcher = _dispatcher(function, options)
    if signature:
        with register_dispatcher(dispatcher):
            dispatcher.compile(*signature)
            dispatcher.disable_compile()
    else:
        # Most are called by other kernels alone: what takes a call from Python apart would be a quarter of the wait.
        within = _dispatcher(function, options, within=True)
        dispatcher.get_call_template, dispatcher.get_overload = within.get_call_template, within.get_overload
    return cast(Function, dispatcher)


def _dispatcher(function: Callable[..., Any], options: dict[str, Any], within: bool = False) -> Any:
    """Make what compiles a function for each kind of arguments, for calls from Python or from within other kernels."""
    dispatcher = NJIT(**(OPTIONS | options), no_cpython_wrapper=within)(function)
    if function.__module__.startswith("streamtag."):  # the folder is named after these sources, and no others
        dispatcher._cache = _Cache(function, within)
    return dispatcher


def _name_apart(function: Callable[..., Any]) -> None:
    """Give kernels that one function makes, each for other constants, names of their own.

    Numba tells functions of one name apart by a number, which counts what a process has compiled. Code out of the cache
    was counted by another process: then two functions may have one name, and LLVM takes the first for both. So wrong
    numbers came of two first starts at once.
    """
    if function.__closure__ is not None:
        constants = (cell.cell_contents for cell in function.__closure__)
        said = "_".join(str(getattr(constant, "__qualname__", constant)) for constant in constants)
        function.__qualname__ += f"_{said}"


class _Cache(FunctionCache):
    """What Numba asks for compiled code, and gives it to; inherited is the key: signature, processor, code, closure."""

    def __init__(self, function: Callable[..., Any], within: bool = False) -> None:
        self._py_func = function
        self._within = within
        self._cache_path = None  # for Numba's statistics
        self._enabled = True

    def flush(self) -> None:
        """Nothing: a kernel that is compiled again replaces its file."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function out of the cache, or None."""
        target_context.refresh()
        loaded = None
        try:
            kept = _store.load(self._name_of(sig, target_context.codegen()))
            if kept is not None:
                loaded = RESULT._rebuild(target_context, *pickle.loads(kept))
        except Exception as error:  # whole, and yet it does not fit what is installed here
            _store.distrust(error)
        if loaded is None:
            progress.begun()
        else:
            progress.done()
        return loaded

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function."""
        try:
            if not data.library.has_dynamic_globals and not data.lifted:
                _store.save(self._name_of(sig, data.codegen), DUMPED(data._reduce()))
        except Exception as error:  # another Numba, whose functions are not kept so
            _store.give_up(error)
        progress.done()

    def _name_of(self, sig: Any, codegen: Any) -> str:
        function = self._py_func
        place = (function.__module__, function.__qualname__, function.__code__.co_firstlineno)
        settings = [str(getattr(CONFIG, name, None)) for name in _SETTINGS]
        key = repr((_VERSIONS, settings, self._within, place, self._index_key(sig, codegen)))  # type: ignore[no-untyped-call]
        return f"{function.__name__}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
