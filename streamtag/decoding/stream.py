"""Sound that comes bit by bit and cannot be sought: a pipe, an address. It is decoded as it comes, without a delay.

FFmpeg finds out what it is from the first bytes. Little is read ahead for that (`PROBE`), or a paced writer would be
heard seconds late; what a program writes to a pipe and what radio stations send says what it is at once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from streamtag._system.terminal import on_one_line
from streamtag.decoding.bare import ENOUGH, bare_format, may_be_bare
from streamtag.decoding.frames import as_block
from streamtag.decoding.reader import Array, RefusedError
from streamtag.decoding.uniform import Uniform
from streamtag.dsp.params import MAX_CHANNELS, MAX_SAMPLERATE, MIN_SAMPLERATE
from streamtag.errors import OptionError

PROBE = {"probesize": "65536", "analyzeduration": "1000000"}  # not fflags=nobuffer, which throws away what was probed
BARREN_PACKETS = 4_096
"""As many packets in a row without a sample are no sound."""
FIRST_SECONDS, BARREN_SECONDS, BARREN_BYTES = 10.0, 3.0, 1 << 16
"""Nor is what has come for so long, at first and later, and is at least so much, without one: its writer goes on with
something else."""
STALL_SECONDS = 0.5
TITLES = "strings_metadata"
LONGEST_TITLE = 200
RAW_BLOCK_SECONDS = 0.010
_RAW_TYPES = {
    "u8": "u1",
    **{f"{kind}{size}{end}": f"{mark}{code}{int(size) // 8}"
       for kind, code, sizes in (("s", "i", ("16", "24", "32")), ("f", "f", ("32", "64")))
       for size in sizes
       for end, mark in (("le", "<"), ("be", ">"))},
}  # fmt: skip
RAW_EXPECTED = f"expected TYPE,RATE,CHANNELS, for example s16le,44100,2; types are {', '.join(_RAW_TYPES)}"

Read = Callable[[int], bytes]
"""Gives up to so many bytes, as soon as there are some; none at the end."""


@dataclass(frozen=True, slots=True)
class RawFormat:
    """Samples without a header.

    Attributes
    ----------
    type : str
        As FFmpeg calls it, for example ``s16le``.
    samplerate : int
        Hz.
    channels : int
        How many, interleaved.
    """

    type: str
    samplerate: int
    channels: int


def parse_raw(text: str) -> RawFormat:
    """``s16le,44100,2`` as a format.

    Raises
    ------
    OptionError
        Anything else.
    """
    found = re.fullmatch(r"\s*([a-z]\w+)\s*,\s*(\d{1,7})\s*,\s*(\d{1,3})\s*", text)
    if found is None or found[1] not in _RAW_TYPES:
        raise OptionError(f"--raw {text}: {RAW_EXPECTED}")
    raw = RawFormat(found[1], int(found[2]), int(found[3]))
    if not MIN_SAMPLERATE <= raw.samplerate <= MAX_SAMPLERATE or not 1 <= raw.channels <= MAX_CHANNELS:
        raise OptionError(f"--raw {text}: 1000 to 384000 Hz and 1 to {MAX_CHANNELS} channels can be heard")
    return raw


class StreamReader(Protocol):
    """Sound as it comes.

    Attributes
    ----------
    samplerate : int
        Hz.
    channels : int
        How many.
    damaged : int
        Packets that could not be decoded so far.
    live : bool
        Whether it goes on by itself while nobody reads it, so that what waits is old.
    """

    samplerate: int
    channels: int
    damaged: int
    live: bool

    @property
    def title(self) -> str | None:
        """What plays, in the sender's words; None if it says nothing of it."""
        ...

    def blocks(self) -> Iterator[Array]:
        """Blocks of float32, shape (n, channels), until the end."""
        ...

    def close(self) -> None:
        """Let go of it."""


class RawReader:
    """Samples without a header, from `read`."""

    damaged = 0
    live = False
    title = None

    def __init__(self, read: Read, raw: RawFormat) -> None:
        self.samplerate, self.channels = raw.samplerate, raw.channels
        self._read, self._type = read, raw.type

    def blocks(self) -> Iterator[Array]:
        """Blocks of what has come; half a sample at the end is left out."""
        size = (int(self._type[1:3]) // 8 if self._type != "u8" else 1) * self.channels
        most = size * max(1, round(RAW_BLOCK_SECONDS * self.samplerate))
        rest = b""
        while data := self._read(most):
            data = rest + data
            whole = len(data) // size * size
            rest = data[whole:]
            if whole:
                yield self._decoded(data[:whole]).reshape(-1, self.channels)

    def close(self) -> None:
        """Nothing to do."""

    def _decoded(self, data: bytes) -> Array:
        if "24" in self._type:  # NumPy has no such type: as the upper three bytes of four
            parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
            parts = parts if self._type.endswith("le") else parts[:, ::-1]
            wide = np.zeros((len(parts), 4), np.uint8)
            wide[:, 1:] = parts
            return wide.reshape(-1).view("<i4").astype(np.float32) * np.float32(2.0**-31)
        samples: NDArray[Any] = np.frombuffer(data, _RAW_TYPES[self._type])
        if samples.dtype.kind == "u":
            return (samples.astype(np.float32) - np.float32(128)) / np.float32(128)
        scale = 1 if samples.dtype.kind == "f" else 2.0 ** (1 - 8 * samples.dtype.itemsize)
        with np.errstate(over="ignore"):  # becomes inf, which is replaced and counted later
            return samples.astype(np.float32) * np.float32(scale)


class FFmpegStream:
    """Whatever FFmpeg recognises, from `read`, or from an address that FFmpeg opens itself.

    Parameters
    ----------
    source : Read or str
        Where the bytes come from.
    options : dict of {str: str}
        For FFmpeg's protocol and demuxer.
    timeout : tuple of (float, float) or None
        Seconds that opening, and then each read, may take.
    meant : callable
        What FFmpeg's words mean to people.
    bare : bool
        Whether it is said to be MP3 or AAC without a container, perhaps from the middle of a frame.

    Raises
    ------
    RefusedError
        It cannot be opened, or is no sound.
    """

    live = False

    def __init__(
        self,
        source: Read | str,
        options: dict[str, str],
        timeout: tuple[float, float] | None = None,
        meant: Callable[[str], str] = str,
        *,
        bare: bool = False,
    ) -> None:
        self.damaged = 0
        self._title: str | None = None
        self._since = time.monotonic() + FIRST_SECONDS - BARREN_SECONDS  # when the newest sample was done with
        self._came = 0  # bytes since then
        self._meant = meant
        try:
            given: _Readable | str
            format = None
            if isinstance(source, str):
                given = source
            else:
                given = _Readable(source, self._is_barren)
                format = given.bare_format(bare)
            self._container: Any = av.open(
                given, format=format, options={**PROBE, **options}, timeout=timeout, buffer_size=4096
            )
        except av.FFmpegError as error:
            raise self._refused(error) from None
        except (OSError, ValueError) as error:
            raise RefusedError(str(error)) from None
        try:
            self._begin()
        except BaseException:
            self._container.close()
            raise

    @property
    def title(self) -> str | None:
        """What plays: artist and title, as the sound itself has them."""
        return self._title

    def _begin(self) -> None:
        self._stream = self._container.streams.best("audio")
        if self._stream is None:
            raise RefusedError("no audio track in it", plain=True)
        codec = self._stream.codec_context.codec if self._stream.codec_context is not None else None
        if codec is None:
            raise RefusedError("no decoder for its audio track", plain=True)
        self._round = codec.lossy and not codec.lossless
        self._take_title({**self._container.metadata, **self._stream.metadata})
        self._frames = self._decoded()
        first = next(self._frames, None)
        if first is None:
            raise RefusedError("nothing to hear in it", plain=True)
        self._first = first
        self.samplerate, self.channels = self._stream.codec_context.sample_rate, first.shape[1]
        if not MIN_SAMPLERATE <= self.samplerate <= MAX_SAMPLERATE or self.channels > MAX_CHANNELS:
            raise RefusedError(f"its {self.samplerate} Hz and {self.channels} channels cannot be heard", plain=True)

    def blocks(self) -> Iterator[Array]:
        """Blocks as they come; another rate or number of channels on the way is brought to the first.

        Yields
        ------
        ndarray of float32, shape (n, channels)
            Full scale is 1.
        """
        uniform = Uniform(self.samplerate, self.channels)
        yield self._first
        for block in self._frames:
            yield uniform.push(block, self._stream.codec_context.sample_rate)
        yield uniform.flush()

    def close(self) -> None:
        """Close it."""
        self._container.close()

    def _decoded(self) -> Iterator[Array]:
        barren = 0
        try:
            for packet in self._container.demux(self._stream):
                if packet.has_sidedata(TITLES):  # as Ogg has it, where one song follows the other
                    words = bytes(packet.get_sidedata(TITLES)).decode("utf-8", "replace").split("\0")
                    self._take_title(dict(zip(words[::2], words[1::2], strict=False)))
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    self.damaged += 1
                    frames = []
                barren = 0 if frames else barren + 1
                if barren > BARREN_PACKETS:
                    raise RefusedError("what comes cannot be decoded")
                yield from (as_block(frame, self._round) for frame in frames if frame.samples)
                if frames:
                    self._since, self._came = time.monotonic(), 0
        except av.FFmpegError as error:  # of the connection, or of the container
            raise self._refused(error) from None

    def _take_title(self, tags: dict[str, str]) -> None:
        """``Artist - Title``, or what there is of it; as a station's own titles are written."""
        known = {name.lower(): on_one_line(value).strip() for name, value in tags.items()}
        parts = [known[name] for name in ("artist", "title") if known.get(name)]
        self._title = known.get("streamtitle") or " - ".join(parts)[:LONGEST_TITLE] or self._title

    def _is_barren(self, size: int, waited: float) -> bool:
        """Whether what comes, `size` bytes more after so many seconds, is no more the sound that it was."""
        self._came += size
        if waited > STALL_SECONDS:  # then nothing came
            self._since += waited
        return self._came > BARREN_BYTES and time.monotonic() - self._since > BARREN_SECONDS

    def _refused(self, error: av.FFmpegError) -> RefusedError:
        return RefusedError(self._meant((error.strerror or "unknown error").rstrip(".")))


class _Readable:
    """What PyAV reads from: without a way to seek, and without a name to judge by.

    FFmpeg may ask again after an error, and PyAV prints the first of two: so there is one, and then the end.
    """

    def __init__(self, read: Read, is_barren: Callable[[int, float], bool]) -> None:
        self._read = read
        self._is_barren = is_barren
        self._over = False
        self._head = b""  # read, and not given

    def bare_format(self, expected: bool) -> str | None:
        """What FFmpeg calls it, if it is bare frames; looked at if that is said, or its beginning looks like them."""
        while len(self._head) < ENOUGH and (data := self._read(ENOUGH)):
            self._head += data
            if not expected and not may_be_bare(self._head):
                break
            if (found := bare_format(self._head)) is not None:
                return found
        return None

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end."""
        if self._over:
            return b""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        try:
            asked = time.monotonic()
            data = self._read(size)
            if self._is_barren(len(data), time.monotonic() - asked):
                raise RefusedError("what comes is no more the sound that it was")
        except BaseException:
            self._over = True
            raise
        return data
