"""The process that holds a MIDI port, and the only importer of python-rtmidi.

A process of its own, because RtMidi's half for JACK waits for ever for room in its buffer when the JACK server stops or
dies, and holds Python's lock meanwhile (MidiOutJack::sendMessage of RtMidi 5): everything else would stand still. From
outside it is killed and started again.

On stdin come records of four bytes, a length and so many bytes of a MIDI message. On stdout go lines: ``open NAME``,
``trouble WORDS``, and ``done HANDLED LOST`` after each batch. At the end of stdin notes that are on are ended.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import rtmidi

CLIENT = "streamtag"
JACK = rtmidi.get_api_display_name(rtmidi.API_UNIX_JACK)
VIRTUAL = "virtual"
LIST = "--list"
LOOK_SECONDS = 1.0
RECORD = 4
NOTE_OFF, NOTE_ON = 0x80, 0x90
JACK_NO_START_SERVER = 1
ALSA_NUMBER = re.compile(r" \d+:\d+$")
"""How ALSA's names end: with numbers that change from one day to the next."""


def hosts() -> Iterator[tuple[str, Any]]:
    """The MIDI systems of this machine that can be used now, each by its name, with a client of it."""
    for api in rtmidi.get_compiled_api():
        with suppress(rtmidi.RtMidiError):  # it is not there: no ALSA sequencer, no JACK server
            yield rtmidi.get_api_display_name(api), rtmidi.MidiOut(rtapi=api, name=CLIENT)


def found(names: Sequence[str], wanted: str) -> list[int]:
    """Which of these names is meant: the one that is called so, else those that have it in their name."""
    plain = [ALSA_NUMBER.sub("", name).casefold() for name in names]
    given = ALSA_NUMBER.sub("", wanted).casefold()
    return [place for place, name in enumerate(plain) if name == given] or [
        place for place, name in enumerate(plain) if given in name
    ]


class Port:
    """The port that is wanted, while it is there.

    Parameters
    ----------
    wanted : str
        ``virtual``, a name or a part of one; and ``, HOST`` where one MIDI system is meant.
    """

    def __init__(self, wanted: str) -> None:
        name, comma, host = wanted.rpartition(", ")
        self._wanted, self._host = (name, host) if comma else (wanted, "")
        self._client: Any = None
        self._name = ""
        self._said = ""
        self._watch: Any = None
        self._on: dict[tuple[int, int], None] = {}  # channels and notes

    def look(self) -> None:
        """Open it if it is there, and close it if it is there no more."""
        if self._client is not None:
            if self._wanted == VIRTUAL or self._name in self._client.get_ports():
                return
            self._client.close_port()
            self._client = None
            self._say(f"trouble {self._name!r} is gone")
        trouble = self._open()
        self._say(f"trouble {trouble}" if trouble else f"open {self._name}")

    def send(self, message: bytes) -> bool:
        """Send a message. Returns whether there is a port."""
        if self._client is None:
            return False
        self._client.send_message(message)
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind == NOTE_ON and message[2]:
            self._on[channel, message[1]] = None
        elif kind in (NOTE_ON, NOTE_OFF):
            self._on.pop((channel, message[1]), None)
        return True

    def close(self) -> None:
        """End what is on."""
        for channel, note in list(self._on):
            self.send(bytes([NOTE_OFF | channel, note, 0]))
        if self._client is not None:
            self._client.close_port()  # waits for what is on its way
            self._client.delete()
        if self._watch is not None:
            library, client, _ = self._watch
            library.jack_client_close(client)  # a server keeps the place of one that just goes

    def _open(self) -> str | None:
        """Open the port; gives what is wrong instead."""
        there: list[str] = []
        systems = []
        for host, client in hosts():
            systems.append(host)
            if self._host and not host.casefold().startswith(self._host.casefold()):
                continue
            if self._wanted == VIRTUAL:
                if host.startswith("Windows"):
                    return "Windows has no virtual ports: install loopMIDI, and name its port"
                client.open_virtual_port(CLIENT)
                self._keep(client, f"{CLIENT} ({host})", host)
                return None
            names = client.get_ports()
            places = found(names, self._wanted)
            if len(places) > 1:
                return f"{self._wanted!r} is in the names of several: {_listed(names[place] for place in places)}"
            if places:
                client.open_port(places[0], name=CLIENT)
                self._keep(client, names[places[0]], host)
                return None
            there += names
        if not systems:
            return "there is no MIDI system here that can be used (ALSA's sequencer, or a JACK server that runs)"
        return f"no port has {self._wanted!r} in its name: there {_are(there)}"

    def _keep(self, client: Any, name: str, host: str) -> None:
        self._client, self._name = client, name
        if host == JACK and self._watch is None:
            self._watch = leave_with_jack()

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            say(line)


def _listed(names: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(repr(ALSA_NUMBER.sub("", name)) for name in names)


def _are(names: Sequence[str]) -> str:
    return f"are {_listed(names)}" if names else "are none"


def say(line: str) -> None:
    """Tell the other process something."""
    print(line, flush=True)


def leave_with_jack() -> Any:
    """Let this process end when the JACK server does: its clients are not told in any other way.

    Returns
    -------
    object
        What has to be kept meanwhile; None where there is no JACK.
    """
    path = ctypes.util.find_library("jack")
    if path is None:
        return None
    library = ctypes.CDLL(path)
    library.jack_client_open.restype = ctypes.c_void_p
    library.jack_client_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
    client = library.jack_client_open(f"{CLIENT}-watch".encode(), JACK_NO_START_SERVER, None)
    if not client:
        return None
    shutdown = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: os._exit(0))
    library.jack_client_close.argtypes = [ctypes.c_void_p]
    library.jack_on_shutdown.argtypes = [ctypes.c_void_p, type(shutdown), ctypes.c_void_p]
    library.jack_on_shutdown(client, shutdown, None)
    return library, client, shutdown


def _read(into: queue.SimpleQueue[bytes | None]) -> None:
    while len(record := sys.stdin.buffer.read(RECORD)) == RECORD:
        into.put(record[1 : 1 + record[0]])
    into.put(None)


def _list() -> None:
    for host, client in hosts():
        for name in client.get_ports():
            say(f"{host}\t{name}")


def main() -> None:
    """Hold the port that the first argument names, until stdin ends; or list all."""
    if sys.argv[1] == LIST:
        _list()
        return
    waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(waiting,), daemon=True).start()
    port = Port(sys.argv[1])
    handled = lost = 0
    next_look = 0.0
    while True:
        if time.monotonic() >= next_look:
            port.look()
            next_look = time.monotonic() + LOOK_SECONDS
        try:
            message = waiting.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            continue
        if message is None:
            break
        lost += not port.send(message)
        handled += 1
        if waiting.empty():
            say(f"done {handled} {lost}")
    port.close()


if __name__ == "__main__":
    main()
