"""No two kernels have one name: LLVM would take the code of one for both."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import streamtag
from streamtag._compile.jit import CONFIG

pytestmark = pytest.mark.skipif(bool(CONFIG.DISABLE_JIT), reason="nothing is compiled")

PROGRAM = """
import sys
from streamtag._compile.jit import jit

def make(n):
    def power(x):
        for _ in range(n):
            x = x * x
        return x
    power.__module__ = "streamtag.made_by_a_test"
    return jit(power)

for kernel in (make(1), make(3))[:: int(sys.argv[1])][: int(sys.argv[2])]:
    kernel(1.5)
    print(*(result.fndesc.mangled_name for result in kernel.overloads.values()))
"""


def kernels() -> dict[int, Any]:
    found = {}
    for module in pkgutil.walk_packages(streamtag.__path__, "streamtag."):
        if ".sliding." in module.name or ".dsp." in module.name or ".realtime." in module.name:
            for value in vars(import_module(module.name)).values():
                if hasattr(value, "py_func"):
                    found[id(value)] = value
    return found


def test_all_kernels_have_names_of_their_own() -> None:
    names = Counter((kernel.py_func.__module__, kernel.py_func.__qualname__) for kernel in kernels().values())
    assert len(names) > 50
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.slow
def test_what_is_compiled_here_is_not_called_as_what_another_process_has_kept(tmp_path: Path) -> None:
    """The first kernel out of the cache of a process that compiled it first, and the other, compiled first here."""
    env = {"HOME": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path)}
    lines = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env=env,
        ).stdout.split()
        for arguments in (("1", "1"), ("-1", "2"))
    ]
    assert len(lines[0]) == 1
    assert len(set(lines[1])) == 2
