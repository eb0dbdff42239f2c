"""Telling whoever waits that kernels are being compiled. Needs no Numba: the command line listens before that loads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[int, bool], None]
"""Called with how many kernels are ready, and whether any had to be compiled."""

COMPILING = "compiling kernels, once on this machine (about 20 s)"
KERNELS = {"musicnn": 50, "residual": 50, "attention": 48, "autopool": 44, "vgg": 30}
"""How many are ready once a live session with a model of this architecture has started with an empty cache."""

log = logging.getLogger("streamtag")  # without handlers, what is a warning comes on stderr


class _Count:
    ready = 0
    compiled = False
    listener: Listener | None = None


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell this listener of each kernel, instead of logging one line at the first that is compiled."""
    before, _Count.listener = _Count.listener, listener
    try:
        yield
    finally:
        _Count.listener = before


def begun() -> None:
    """A kernel is not in the cache, and is compiled now."""
    first, _Count.compiled = not _Count.compiled, True
    if _Count.listener is not None:
        _Count.listener(_Count.ready, True)
    elif first:
        log.warning("streamtag: %s", COMPILING)


def done() -> None:
    """A kernel is ready, out of the cache or compiled."""
    _Count.ready += 1
    if _Count.listener is not None:
        _Count.listener(_Count.ready, _Count.compiled)
