"""Open Sound Control over UDP: docs/osc.md has the table of addresses.

python-osc builds the messages. Those that only change in their numbers (a fixed address for each tag, the embedding)
are built once; a hop then writes big-endian float32 into the finished datagram: some 200 times quicker for 50 tags
(`python -m bench.osc`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from streamtag._system.encoding import writable
from streamtag._system.terminal import on_one_line
from streamtag.osc.addresses import Addresses
from streamtag.osc.announced import AnnouncedDestination
from streamtag.osc.destination import Destination
from streamtag.osc.where import check_destination
from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import SessionInfo, troubles
from streamtag.sinks.wallclock import unix_times

LARGEST_DATAGRAM = 1472
"""Bytes: an Ethernet frame (1500) less the IP and UDP headers, so that nothing is fragmented."""
EMBEDDING_FLOATS = 256
"""Numbers of an embedding in one datagram."""
LARGEST_INT = 2**31 - 1
LONGEST_TEXT, MOST_TEXTS = 160, 4
BUNDLE_HEADER = 16
SIZE_FIELD = 4


def message(address: str, *arguments: str | int | float) -> OscMessage:
    """An OSC message; every number is int32 or float32 (Max reads doubles as 0), true and false are T and F."""
    builder = OscMessageBuilder(address)
    for argument in arguments:
        if isinstance(argument, bool):
            builder.add_arg(argument, OscMessageBuilder.ARG_TYPE_TRUE if argument else OscMessageBuilder.ARG_TYPE_FALSE)
        elif isinstance(argument, str):
            builder.add_arg(writable(argument, None), OscMessageBuilder.ARG_TYPE_STRING)
        elif isinstance(argument, int):
            builder.add_arg(min(argument, LARGEST_INT), OscMessageBuilder.ARG_TYPE_INT)
        else:
            builder.add_arg(argument, OscMessageBuilder.ARG_TYPE_FLOAT)
    return builder.build()


def bundle(messages: Sequence[OscMessage]) -> bytes:
    """Messages in one datagram, to be acted on at once (receivers hold back bundles dated ahead)."""
    builder = OscBundleBuilder(IMMEDIATELY)
    for item in messages:
        builder.add_content(item)
    return builder.build().dgram


def grouped(messages: Sequence[OscMessage]) -> Iterator[list[OscMessage]]:
    """Messages in as few groups as fit into datagrams, in order."""
    group: list[OscMessage] = []
    size = BUNDLE_HEADER
    for item in messages:
        needed = SIZE_FIELD + item.size
        if group and size + needed > LARGEST_DATAGRAM:
            yield group
            group, size = [], BUNDLE_HEADER
        group.append(item)
        size += needed
    if group:
        yield group


class _ScoreDatagrams:
    """One message a score, each with its address, in finished datagrams whose scores are overwritten each hop."""

    def __init__(self, addresses: Sequence[str]) -> None:
        messages = [message(address, 0.0) for address in addresses]
        self._parts: list[tuple[bytearray, NDArray[np.float32], NDArray[np.intp], slice]] = []
        done = 0
        for group in grouped(messages):
            datagram = bytearray(bundle(group))
            ends = BUNDLE_HEADER + np.cumsum([SIZE_FIELD + item.size for item in group])
            words = np.frombuffer(datagram, ">f4")  # OSC aligns everything to 4 bytes
            self._parts.append((datagram, words, ends // 4 - 1, slice(done, done + len(group))))
            done += len(group)

    def fill(self, scores: NDArray[np.float32]) -> Iterator[bytearray]:
        for datagram, words, places, tags in self._parts:
            words[places] = scores[tags]
            yield datagram


class _EmbeddingDatagrams:
    """The embedding in as many messages as it needs, each with its offset and length, overwritten each hop."""

    def __init__(self, address: str, size: int) -> None:
        self._parts: list[tuple[bytearray, NDArray[np.float32], slice]] = []
        for offset in range(0, size, EMBEDDING_FLOATS):
            length = min(EMBEDDING_FLOATS, size - offset)
            datagram = bytearray(message(address, offset, length, *([0.0] * length)).dgram)
            words = np.frombuffer(datagram, ">f4")[-length:]
            self._parts.append((datagram, words, slice(offset, offset + length)))

    def fill(self, embedding: NDArray[np.float32]) -> Iterator[bytearray]:
        for datagram, words, part in self._parts:
            words[:] = embedding[part]
            yield datagram


class _Switches:
    """What is on, in the order in which it was switched on: for a receiver that comes late, and for the end."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._groups: dict[str, dict[str, bool]] = {"": {}}  # tags; then heads by name

    def take(self, group: str, switched: Iterable[tuple[str, bool]]) -> Iterator[OscMessage]:
        """Remember what has switched; a message for each."""
        known = self._groups.setdefault(group, {})
        for label, on in switched:
            known.pop(label, None)
            known[label] = on
            yield self._message(group, label, on)

    def all(self) -> list[OscMessage]:
        """How each stands that has ever switched."""
        return [self._message(group, label, on) for group, known in self._groups.items() for label, on in known.items()]

    def listed(self) -> list[OscMessage]:
        """The names of what is on."""
        found = []
        for group, known in self._groups.items():
            address = self._addresses.active(group)
            names = [label for label, on in known.items() if on]
            while (made := message(address, *names)).size > LARGEST_DATAGRAM - BUNDLE_HEADER - SIZE_FIELD:
                names.pop()
            found.append(made)
        return found

    def release(self) -> list[OscMessage]:
        """A 0 for whatever is on, which then is off."""
        on = [(group, label) for group, known in self._groups.items() for label, on in known.items() if on]
        self._groups = {"": {}}
        return [self._message(group, label, False) for group, label in on]

    def _message(self, group: str, label: str, on: bool) -> OscMessage:
        return message(self._addresses.switch(group, label), int(on))


class OscSink:
    """Sends every frame to one destination.

    UDP is sent from the engine thread: it does not wait for anyone. Nothing about the destination is an error: a name
    that is not found, a network that is not there and a receiver that is down are counted, reported in `trouble`, and
    tried again; it hears again as soon as it can be reached.

    Parameters
    ----------
    host : str
        Where to; a name is looked up in the background, again and again (see `Destination`).
    port : int or None
        Which port there. None: `host` is the name under which a receiver announces itself in this network (needs the
        extra `discover`); it is followed when its address changes.
    embeddings : bool
        Whether /streamtag/embedding is sent.

    Raises
    ------
    OptionError
        What cannot be a host or a port.
    """

    def __init__(self, host: str, port: int | None, *, embeddings: bool = True) -> None:
        self._destination: Destination | AnnouncedDestination
        if port is None:
            self.name = f"osc {on_one_line(host)}"
            self._destination = AnnouncedDestination(host)
        else:
            check_destination(host, port)
            self.name = f"osc {f'[{host}]' if ':' in host else host}:{port}"
            self._destination = Destination(host, port)
        self._with_embeddings = embeddings
        self._addresses = Addresses()
        self._switches = _Switches(self._addresses)
        self._arrivals = 0  # of the destination, when all switches were last sent

    @property
    def drops(self) -> int:
        """Datagrams that were refused or could not be sent.

        As long as there is no address or no route, nothing is built, and each frame and each status counts as one.
        """
        return self._destination.drops

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words (``Network is unreachable``); None if nothing is known to be."""
        return self._destination.trouble

    def open(self, info: SessionInfo) -> None:
        """Look up the name, for a second at the most (after that, in the background), and build the messages."""
        self._destination.open()
        self._arrivals = self._destination.arrivals
        self._info = info
        self._addresses = Addresses(info.labels, info.heads, info.input)
        self._switches = _Switches(self._addresses)
        self._tags = _ScoreDatagrams(self._addresses.scores(""))
        self._calibrated = _ScoreDatagrams(self._addresses.calibrated())
        self._heads = [_ScoreDatagrams(self._addresses.scores(head.name)) for head in info.heads]
        self._embedding = _EmbeddingDatagrams(self._addresses.of("embedding"), info.embedding_size)

    def frame(self, frame: TagFrame) -> None:
        """Send one hop."""
        switched = list(self._switches.take("", frame.switched))
        of_heads = [list(self._switches.take(head.name, head.switched)) for head in frame.heads]
        if not self._destination.ready():
            return
        of = self._addresses.of
        messages = [
            message(of("frame"), frame.index, frame.time, frame.latency_ms, frame.level_dbfs),
            message(of("seconds"), *exact(frame.time)),
            *_times(of("time"), frame),
            *([] if frame.gain_db is None else [message(of("gain"), frame.gain_db)]),
            *([] if frame.music is None else [message(of("music"), frame.music)]),
            *([] if frame.change is None else [message(of("change"), frame.change)]),
            *([] if frame.section is None else [message(of("section"), frame.section)]),
            *([] if frame.xyz is None else [message(of("xyz"), *frame.xyz)]),
            message(self._addresses.best(""), *(part for named in frame.top for part in named)),
            *switched,
        ]
        for head, its_switches in zip(frame.heads, of_heads, strict=True):
            # at rest no class is the likeliest
            best = self._addresses.best(head.name)
            messages.append(message(best, *(part for top in head.top[:1] for part in top)))
            messages += its_switches
        self._send_bundles(messages)
        for datagram in self._tags.fill(frame.scores):
            self._destination.send(datagram)
        if frame.calibrated is not None:
            for datagram in self._calibrated.fill(frame.calibrated):
                self._destination.send(datagram)
        for datagrams, head in zip(self._heads, frame.heads, strict=True):
            for datagram in datagrams.fill(head.scores):
                self._destination.send(datagram)
        if self._with_embeddings:
            for datagram in self._embedding.fill(frame.embedding):
                self._destination.send(datagram)
        self._greet()

    def status(self, stats: Stats) -> None:
        """Send the state, the losses, the latency, and what is on."""
        if not self._destination.ready():
            return
        latency = (stats.latency_p50, stats.latency_p99, stats.latency_p999)
        added = (stats.added_p50, stats.added_p99, stats.added_p999)
        of = self._addresses.of
        self._send_bundles(
            [
                message(of("status"), stats.state.value, stats.samples_lost, stats.hops_skipped, float(stats.load)),
                message(of("latency"), *map(float, latency)),
                message(of("added"), *map(float, added)),
                message(of("gaps"), stats.gaps, float(stats.gap_seconds), stats.overflows),
                message(of("rested"), stats.hops_gated),
                message(of("level"), float(stats.level_dbfs)),
                message(of("trouble"), *_fitting(troubles(stats, self._info.source))),
                *([] if stats.title is None else [message(of("title"), stats.title)]),
                *([] if stats.clock_ppm is None else [message(of("clock"), float(stats.clock_ppm))]),
                *self._switches.listed(),
            ]
        )
        self._greet()

    def close(self) -> None:
        """Switch off what is still on, so that no cue is left standing, and close the socket."""
        messages = self._switches.release()
        if messages and self._destination.ready():
            self._send_bundles(messages)
        self._destination.close()

    def _greet(self) -> None:
        """Bring a receiver that has come (back) up to date; the others are not told a switch twice."""
        if self._destination.arrivals != self._arrivals:
            self._arrivals = self._destination.arrivals
            self._send_bundles(self._switches.all())

    def _send_bundles(self, messages: Sequence[OscMessage]) -> None:
        for group in grouped(messages):
            self._destination.send(bundle(group))


def _times(address: str, frame: TagFrame) -> Iterator[OscMessage]:
    """When the frame was captured and when it is sent, where there is a clock. A float32 would be off by a minute."""
    if frame.captured is not None:
        yield message(address, *(part for moment in unix_times(frame.captured) for part in exact(moment)))


def exact(seconds: float) -> tuple[int, int]:
    """Seconds as two integers, whole ones and microseconds: a float32 is exact to the hundredth for a day."""
    return divmod(round(1e6 * seconds), 1_000_000)


def _fitting(texts: Sequence[str]) -> list[str]:
    """What is worth a place in a datagram."""
    return [text[:LONGEST_TEXT] for text in texts[:MOST_TEXTS]]
