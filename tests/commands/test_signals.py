"""Signals whose exceptions Python throws away: in functions that C calls, and in finalisers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest

from tests.support.program import Running

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")]
Start = Callable[..., Running]

PROGRAM = """
import ctypes, signal, sys, threading
from streamtag.commands.signals import Terminated, install_signal_handlers
from streamtag.commands.signals import resend_lost_signals, restore_default_handlers

number = int(sys.argv[1])
interrupt = lambda: signal.raise_signal(number)

class Finalised:
    def __del__(self):
        interrupt()

def in_a_function_that_c_calls():
    ctypes.CFUNCTYPE(None)(interrupt)()

def in_a_finaliser():
    Finalised()

resend_lost_signals()
install_signal_handlers()
try:
    locals()[sys.argv[2]]()
    print("thrown away")
    if "late" in sys.argv:
        restore_default_handlers()
        threading.Event().wait(0.5)
        print("went on")
    else:
        threading.Event().wait(60)  # as `streamtag live` waits: for a long time, in C
except KeyboardInterrupt:
    print("interrupted")
except Terminated as end:
    print("terminated", end.status)
"""


@pytest.mark.parametrize("where", ["in_a_function_that_c_calls", "in_a_finaliser"])
@pytest.mark.parametrize(
    ("number", "end"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated 143"), ("SIGHUP", "terminated 129")]
)
def test_a_signal_that_python_throws_away_is_sent_again(start: Start, where: str, number: str, end: str) -> None:
    outcome = start(int(getattr(signal, number)), where, code=PROGRAM).end()
    assert (outcome.stdout.splitlines(), outcome.stderr, outcome.status) == (["thrown away", end], "", 0)


def test_it_is_not_when_an_orderly_end_has_begun(start: Start) -> None:
    outcome = start(int(signal.SIGTERM), "in_a_finaliser", "late", code=PROGRAM).end()
    assert (outcome.stdout.splitlines(), outcome.stderr, outcome.status) == (["thrown away", "went on"], "", 0)


def test_other_exceptions_are_printed_as_ever(start: Start) -> None:
    program = PROGRAM.replace("signal.raise_signal(number)", "1 / 0").replace("wait(60)", "wait(0)")
    outcome = start(0, "in_a_finaliser", code=program).end()
    assert outcome.stdout.splitlines() == ["thrown away"]
    assert "ZeroDivisionError" in outcome.stderr
