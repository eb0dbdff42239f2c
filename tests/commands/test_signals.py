"""Signals whose exceptions Python throws away: in functions that C calls, and in finalisers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.program import Running
from tests.support.waiting import wait_until

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
    [
        ("SIGINT", "interrupted 130"),
        ("SIGTERM", "terminated 143 143"),
        ("SIGHUP", "terminated 129 129"),
        ("SIGQUIT", "terminated 131 131"),
    ],
)
def test_a_signal_that_python_throws_away_is_sent_again(start: Start, where: str, number: str, end: str) -> None:
    outcome = start(int(getattr(signal, number)), where, code=PROGRAM).end()
    assert (outcome.stdout.splitlines(), outcome.stderr, outcome.status) == (["thrown away", end], "", 0)


def test_a_second_one_meanwhile_changes_nothing(start: Start) -> None:
    within = """
timer = threading.Timer
def another_comes(*arguments):
    interrupt()
    return timer(*arguments)
threading.Timer = another_comes
resend_lost_signals()"""
    program = PROGRAM.replace("\nresend_lost_signals()", within)
    outcome = start(int(signal.SIGTERM), "in_a_finaliser", code=program).end()
    assert (outcome.stdout.splitlines(), outcome.stderr) == (["thrown away", "terminated 143 143"], "")


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


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGUSR1", "SIGALRM"])
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


HELD_IN_C = """
import ctypes
from streamtag.commands.signals import install_signal_handlers

install_signal_handlers()
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(128)
libc.pthread_mutex_lock(mutex)
print("held", flush=True)
libc.pthread_mutex_lock(mutex)
"""


def test_a_third_forces_the_end_also_where_python_calls_no_handler(start: Start) -> None:
    running = start(code=HELD_IN_C)
    running.wait_for_lines(1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        running.process.send_signal(number)
        wait_until(lambda: not pending(running.process.pid), "the signal to be taken")
    assert running.end().status == 128 + signal.SIGTERM


def pending(process: int) -> bool:
    """Whether a signal waits for a process (Linux; elsewhere it is not told)."""
    try:
        told = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
    return any(int(line.split()[1], 16) for line in told.splitlines() if line.startswith("ShdPnd"))


AT_A_MOMENT = """
import signal, sys
import streamtag.__main__, streamtag.cli

def interrupted(*given):
    signal.raise_signal(int(number))

number, moment = sys.argv.pop(1), sys.argv.pop(1)
setattr(streamtag.cli, moment, interrupted)
streamtag.__main__.main()
"""


@pytest.mark.parametrize("moment", ["keep_stderr_for_python", "_fail"])
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_before_and_after_the_work_it_ends_without_a_word_too(start: Start, moment: str, number: str) -> None:
    code = int(getattr(signal, number))
    outcome = start(code, moment, "live", "--gate", "loud", code=AT_A_MOMENT).end()
    assert (outcome.status, outcome.stdout, outcome.stderr) == (128 + code, "", "")
