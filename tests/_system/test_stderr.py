"""What C libraries say while they load, and files that cannot be written meanwhile."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.osc import Receiver
from tests.support.ports import free_udp_port
from tests.support.program import Running
from tests.support.waiting import wait_until

HELD = """
import ctypes, os, resource, tempfile
libc = ctypes.CDLL(None)
from streamtag._system.stderr import stderr_held_unless_failing
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


@pytest.mark.slow
def test_devices_are_listed_where_no_temporary_file_can_be_made() -> None:
    usual = run("-m", "streamtag", "devices")
    limited = run("-m", "streamtag", "devices", limit=nothing_can_be_written)
    kept = [line for line in limited.stderr.splitlines() if "kernel" not in line]  # which cannot be kept, either
    assert (limited.returncode, limited.stdout) == (usual.returncode, usual.stdout)
    assert kept == usual.stderr.splitlines()


@pytest.mark.slow
def test_it_starts_with_no_descriptor_open() -> None:
    code = "import os, sys; [os.close(n) for n in (0, 1, 2)]; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    live = ["-m", "streamtag", "live", "--input", "demo", "--duration", "0.2", "--format", "text"]
    done = subprocess.run([sys.executable, "-c", code, *live], timeout=120, env=os.environ)
    assert done.returncode == 0


# --- what Python says -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("fault", ["its reader has left", "no room"])
def test_a_show_goes_on_without_its_stderr(fault: str) -> None:
    """A receiver that is not there is noted; that the note reaches nobody is no reason to end."""
    if fault == "no room":
        stderr = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, stderr = os.pipe()
        os.close(reading)
    live = ["live", "--input", "demo", "--duration", "6", "--rate", "1", "--format", "json"]
    program = [sys.executable, "-m", "streamtag", *live, "--osc", f"127.0.0.1:{free_udp_port()}"]
    done = subprocess.run(program, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=120)
    os.close(stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert any(line["status"]["trouble"] for line in lines if "status" in line), "there was something to note"
    assert (done.returncode, lines[-1]["t"] > 5) == (0, True)


@pytest.mark.slow
def test_a_batch_goes_on_without_its_stderr(music: Path) -> None:
    with Path("/dev/full").open("w") as full:
        program = [sys.executable, "-m", "streamtag", "file", "no/such.wav", str(music)]
        done = subprocess.run(program, stdout=subprocess.PIPE, stderr=full, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout.startswith(str(music))


WAITING = """
import sys, threading
from streamtag._system.stderr import keep_stderr_for_python

ending = threading.Event()
keep_stderr_for_python(ending.is_set)
for number in range(100_000):
    print(number, file=sys.stderr)
    if number == 50_000:
        ending.set()
print("over", flush=True)
"""


@pytest.mark.slow
def test_a_reader_who_reads_late_is_waited_for_but_not_at_the_end() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        read = [process.stderr.readline() for _ in range(50_001)]
        assert [int(line) for line in read] == list(range(50_001))
        assert process.stdout.read() == "over\n", "though nobody reads on"


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_what_was_closed_is_given_to_no_file_or_socket(closed: int, start: Callable[..., Running]) -> None:
    code = "import os, sys; os.close(int(sys.argv.pop(1))); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    receiver = Receiver()
    live = ["-m", "streamtag", "live", "--input", "demo", "--format", "text", "--osc", f"127.0.0.1:{receiver.port}"]
    running = start(closed, *live, code=code)
    wait_until(receiver.messages, "the session")
    assert Path(f"/proc/{running.process.pid}/fd/{closed}").readlink() == Path(os.devnull)
    running.process.terminate()
    assert running.end().status == 143
    receiver.socket.close()
