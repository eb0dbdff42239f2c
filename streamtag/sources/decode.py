"""Files of sound, as a stream of float32 blocks.

What a file is, its content says, never its name. libsndfile reads WAV, RF64, W64, AIFF, AU, CAF and Ogg (Vorbis, Opus,
FLAC); FFmpeg reads all else, and whatever libsndfile refuses.

- MP3, AAC and other lossy codecs go through FFmpeg and are rounded to 16 bits, because that is what musicnn heard in
  2019: `ffmpeg -f s16le`, without dither, the encoder's start padding skipped. The samples are equal to the bit.
- FLAC is the same to the bit in both, but libsndfile stops for good at the first damaged frame, and FFmpeg goes on
  behind it. So FFmpeg comes first there, and libsndfile reads what FFmpeg refuses.
- libsndfile reads the first of several chained Ogg streams only. FFmpeg reads them all.
- libsndfile is kept away from MP3: its decoder writes to stderr, and takes noise for music.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import re
import stat
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Self

import av
import numpy as np
import soundfile
from av.audio.plane import AudioPlane
from numpy.typing import NDArray

from streamtag.errors import AudioFileError

LOWEST_RATE, HIGHEST_RATE = 1_000, 384_000
MOST_CHANNELS = 32

EXTENSIONS = frozenset(
    (  # noqa: SIM905 - as a list, one a line, it would be longer than what uses it
        ".wav .wave .bwf .rf64 .w64 .aif .aiff .aifc .au .snd .caf .flac .ogg .oga .opus .spx .mp3 .mp2 .m4a .m4b .mp4"
        " .aac .ac3 .eac3 .dts .wma .ape .wv .mpc .tta .tak .mka .webm .amr .3gp .dsf .dff"
    ).split()
)
"""What counts as a file of sound when a folder is searched."""

PIECE = 65_536
"""Frames that libsndfile is asked for at once."""
BARREN_PACKETS = 4_096
"""FFmpeg gives up after as many packets in a row without a sample in them."""
DEMUX_ERRORS = 16
"""FFmpeg gives up after as many places where it could not go on reading the container."""
STRAY_FRAMES = 8
"""As many frames in a row of another rate or channel count are taken for damage; one more ends the file."""
PADDING = 0.1
"""Seconds that a lossy file may be shorter than its header says: the encoder's padding may be counted there."""

_SNDFILE_FORMATS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG"}
_LENGTH_IN_HEADER = {"mov", "flac", "wav", "w64", "aiff", "au", "caf", "ape", "wv", "tta", "tak", "matroska", "asf"}
"""Containers whose length FFmpeg reads, where for others it may guess."""
_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}

Array = NDArray[np.float32]


class _RefusedError(Exception):
    """Why one decoder does not read a file; `plain` when that is the whole story."""

    def __init__(self, reason: str, plain: bool = False) -> None:
        super().__init__(reason)
        self.plain = plain


class AudioReader:
    """An open file of sound, read once from its start to its end. Made by `open_audio`; a context manager.

    Attributes
    ----------
    path : the file.
    samplerate : in Hz.
    channels : how many.
    duration : seconds as the header says, or None. For a progress bar and no more: headers lie.
    decoder : which library and which codec, for people.
    note : None, or what is off about the file. Complete when `blocks` has ended.
    """

    samplerate: int
    channels: int
    duration: float | None = None
    decoder: str
    note: str | None = None
    library: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = False
        self._pieces = self._decode()
        try:
            self._open()
            first = next(self._pieces, None)
            if first is None:
                raise _RefusedError(self.note or "holds no samples", plain=True)
            if not LOWEST_RATE <= self.samplerate <= HIGHEST_RATE:
                raise AudioFileError(path, f"its sample rate, {self.samplerate} Hz, is outside of 1 to 384 kHz")
            if not 1 <= self.channels <= MOST_CHANNELS:
                raise AudioFileError(path, f"has {self.channels} channels; 1 to {MOST_CHANNELS} can be read")
        except BaseException:
            self.close()
            raise
        self._rest: Iterator[Array] = itertools.chain([first], self._pieces)

    def blocks(self, frames: int = 65_536) -> Iterator[Array]:
        """Yield all samples, in order; once.

        Parameters
        ----------
        frames : the length of a block. The last one may be shorter.

        Yields
        ------
        float32, (frames, channels), C-contiguous; full scale is 1.
        """
        if frames < 1:
            raise ValueError(f"a block needs at least 1 frame, not {frames}")
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        waiting: list[Array] = []
        count = 0
        for piece in self._rest:
            waiting.append(piece)
            count += len(piece)
            if count >= frames:
                joined = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                whole = count - count % frames
                for start in range(0, whole, frames):
                    yield joined[start : start + frames]
                waiting, count = [joined[whole:]], count - whole
        if count:
            yield np.concatenate(waiting)

    def close(self) -> None:
        """Close the file. Twice is no error."""
        self._closed = True
        self._pieces.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        raise NotImplementedError

    def _decode(self) -> Generator[Array]:
        raise NotImplementedError

    def _add_note(self, text: str) -> None:
        self.note = f"{self.note}; {text}" if self.note else text

    def _note_length(self, read: float, promised: float, slack: float = 0.001) -> None:
        if promised - read > slack:
            self._add_note(f"ends early or has gaps: {read:.2f} s can be read of the {promised:.2f} s in its header")


class _SndfileReader(AudioReader):
    """libsndfile, through soundfile."""

    library = "libsndfile"
    _source: BinaryIO | None = None
    _file: Any = None

    def _open(self) -> None:
        try:
            self._source = self.path.open("rb")
            # Without its name: soundfile takes *.raw for headerless. (On Windows, libraries do not share descriptors.)
            source = str(self.path) if os.name == "nt" else self._source.fileno()
            self._file = file = soundfile.SoundFile(source, closefd=False)
        except soundfile.LibsndfileError as error:
            raise _RefusedError(error.error_string.rstrip(".")) from None
        except (RuntimeError, TypeError, OSError) as error:
            raise _RefusedError(str(error)) from None
        if file.format not in _SNDFILE_FORMATS or file.subtype.startswith("MPEG"):
            raise _RefusedError(f"{file.subtype} in {file.format} is left to FFmpeg")
        # soundfile seeks after each read of what can be sought: behind a gap, that repeats samples.
        file.seekable = lambda: False
        self.samplerate, self.channels = file.samplerate, file.channels
        self.duration = file.frames / file.samplerate if 0 <= file.frames < 2**60 and file.samplerate else None
        self.decoder = f"libsndfile, {file.subtype} in {file.format}"
        # Of a file that was cut, libsndfile counts what is left, and says so in its log only.
        sizes = re.findall(r"(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", file.extra_info)
        for claimed, there in ((int(claimed), int(there)) for claimed, there in sizes):
            unknown = (claimed + 2**13) % 2**31 < 2**13  # what recorders write that do not know the length yet
            if self.duration and there and not unknown:
                self._note_length(self.duration, self.duration * claimed / there)
        if file.format == "OGG" and not _ogg_ends(self.path)[1]:
            self._add_note("ends early: the last Ogg page is missing")

    def _decode(self) -> Generator[Array]:
        read = 0
        while True:
            try:
                piece: Array = self._file.read(PIECE, dtype="float32", always_2d=True)
            except (soundfile.SoundFileRuntimeError, OSError) as error:
                self._add_note(f"damaged after {read / self.samplerate:.2f} s: {error}")
                return
            if not len(piece):
                break
            read += len(piece)
            yield piece
        if read and self.duration:
            self._note_length(read / self.samplerate, self.duration)

    def close(self) -> None:
        super().close()
        if self._file is not None:
            self._file.close()
        if self._source is not None:
            self._source.close()


class _Input:
    """A file as PyAV reads it: without a name to judge by, nothing raised (PyAV would print it), all reading bounded.

    FFmpeg never sees the path, so a name with a colon in it does not make it open anything else.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        self._left = 64 * path.stat().st_size + 2**29

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


class _FFmpegReader(AudioReader):
    """FFmpeg, through PyAV."""

    library = "FFmpeg"
    _input: _Input | None = None
    _container: Any = None

    def _open(self) -> None:
        try:
            self._input = _Input(self.path)
            # With no protocol allowed, playlists and the like cannot open other files, or the network.
            options = {"protocol_whitelist": "none"}
            self._container = av.open(self._input, options=options, metadata_errors="ignore")
        except av.FFmpegError as error:
            raise _RefusedError(error.strerror or "unknown error") from None
        except (OSError, ValueError) as error:
            raise _RefusedError(str(error)) from None
        self._stream = self._container.streams.best("audio")
        if self._stream is None:
            raise _RefusedError("no audio track in it", plain=True)
        if self._stream.codec_context is None:
            raise _RefusedError("no decoder for its audio track, or encrypted", plain=True)
        codec = self._stream.codec_context.codec
        self._round = codec.lossy and not codec.lossless
        self.decoder = f"FFmpeg, {codec.canonical_name} in {self._container.format.name.split(',')[0]}"
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
        shape: tuple[int, int] | None = None  # rate, channels
        read = barren = stray = self._damaged = 0
        position: int | None = None  # of the first packet that gives sound
        cut = False
        for packet in self._packets():
            if not read:
                position = packet.pos
            cut = packet.is_corrupt if packet.size else cut
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._damaged += 1
                frames = []
            barren += 1
            for frame in frames:
                if not frame.samples:
                    continue
                # Not the frame's own rate: with MP3, that is the one before.
                found = (self._stream.codec_context.sample_rate, frame.layout.nb_channels)
                if shape is None:
                    shape = self.samplerate, self.channels = found
                if found != shape:
                    stray += 1
                    continue
                self._damaged += stray
                stray = barren = 0
                read += frame.samples
                yield self._samples(frame)
            if stray > STRAY_FRAMES or barren > BARREN_PACKETS:
                break
        if shape is None:
            if self._damaged:
                raise _RefusedError(f"nothing in it can be decoded (damaged packets: {self._damaged})", plain=True)
            return
        if self._damaged:
            self._add_note(f"damaged: {self._damaged} of its packets could not be decoded")
        seconds = read / self.samplerate
        if stray > STRAY_FRAMES:
            self._add_note(
                f"read up to {seconds:.2f} s, where {shape[0]} Hz, {shape[1]} channels"
                f" turn into {found[0]} Hz, {found[1]} channels"
            )
        elif barren > BARREN_PACKETS:
            self._add_note(f"given up after {seconds:.2f} s, nothing but damage follows")
        elif cut:
            self._add_note("ends early: its last packet is cut")
        elif self.duration and self._length_is_known(position):
            self._note_length(seconds, self.duration, PADDING if self._round else 0.001)

    def _length_is_known(self, position: int | None) -> bool:
        """Whether the header says the length, and FFmpeg did not guess it."""
        container = self._container.format.name.split(",")[0]
        if container != "mp3" or not position or not self.duration:
            return container in _LENGTH_IN_HEADER
        # FFmpeg goes by a Xing frame, right before the first packet, unless the file is far too long for it.
        with self.path.open("rb") as file:
            file.seek(max(0, position - 1_441))  # the longest frame
            before = file.read(min(position, 1_441))
        # a frame header, side information, the tag, flags with the lowest bit set, the number of frames
        xing = re.search(rb"(?s)\xff([\xe2-\xff])(?:.{11}|.{19}|.{34})(?:Xing|Info)...[^\0](....)", before)
        if not xing:
            return False
        frame = 1_152 if xing[1][0] & 0x18 == 0x18 else 576
        return abs(int.from_bytes(xing[2]) * frame / self.samplerate - self.duration) < 2 * PADDING

    def _samples(self, frame: Any) -> Array:
        # Not frame.to_ndarray(): with 8 or more planes, PyAV 18 reads behind the last one, and crashes.
        planes: list[Any] = [AudioPlane(frame, n) for n in range(self.channels if frame.format.is_planar else 1)]
        dtype = _TYPES[frame.format.name.removesuffix("p")]
        count = frame.samples * self.channels // len(planes)
        data: NDArray[Any] = np.stack([np.frombuffer(plane, dtype, count) for plane in planes], axis=-1)
        data = data.reshape(-1, self.channels)
        if data.dtype.kind == "f" and self._round:
            data = np.clip(np.rint(data * 2**15), -(2**15), 2**15 - 1) / 2**15
        elif data.dtype.kind == "u":
            data = (data.astype(np.float32) - 128) / 128
        elif data.dtype.kind == "i":
            data = data / 2.0 ** (8 * data.dtype.itemsize - 1)
        return np.ascontiguousarray(data, dtype=np.float32)

    def close(self) -> None:
        super().close()
        if self._container is not None:
            self._container.close()
        if self._input is not None:
            self._input.close()


def open_audio(path: str | Path) -> AudioReader:
    """Open a file of sound.

    Its first samples are decoded here, so a file with nothing to hear in it is refused here, not halfway.

    Raises
    ------
    AudioFileError : with the reason, for whatever cannot be read.
    """
    path = Path(path)
    kind, first = _recognise(path)
    readers: list[type[AudioReader]] = [_FFmpegReader]
    if kind:
        readers = [_SndfileReader, _FFmpegReader] if first == "libsndfile" else [_FFmpegReader, _SndfileReader]
    reasons: list[_RefusedError] = []
    for reader in readers:
        try:
            return reader(path)
        except _RefusedError as error:
            reasons.append(error)
    for refusal in reversed(reasons):
        if refusal.plain:
            raise AudioFileError(path, str(refusal))
    if not kind:
        raise AudioFileError(path, "not audio that libsndfile or FFmpeg can read")
    said = "; ".join(f"{reader.library}: {error}" for reader, error in zip(readers, reasons, strict=True))
    raise AudioFileError(path, f"begins as {kind}, but is damaged or of an unknown kind ({said})")


def find_audio(paths: Iterable[str | Path]) -> list[Path]:
    """Find the files that are meant by files, folders and patterns.

    Nothing is raised, and nothing vanishes: a path that leads to no file stays in the list as it is, and `open_audio`
    says what is wrong with it.

    Parameters
    ----------
    paths : files (taken whatever their name), folders (with all folders in them; files with a known extension, hidden
        ones left out) and patterns (`*`, `?`, `[]`, and `**` for any depth).

    Returns
    -------
    Each file once, in the order of `paths`, sorted within a folder or pattern.
    """
    found: dict[Path, None] = {}
    for given in paths:
        path = Path(given)
        matches = [path]
        if glob.has_magic(str(given)) and not os.path.lexists(path):  # a name goes before a pattern
            with contextlib.suppress(OSError, ValueError):
                matches = sorted(map(Path, glob.glob(str(given), recursive=True)))  # noqa: PTH207 - may be absolute
        files: list[Path] = []
        for match in matches:
            is_folder = os.path.isdir(match)  # noqa: PTH112 - Path.is_dir raises for some names
            files += _in_folder(match) if is_folder else [match]
        if path not in matches and not path.suffix:  # music/* or music/** does not say which kind
            files = [file for file in files if file.suffix.lower() in EXTENSIONS] or files
        found.update(dict.fromkeys(files or [path]))
    return list(found)


def _in_folder(folder: Path) -> list[Path]:
    found: list[Path] = []
    # What cannot be listed is kept, to be reported.
    for where, folders, files in os.walk(folder, onerror=lambda error: found.append(Path(error.filename))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(where, name) for name in files if not name.startswith("."))
        found.extend(path for path in paths if path.suffix.lower() in EXTENSIONS)
    return sorted(found)


def _recognise(path: Path) -> tuple[str | None, str]:
    """Format that the first bytes name, if libsndfile reads it; and which library goes first."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise AudioFileError(path, "a folder without files of sound that can be listed")
        if not stat.S_ISREG(status.st_mode):
            raise AudioFileError(path, "not a regular file (a pipe, a device or a socket)")
        if not status.st_size:
            raise AudioFileError(path, "empty file")
        with path.open("rb") as file:
            head = file.read(16)
            while head.startswith(b"ID3") and len(head) == 16:  # tags, also before FLAC
                size = sum(byte % 128 << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
                file.seek(size + 10 - 16, os.SEEK_CUR)
                head = file.read(16)
    except (FileNotFoundError, NotADirectoryError):
        pattern = glob.has_magic(str(path))
        raise AudioFileError(path, "no file matches this pattern" if pattern else "no such file") from None
    except PermissionError:
        raise AudioFileError(path, "no permission to read it") from None
    except (OSError, ValueError) as error:  # such as a name that is too long, or with a null in it
        raise AudioFileError(path, f"cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    for start, kind in ((b"RIFF", "WAV"), (b"RIFX", "WAV"), (b"RF64", "RF64"), (b"FORM", "AIFF")):
        if head.startswith(start) and head[8:12] in (b"WAVE", b"AIFF", b"AIFC"):
            return kind, "libsndfile"
    for start, kind in ((b"riff\x2e\x91\xcf\x11", "W64"), (b".snd", "AU"), (b"dns.", "AU"), (b"caff", "CAF")):
        if head.startswith(start):
            return kind, "libsndfile"
    if head.startswith(b"OggS"):
        return "Ogg", "FFmpeg" if _ogg_ends(path)[0] else "libsndfile"
    return ("FLAC", "FFmpeg") if head.startswith(b"fLaC") else (None, "FFmpeg")


def _ogg_ends(path: Path) -> tuple[bool, bool]:
    """Whether the last page is of another stream than the first, and whether it is whole and marked as the last."""
    with path.open("rb") as file:
        serial = file.read(18)[14:]
        file.seek(max(0, path.stat().st_size - 2**17))  # a page has 65,307 bytes at the most
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if not page.startswith(b"OggS") or len(page) < 27:
        return False, False
    size = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return page[14:18] != serial, bool(page[5] & 4) and len(page) >= size
