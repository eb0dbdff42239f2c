"""Open Sound Control over UDP: docs/osc.md has the table of addresses.

python-osc builds the messages. Those that only change in their numbers (a fixed address for each tag, the embedding)
are built once; a hop then writes big-endian float32 into the finished datagram: some 200 times quicker for 50 tags
(`python -m bench.osc`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from streamtag._slugs import slug
from streamtag.errors import OptionError
from streamtag.osc.destination import Destination
from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import SessionInfo
from streamtag.sinks.wallclock import unix_times

LARGEST_DATAGRAM = 1472
"""Bytes: an Ethernet frame (1500) less the IP and UDP headers, so that nothing is fragmented."""
EMBEDDING_FLOATS = 256
"""Numbers of an embedding in one datagram."""
LARGEST_INT = 2**31 - 1
BUNDLE_HEADER = 16
SIZE_FIELD = 4


def parse_destination(text: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[IPV6]:PORT`` to host and port.

    Raises
    ------
    OptionError
        Anything else.
    """
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):(\d{1,5})", text.strip())
    if not match or not 1 <= int(match[3]) <= 65535:
        raise OptionError(f"the OSC destination {text!r}: expected HOST:PORT, for example 127.0.0.1:9000")
    return match[1] or match[2], int(match[3])


def message(address: str, *arguments: str | int | float) -> OscMessage:
    """An OSC message; every number is int32 or float32 (Max reads doubles as 0)."""
    builder = OscMessageBuilder(address)
    for argument in arguments:
        if isinstance(argument, str):
            builder.add_arg(argument, OscMessageBuilder.ARG_TYPE_STRING)
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

    def __init__(self, size: int) -> None:
        self._parts: list[tuple[bytearray, NDArray[np.float32], slice]] = []
        for offset in range(0, size, EMBEDDING_FLOATS):
            length = min(EMBEDDING_FLOATS, size - offset)
            datagram = bytearray(message("/streamtag/embedding", offset, length, *([0.0] * length)).dgram)
            words = np.frombuffer(datagram, ">f4")[-length:]
            self._parts.append((datagram, words, slice(offset, offset + length)))

    def fill(self, embedding: NDArray[np.float32]) -> Iterator[bytearray]:
        for datagram, words, part in self._parts:
            words[:] = embedding[part]
            yield datagram


class OscSink:
    """Sends every frame to one destination.

    UDP is sent from the engine thread: it does not wait for anyone. Nothing about the destination is an error: a name
    that is not found, a network that is not there and a receiver that is down are counted, reported in `trouble`, and
    tried again; it hears again as soon as it can be reached.

    Parameters
    ----------
    host : str
        Where to; a name is looked up in the background, again and again (see `Destination`).
    port : int
        Which port there.
    embeddings : bool
        Whether /streamtag/embedding is sent.
    """

    def __init__(self, host: str, port: int, *, embeddings: bool = True) -> None:
        self.name = f"osc {host}:{port}"
        self._destination = Destination(host, port)
        self._with_embeddings = embeddings
        self._on: set[str] = set()  # addresses that were last sent a 1

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
        self._tags = _ScoreDatagrams([f"/streamtag/tag/{slug(label)}" for label in info.labels])
        self._heads = [
            _ScoreDatagrams([f"/streamtag/head/{slug(head.name)}/{slug(label)}" for label in head.labels])
            for head in info.heads
        ]
        self._embedding = _EmbeddingDatagrams(info.embedding_size)

    def frame(self, frame: TagFrame) -> None:
        """Send one hop."""
        if not self._destination.ready():
            return
        top = [part for tag, score in frame.top for part in (tag, score)]
        messages = [
            message("/streamtag/frame", frame.index, frame.time, frame.latency_ms, frame.level_dbfs),
            *_times(frame),
            message("/streamtag/top", *top),
            *(self._switch(f"/streamtag/on/{slug(tag)}", on) for tag, on in frame.switched),
        ]
        for head in frame.heads:
            address = f"/streamtag/head/{slug(head.name)}"
            messages.append(message(address, *head.top[0]))
            messages += [self._switch(f"{address}/on/{slug(tag)}", on) for tag, on in head.switched]
        for group in grouped(messages):
            self._send(bundle(group))
        for datagram in self._tags.fill(frame.scores):
            self._send(datagram)
        for datagrams, head in zip(self._heads, frame.heads, strict=True):
            for datagram in datagrams.fill(head.scores):
                self._send(datagram)
        if self._with_embeddings:
            for datagram in self._embedding.fill(frame.embedding):
                self._send(datagram)

    def status(self, stats: Stats) -> None:
        """Send the state, the losses and the latency."""
        if not self._destination.ready():
            return
        latency = (stats.latency_p50, stats.latency_p99, stats.latency_p999)
        added = (stats.added_p50, stats.added_p99, stats.added_p999)
        messages = [
            message("/streamtag/status", stats.state.value, stats.samples_lost, stats.hops_skipped, float(stats.load)),
            message("/streamtag/latency", *map(float, latency)),
            message("/streamtag/added", *map(float, added)),
            message("/streamtag/gaps", stats.gaps, float(stats.gap_seconds), stats.overflows),
            message("/streamtag/rested", stats.hops_gated),
        ]
        self._send(bundle(messages))

    def close(self) -> None:
        """Switch off what is still on, so that no cue is left standing, and close the socket."""
        if self._on and self._destination.ready():
            for group in grouped([message(address, 0) for address in sorted(self._on)]):
                self._send(bundle(group))
        self._on.clear()
        self._destination.close()

    def _switch(self, address: str, on: bool) -> OscMessage:
        (self._on.add if on else self._on.discard)(address)
        return message(address, int(on))

    def _send(self, datagram: bytes | bytearray) -> None:
        self._destination.send(datagram)


def _times(frame: TagFrame) -> Iterator[OscMessage]:
    """When the frame was captured and when it is sent, where there is a clock. A float32 would be off by a minute."""
    if frame.captured is not None:
        microseconds = (round(1e6 * moment) for moment in unix_times(frame.captured))
        yield message("/streamtag/time", *(part for moment in microseconds for part in divmod(moment, 1_000_000)))
