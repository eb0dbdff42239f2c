"""Waiting for what another thread or process does, and saying what is missing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip, because a part of the system is missing; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"in CI this must run: {what}")
    pytest.skip(what)


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until something is so; fail, saying what was waited for."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.005)
