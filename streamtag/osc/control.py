"""Open Sound Control over UDP, the other way round: a desk steers a session (`streamtag live --osc-in PORT`).

Whoever can send to the port can send anything, so nothing that comes in may end the thread, hold it, or fill a log.
python-osc reads strings and numbers here, but not packets: its `OscBundle` turns for ever in 20 bytes (an element of
negative size), and its `OscMessage` leaves out arguments of an unknown type, and warns through `logging.warning`, which
sets up the root logger of a program that has not done so.
"""

from __future__ import annotations

import errno
import math
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from pythonosc.parsing import osc_types

from streamtag._system.threads import start_whole
from streamtag.errors import OptionError, StreamtagError

LARGEST_PACKET = 1472
"""Bytes that are read of anyone, as many as streamtag sends at the most (`streamtag.osc.sink`)."""
RATE = 100
"""Messages a second, and as many at once after a silence: more than fingers send, too few to keep a processor busy."""
BREATH_SECONDS = 0.003
"""Slept after each packet while they come faster than that."""
LOOK_SECONDS = 0.1
"""How often a silent port looks whether it is to close."""
LONGEST_REASON = 200
BUFFER_BYTES = 2**16
LARGEST_UDP = 2**16
BUNDLE, BUNDLE_HEADER = b"#bundle\0", 16
SO_MEMINFO, MEMINFO_BYTES = 55, 36
"""Linux's account of a socket: nine uint32, the last of which counts the packets that found its buffer full."""


class Controls(Protocol):
    """What a session lets others change. Each call returns at once.

    Raises
    ------
    OptionError
        A value that cannot be used. Anything else is taken for a fault of the program, and ends the port.
    """

    def pause(self) -> None:
        """Make no more predictions until `resume`."""

    def resume(self) -> None:
        """Make predictions again."""

    def reset(self) -> None:
        """Discard what was heard."""

    def set_hop(self, seconds: float) -> None:
        """Set the seconds between two predictions; a finite number."""

    def set_top(self, count: int) -> None:
        """Set how many tags are named; any whole number."""

    def set_threshold(self, threshold: float | str) -> None:
        """Switch the model's tags on from this score, a finite number; or from this place on their scale: ``95%``."""

    def set_head_threshold(self, score: float) -> None:
        """Switch classes of heads on from this probability; a finite number."""

    def correct(self, label: str, seconds: float = ...) -> None:
        """Have a head learn that this class was heard in the last seconds; any text, a finite number."""


@runtime_checkable
class ManyControls(Protocol):
    """What several sessions let others change, one by one."""

    def input(self, name: str) -> Controls:
        """Those of one. Raises OptionError if there is none of this name."""
        ...


# --- what a packet says -------------------------------------------------------------------------------------------

_BUTTONS: dict[str, tuple[Callable[[Controls], None], Callable[[Controls], None] | None]] = {
    "/streamtag/pause": (lambda controls: controls.pause(), lambda controls: controls.resume()),
    "/streamtag/resume": (lambda controls: controls.resume(), None),
    "/streamtag/reset": (lambda controls: controls.reset(), None),
}
"""What is done when they are pressed (no argument, or a number), and when they are released (0)."""

_VALUES: dict[str, Callable[[Controls, float], None]] = {
    "/streamtag/hop": lambda controls, value: controls.set_hop(value),
    "/streamtag/top": lambda controls, value: controls.set_top(_whole(value)),
    "/streamtag/threshold": lambda controls, value: controls.set_threshold(value),
    "/streamtag/head/threshold": lambda controls, value: controls.set_head_threshold(value),
    "/streamtag/threshold/percent": lambda controls, value: controls.set_threshold(f"{value:g}%"),
}

_CORRECT = "/streamtag/correct"
_OF_INPUT = "/streamtag/in/"
_ADDRESSES = {*_BUTTONS, *_VALUES, _CORRECT}

Readers = dict[str, Callable[[bytes, int], tuple[Any, int]]]
_TEXTS: Readers = {"s": osc_types.get_string, "S": osc_types.get_string}
_NUMBERS: Readers = {
    "i": osc_types.get_int,
    "h": osc_types.get_int64,
    "f": osc_types.get_float,
    "d": osc_types.get_double,
    "T": lambda _, place: (1, place),
    "F": lambda _, place: (0, place),
}


def messages(packet: bytes) -> list[bytes]:
    """The messages of a packet, those of nested bundles in order and whatever their timetags.

    Raises
    ------
    OptionError
        Not the form of OSC, too large, or empty.
    """
    if len(packet) > LARGEST_PACKET:
        raise OptionError(f"more than {LARGEST_PACKET} bytes")
    found: list[bytes] = []
    waiting = [packet]  # not by recursion, whose depth a sender would choose
    while waiting:
        element = waiting.pop()
        if not element.startswith(BUNDLE):
            found.append(element)
            continue
        inner: list[bytes] = []
        place = BUNDLE_HEADER
        while place != len(element):
            size, place = _read(osc_types.get_int, element, place)
            if not 0 < size <= len(element) - place:
                raise OptionError("a bundle that is cut off or damaged")
            inner.append(element[place : place + size])
            place += size
        waiting += reversed(inner)
    if not found:
        raise OptionError("a bundle of nothing")
    return found


def carry_out(message: bytes, controls: Controls) -> bool:
    """Do what a message says. Returns whether that was anything: releasing a push button is not.

    Raises
    ------
    OptionError
        Not a message, not one of ours, or not with these arguments.
    """
    address, place = _read(osc_types.get_string, message, 0)
    if address.startswith(_OF_INPUT):
        name, _, command = address.removeprefix(_OF_INPUT).partition("/")
        address, controls = f"/streamtag/{command}", _of_input(controls, name)
    if address not in _ADDRESSES:
        raise OptionError("no such command")
    if address == _CORRECT:
        _correct(controls, _arguments(message, place, _NUMBERS | _TEXTS))
        return True
    numbers = _arguments(message, place)
    if address in _VALUES:
        if len(numbers) != 1:
            raise OptionError(f"{len(numbers)} arguments: expected one number")
        _VALUES[address](controls, numbers[0])
        return True
    if len(numbers) > 1:
        raise OptionError(f"{len(numbers)} arguments: expected one number or none")
    pressed, released = _BUTTONS[address]
    act = pressed if not numbers or numbers[0] else released
    if act is not None:
        act(controls)
    return act is not None


def shown(message: bytes) -> str:
    """A message's address, human-readable: one that is not ours is quoted, so that it cannot steer a terminal."""
    address = message.partition(b"\0")[0][:40].decode("utf-8", "replace")
    return address if address in _ADDRESSES else repr(address)


def _of_input(controls: Controls, name: str) -> Controls:
    """One input of several."""
    if not isinstance(controls, ManyControls):
        raise OptionError("there is one input here, without a name")
    return controls.input(name)


def _correct(controls: Controls, arguments: list[Any]) -> None:
    match arguments:
        case [str(label)]:
            controls.correct(label)
        case [str(label), float(seconds)]:
            controls.correct(label, seconds)
        case _:
            raise OptionError("expected a class, and if wanted a number of seconds")


def _arguments(message: bytes, place: int, readers: Readers = _NUMBERS) -> list[Any]:
    """All arguments, numbers as float; of these types, as a rule numbers."""
    if place == len(message):  # old senders leave the types out where there is nothing to type
        return []
    types, place = _read(osc_types.get_string, message, place)
    if not types.startswith(","):
        raise OptionError("not OSC")
    values: list[Any] = []
    for kind in types[1:]:
        if kind not in readers:
            raise OptionError(f"an argument of type {kind!r}: expected a number")
        value, place = _read(readers[kind], message, place)
        if isinstance(value, str):
            values.append(value)
            continue
        if not math.isfinite(value):
            raise OptionError(f"{value}: expected a finite number")
        values.append(float(value))
    return values


def _read(reader: Callable[[bytes, int], tuple[Any, int]], message: bytes, place: int) -> tuple[Any, int]:
    try:
        return reader(message, place)
    except Exception as error:  # a parser's ParseError, UnicodeDecodeError, ...: what bytes from anyone can raise
        raise OptionError("not OSC") from error


def _whole(value: float) -> int:
    if value != int(value):
        raise OptionError(f"{value:g}: expected a whole number")
    return int(value)


# --- the port -----------------------------------------------------------------------------------------------------


class ControlPort:
    """Hears OSC and has a session do what it says, on a thread of its own.

    Parameters
    ----------
    host : str
        Where to listen: an address or a name of this machine.
    port : int
        Where to listen; 0 for any port that is free.

    Attributes
    ----------
    address : tuple of (str, int)
        Host and port; from `open` on those that the system gave.
    commands : int
        Messages carried out.
    ignored : int
        Packets and messages that were not: damaged, unknown, out of range, too large, too many. Packets that the system
        threw away under a flood are among them where it says so (Linux).
    last_ignored : str or None
        Why the last of them was not, human-readable.
    error : BaseException or None
        What ended the thread, if it was not `close`.

    Raises
    ------
    OptionError
        What cannot be a host or a port.
    """

    def __init__(self, host: str, port: int) -> None:
        if not isinstance(host, str) or not host.strip():
            raise OptionError(f"the host {host!r}: expected a name or an address of this machine, such as '127.0.0.1'")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise OptionError(f"the port {port!r}: expected a number, for example 9001, or 0 for any that is free")
        self.address = (host, port)
        self.commands = 0
        self.ignored = 0
        self.last_ignored: str | None = None
        self.error: BaseException | None = None
        self._rate = _Rate()
        self._overflowed = 0
        self._closing = threading.Event()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def open(self, controls: Controls) -> None:
        """Listen from now on.

        Raises
        ------
        OptionError
            If the host is no address of this machine.
        StreamtagError
            If the port is taken, or not allowed.
        """
        listening = self._listen()
        self._socket = listening
        self._overflowed = 0
        self._closing.clear()  # it may have served a session before
        self.address = listening.getsockname()[:2]
        self._thread = threading.Thread(
            target=self._run, args=(listening, controls), name="streamtag-control", daemon=True
        )
        start_whole(self._thread)

    def close(self) -> None:
        """Hear no more; returns when the thread has ended and the port is free."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        if self._socket is not None:
            self._socket.close()

    def handle(self, packet: bytes, sender: str, controls: Controls) -> None:
        """Carry out what has come in one datagram, or count it as ignored."""
        if not self._rate.take():  # not even looked at: that is what keeps a flood cheap
            self._ignore(f"a packet from {sender}: more than {RATE} messages a second")
            return
        try:
            found = messages(packet)
        except OptionError as error:
            self._ignore(f"a packet from {sender}: {error}")
            return
        for index, message in enumerate(found):
            try:
                if index and not self._rate.take():
                    raise OptionError(f"more than {RATE} messages a second")
                self.commands += carry_out(message, controls)
            except OptionError as error:
                self._ignore(f"{shown(message)} from {sender}: {error}")

    def _listen(self) -> socket.socket:
        host, port = self.address
        where = f"cannot listen for OSC on {f'[{host}]' if ':' in host else host}:{port}"
        listening = None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            # a name may have both: desks send to 127.0.0.1, not to ::1
            family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
            listening = socket.socket(family, kind, protocol)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            listening.settimeout(LOOK_SECONDS)
            listening.bind(address)  # without SO_REUSEADDR, which would let two programs take turns at one port
        except (OSError, UnicodeError) as error:
            if listening is not None:
                listening.close()
            reason = getattr(error, "strerror", None) or str(error)
            if isinstance(error, socket.gaierror | UnicodeError) or error.errno == errno.EADDRNOTAVAIL:
                raise OptionError(f"{where}: {reason}. Expected an address of this machine") from error
            if error.errno == errno.EADDRINUSE:
                reason += ". Is another streamtag running? Give another --osc-in port"
            raise StreamtagError(f"{where}: {reason}") from error
        return listening

    def _run(self, listening: socket.socket, controls: Controls) -> None:
        try:
            while not self._closing.is_set():
                try:
                    packet, sender = listening.recvfrom(LARGEST_UDP)
                except TimeoutError:
                    pass
                else:
                    self.handle(packet, sender[0], controls)
                self._count_overflow(listening)
                if self._rate.spent:
                    time.sleep(BREATH_SECONDS)
        except BaseException as error:  # surfaces in the session
            self.error = error

    def _count_overflow(self, listening: socket.socket) -> None:
        overflowed = _overflowed(listening)
        count = (overflowed - self._overflowed) % 2**32
        if count:
            self._overflowed = overflowed
            self._ignore(f"{count} packets came faster than they are read", count)

    def _ignore(self, reason: str, count: int = 1) -> None:
        self.last_ignored = reason[:LONGEST_REASON]
        self.ignored += count


class _Rate:
    """A token bucket that gives `RATE` a second."""

    def __init__(self) -> None:
        self._left = float(RATE)
        self._since = time.monotonic()

    def take(self) -> bool:
        """Take one; False if there is none."""
        now = time.monotonic()
        self._left = min(RATE, self._left + (now - self._since) * RATE)
        self._since = now
        if self.spent:
            return False
        self._left -= 1
        return True

    @property
    def spent(self) -> bool:
        """Whether there was none left when it was last asked."""
        return self._left < 1


def _overflowed(listening: socket.socket) -> int:
    """Packets that the system has thrown away, modulo 2^32; 0 where it does not say."""
    if sys.platform != "linux":
        return 0
    try:
        told = listening.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO_BYTES)
    except OSError:  # before Linux 4.12, and what only passes for Linux
        return 0
    return int.from_bytes(told[-4:], sys.byteorder) if len(told) == MEMINFO_BYTES else 0
