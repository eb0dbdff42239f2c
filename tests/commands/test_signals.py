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
import ctypes, os, signal, sys, threading, time
from streamtag.commands.signals import Terminated, defer_signals, ended_by, install_signal_handlers, resend_lost_signals

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
    if "late" in sys.argv:
        defer_signals()
    locals()[sys.argv[2]]()
    print("thrown away")
    if "late" in sys.argv:
        threading.Event().wait(0.5)
        print("went on, and knows of", ended_by())
    else:
        threading.Event().wait(60)  # as `streamtag live` waits: for a long time, in C
except KeyboardInterrupt:
    print("interrupted", ended_by())
except Terminated as end:
    print("terminated", end.status, ended_by())
"""


@pytest.mark.parametrize("where", ["in_a_function_that_c_calls", "in_a_finaliser"])
@pytest.mark.parametrize(
    ("number", "end"),
    [("SIGINT", "interrupted 130"), ("SIGTERM", "terminated 143 143"), ("SIGHUP", "terminated 129 129")],
)
def test_a_signal_that_python_throws_away_is_sent_again(start: Start, where: str, number: str, end: str) -> None:
    outcome = start(int(getattr(signal, number)), where, code=PROGRAM).end()
    assert (outcome.stdout.splitlines(), outcome.stderr, outcome.status) == (["thrown away", end], "", 0)


def test_it_is_not_when_an_orderly_end_has_begun(start: Start) -> None:
    outcome = start(int(signal.SIGTERM), "in_a_finaliser", "late", code=PROGRAM).end()
    assert (outcome.stdout.splitlines(), outcome.stderr, outcome.status) == (
        ["thrown away", "went on, and knows of 143"],
        "",
        0,
    )


def test_other_exceptions_are_printed_as_ever(start: Start) -> None:
    program = PROGRAM.replace("signal.raise_signal(number)", "1 / 0").replace("wait(60)", "wait(0)")
    outcome = start(0, "in_a_finaliser", code=program).end()
    assert outcome.stdout.splitlines() == ["thrown away"]
    assert "ZeroDivisionError" in outcome.stderr


ENDING = (
    PROGRAM[: PROGRAM.index("resend_lost_signals()")]
    + """
install_signal_handlers()
try:
    interrupt()
except (KeyboardInterrupt, Terminated):
    print("the end begins", flush=True)
    began = time.monotonic()
    for _ in range(int(sys.argv[2])):
        interrupt()
    while time.monotonic() < began + float(sys.argv[3]):
        time.sleep(0.01)
    print("the end is through")
"""
)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_second_signal_disturbs_no_end_that_has_begun(start: Start, number: str) -> None:
    outcome = start(int(getattr(signal, number)), 1, 0.2, code=ENDING).end()
    assert (outcome.stdout.splitlines(), outcome.status) == (["the end begins", "the end is through"], 0)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_third_forces_an_end_that_hangs(start: Start, number: str) -> None:
    code = int(getattr(signal, number))
    outcome = start(code, 2, 600, code=ENDING).end()
    assert (outcome.stdout.splitlines(), outcome.status) == (["the end begins"], 128 + code)


def test_three_at_once_are_one_wish(start: Start) -> None:
    outcome = start(int(signal.SIGTERM), 5, 0.1, code=ENDING).end()
    assert (outcome.stdout.splitlines(), outcome.status) == (["the end begins", "the end is through"], 0)
