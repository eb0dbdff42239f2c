"""Signals whose exceptions Python throws away: in functions that C calls, and in finalisers."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

PROGRAM = """
import ctypes, signal, sys, threading
from streamtag.interrupts import Terminated, heed, heed_no_longer, lose_none

number = int(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and what nohup runs, this
interrupt = lambda: signal.raise_signal(number)

class Finalised:
    def __del__(self):
        interrupt()

def in_a_function_that_c_calls():
    ctypes.CFUNCTYPE(None)(interrupt)()

def in_a_finaliser():
    Finalised()

lose_none()
heed()
try:
    locals()[sys.argv[2]]()
    print("thrown away")
    if "late" in sys.argv:
        heed_no_longer()
        threading.Event().wait(0.5)
        print("went on")
    else:
        threading.Event().wait(60)  # as `streamtag live` waits: for a long time, in C
except KeyboardInterrupt:
    print("interrupted")
except Terminated as end:
    print("terminated", end.status)
"""


def run(number: int, *where: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(int(number)), *where]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize("where", ["in_a_function_that_c_calls", "in_a_finaliser"])
@pytest.mark.parametrize(
    ("number", "end"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated 143"), ("SIGHUP", "terminated 129")]
)
def test_a_signal_that_python_throws_away_is_sent_again(where: str, number: str, end: str) -> None:
    done = run(getattr(signal, number), where)
    assert (done.stdout.splitlines(), done.stderr, done.returncode) == (["thrown away", end], "", 0)


def test_it_is_not_when_an_orderly_end_has_begun() -> None:
    done = run(signal.SIGTERM, "in_a_finaliser", "late")
    assert (done.stdout.splitlines(), done.returncode) == (["thrown away", "went on"], 0)


def test_other_exceptions_are_printed_as_ever() -> None:
    program = PROGRAM.replace("signal.raise_signal(number)", "1 / 0").replace("wait(60)", "wait(0)")
    done = subprocess.run([sys.executable, "-c", program, "0", "in_a_finaliser"], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["thrown away"]
    assert "ZeroDivisionError" in done.stderr
