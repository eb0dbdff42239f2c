"""Files through FFmpeg, packet by packet."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any

import av

from streamtag.decoding.drm import ENCRYPTED, encryption
from streamtag.decoding.frames import Gathered, as_block
from streamtag.decoding.part import Part
from streamtag.decoding.reader import Array, AudioReader, RefusedError
from streamtag.decoding.tags import tag_length
from streamtag.decoding.uniform import Uniform

BARREN_PACKETS = 4_096
"""FFmpeg gives up after as many packets in a row without a sample in them."""
DEMUX_ERRORS = 16
"""FFmpeg gives up after as many places where it could not go on reading the container."""
STRAY_FRAMES = 8
"""As many frames in a row of another rate or channel count are taken for damage where there are no checksums."""
PADDING = 0.1
"""Seconds that a lossy file may be shorter than its header says: the encoder's padding may be counted there."""

_LENGTH_IN_HEADER = {"mov", "flac", "wav", "w64", "aiff", "au", "caf", "ape", "wv", "tta", "tak", "matroska", "asf"}
"""Containers whose length FFmpeg reads, where for others it may guess."""
_OF_SAMPLES, _PACKED = {"wav", "w64", "aiff"}, {"dts", "ac3", "eac3", "truehd"}
_WITHOUT_CHECKSUMS = {"mp3", "aac", "loas", "ac3", "eac3", "dts", "truehd", "mpegts", "mpeg", "spdif"}
"""Containers in which damage may look like a frame of another rate or channel count."""
_UNREADABLE_TITLES: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
"""Titles that are not UTF-8 must not refuse a file. PyAV 19 lets them pass by itself, and has the option no more."""


class _Input:
    """A file as PyAV reads it: without a name to judge by, nothing raised (PyAV would print it), all reading bounded.

    FFmpeg never sees the path, so a name with a colon in it does not make it open anything else.
    """

    def __init__(self, part: Part) -> None:
        self._file = part.open()
        self._left = 64 * self._file.size + 2**29

    def read(self, size: int) -> bytes:
        self._left -= size
        try:
            return self._file.read(size) if self._left > 0 else b""
        except OSError:
            return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class FFmpegReader(AudioReader):
    """FFmpeg, through PyAV."""

    library = "FFmpeg"
    _input: _Input | None = None
    _container: Any = None

    def _open(self) -> None:
        try:
            self._input = _Input(self.part)
            # With no protocol allowed, playlists and the like cannot open other files, or the network.
            options = {"protocol_whitelist": "none"}
            self._container = av.open(self._input, options=options, **_UNREADABLE_TITLES)
        except av.FFmpegError as error:
            raise RefusedError(error.strerror or "unknown error") from None
        except (OSError, ValueError) as error:
            raise RefusedError(str(error)) from None
        self._stream = self._container.streams.best("audio")
        if self._stream is None:
            raise RefusedError("no audio track in it", plain=True)
        container = self._container.format.name.split(",")[0]
        with self.part.open() as file:
            if (how := encryption(file, container, self._stream.metadata)) is not None:
                raise RefusedError(ENCRYPTED.format(how).replace(" :", ":"), plain=True)
        if self._stream.codec_context is None:
            raise RefusedError("no decoder for its audio track", plain=True)
        codec = self._stream.codec_context.codec
        self._round = codec.lossy and not codec.lossless
        self.decoder = f"FFmpeg, {codec.canonical_name} in {container}"
        self._packed = container in _OF_SAMPLES and codec.canonical_name in _PACKED
        if self._packed:
            self._add_note(f"what it holds as samples are packets of {codec.canonical_name.upper()}: decoded as such")
        self._patience = STRAY_FRAMES if container in _WITHOUT_CHECKSUMS else 0
        if self._stream.duration is not None:
            self.duration = float(self._stream.duration * self._stream.time_base)
        elif self._container.duration is not None:
            self.duration = self._container.duration / av.time_base
        if self.duration is not None and not 0 < self.duration < 1e9:
            self.duration = None

    def _packets(self) -> Iterator[Any]:
        for _ in range(DEMUX_ERRORS):
            try:
                yield from self._container.demux(self._stream)
                return
            except IndexError:  # PyAV, at the end, when more streams turned up on the way
                return
            except av.FFmpegError:
                self._damaged += 1

    def _decode(self) -> Generator[Array]:
        uniform: Uniform | None = None
        gathered = Gathered(self._round)
        shape: tuple[int, int] | None = None  # rate and channels, at present
        stray: list[tuple[tuple[int, int], Array]] = []
        read = barren = self._damaged = 0
        position: int | None = None  # of the first packet that gives sound
        cut = False
        tags_end = 0  # of those between frames
        for packet in self._packets():
            if uniform is None:
                position = packet.pos
            cut = packet.is_corrupt if packet.size else cut
            try:
                frames = packet.decode()
            except av.FFmpegError:
                at = packet.pos or 0
                if self._patience:
                    tags_end = max(tags_end, at + tag_length(bytes(packet)))
                self._damaged += at >= tags_end
                frames = []
            barren += 1
            for frame in frames:
                if not frame.samples:
                    continue
                # Not the frame's own rate: with MP3, that is the one before.
                found = (self._stream.codec_context.sample_rate, frame.layout.nb_channels)
                if uniform is None or shape is None:
                    shape = self.samplerate, self.channels = found
                    uniform = Uniform(*found)
                if stray and found != stray[-1][0]:
                    self._damaged += len(stray)
                    stray.clear()
                if found == shape:
                    parts = [(shape, block) for block in gathered.push(frame)]
                else:
                    stray.append((found, as_block(frame, self._round)))
                    if len(stray) <= self._patience:
                        continue
                    parts = [*((shape, block) for block in gathered.drain()), *stray]
                    shape = found
                    stray.clear()
                barren = 0
                for (rate, _), block in parts:
                    piece = uniform.push(block, rate)
                    read += len(piece)
                    yield piece
            if barren > BARREN_PACKETS:
                break
        if uniform is None or shape is None:
            if self._damaged:
                raise RefusedError(f"nothing in it can be decoded (damaged packets: {self._damaged})", plain=True)
            return
        for piece in (*(uniform.push(block, shape[0]) for block in gathered.drain()), uniform.flush()):
            read += len(piece)
            yield piece
        self._damaged += len(stray)
        if self._damaged:
            self._add_note(f"damaged: {self._damaged} of its packets could not be decoded")
        if uniform.note:
            self._add_note(uniform.note)
        seconds = read / self.samplerate
        if barren > BARREN_PACKETS:
            self._add_note(f"given up after {seconds:.2f} s, nothing but damage follows")
        elif cut:
            self._add_note("ends early: its last packet is cut")
        elif self.duration and not uniform.changes and self._length_is_known(position):
            self._note_length(seconds, self.duration, PADDING if self._round else 0.001)

    def _length_is_known(self, position: int | None) -> bool:
        """Whether the header says the length, and FFmpeg did not guess it."""
        container = self._container.format.name.split(",")[0]
        if self._packed:  # it is the length of the samples that they are not
            return False
        if container != "mp3" or not position or not self.duration:
            return container in _LENGTH_IN_HEADER
        # FFmpeg goes by a Xing frame, right before the first packet, unless the file is far too long for it.
        with self.part.open() as file:
            file.seek(max(0, position - 1_441))  # the longest frame
            before = file.read(min(position, 1_441))
        # a frame header, side information, the tag, flags with the lowest bit set, the number of frames
        xing = re.search(rb"(?s)\xff([\xe2-\xff])(?:.{11}|.{19}|.{34})(?:Xing|Info)...[^\0](....)", before)
        if not xing:
            return False
        frame = 1_152 if xing[1][0] & 0x18 == 0x18 else 576
        return abs(int.from_bytes(xing[2]) * frame / self.samplerate - self.duration) < 2 * PADDING

    def close(self) -> None:
        super().close()
        if self._container is not None:
            self._container.close()
        if self._input is not None:
            self._input.close()
