"""What C libraries say while they load, and files that cannot be written meanwhile."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

HELD = """
import ctypes, os, resource, tempfile
libc = ctypes.CDLL(None)
from streamtag._stderr import stderr_held_unless_failing
resource.setrlimit(resource.RLIMIT_{limit})
try:
    with stderr_held_unless_failing():
        libc.write(2, b"said by C;", 10)
        {body}
except OSError as error:
    os.write(2, f"raised {{error}};".encode())
os.write(2, b"after")
"""


def nothing_can_be_written() -> None:
    """No file can be made longer than nothing: no folder serves for temporary files, as on a read-only system."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def run(*arguments: str, limit: object = None) -> subprocess.CompletedProcess[str]:
    """A fresh Python, limited."""
    return subprocess.run(  # type: ignore[call-overload]
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, preexec_fn=limit
    )


UNLIMITED, NOTHING_WRITTEN, NOTHING_OPENED = "CORE, (0, 0)", "FSIZE, (0, 0)", "NOFILE, (3, 3)"


def test_what_is_said_meanwhile_is_shown_only_if_it_fails() -> None:
    assert run("-c", HELD.format(limit=UNLIMITED, body="")).stderr == "after"
    failing = run("-c", HELD.format(limit=UNLIMITED, body="raise OSError('no')"))
    assert failing.stderr == "said by C;raised no;after"


@pytest.mark.parametrize("limit", [NOTHING_WRITTEN, NOTHING_OPENED])
def test_without_a_place_to_hold_it_the_body_runs_all_the_same(limit: str) -> None:
    done = run("-c", HELD.format(limit=limit, body="print('ran')"))
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
    assert done.stderr in ("after", "said by C;after")


def test_devices_are_listed_where_no_temporary_file_can_be_made() -> None:
    usual = run("-m", "streamtag", "devices")
    limited = run("-m", "streamtag", "devices", limit=nothing_can_be_written)
    kept = [line for line in limited.stderr.splitlines() if "kernel" not in line]  # which cannot be kept, either
    assert (limited.returncode, limited.stdout) == (usual.returncode, usual.stdout)
    assert kept == usual.stderr.splitlines()


def test_it_starts_with_no_descriptor_open() -> None:
    code = "import os, sys; [os.close(n) for n in (0, 1, 2)]; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    live = ["-m", "streamtag", "live", "--input", "demo", "--duration", "0.2", "--format", "text"]
    done = subprocess.run([sys.executable, "-c", code, *live], timeout=120, env=os.environ)
    assert done.returncode == 0
