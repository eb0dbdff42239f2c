"""A source by what a user calls it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from streamtag.errors import AudioFileError, DeviceError, OptionError
from streamtag.sources.address import AddressOpener, is_address
from streamtag.sources.base import Source
from streamtag.sources.names import Device, choose, exactly, matching
from streamtag.sources.pipes import PipeOpener, is_pipe
from streamtag.sources.stream import Opener, StreamSource

if TYPE_CHECKING:
    from streamtag.sources.device import Callback

Input = str | int | os.PathLike[str] | Device | Source
"""What a user calls a source."""

DEMO = "demo: piano, 0:08 pads, 0:16 techno, 0:24 rock"
"""What the demo clip is called, beside a clock that tells which of them is heard."""


def demo_clip() -> Path:
    """The music that ships with streamtag."""
    return Path(str(files("streamtag"))) / "demo" / "demo.ogg"


def open_source(
    given: Input,
    *,
    channels: tuple[int, ...] | None = None,
    loop: bool = False,
    callback: Callback = "auto",
    play: bool = False,
    raw: str | None = None,
    beside: Iterable[Source] = (),
) -> Source:
    """A source by what a user calls it.

    ``-`` is stdin; a FIFO is heard as a pipe; what has ``://`` in it is an address; ``system`` is what the machine
    plays. Of all else, what begins like a path (``./``, ``../``, ``/``, ``~``) and files that end like sound files are
    files; the rest is the device that is called so; if none is, the file; if there is none, the device that has this
    in its name.

    Parameters
    ----------
    given : str, int, path, Device or Source
        ``demo``; ``-`` for stdin; an address; ``system``; the path of a file; ``default``; a device's index, its name
        or a part of it; one of `devices()`. A source is taken as it is.
    channels : tuple of int or None
        Which channels to hear, counted from 1; None for a device's first two, or all of a file's.
    loop : bool
        Start a file again at its end.
    callback : {'auto', 'native', 'python'}
        What PortAudio calls for a device, see `DeviceSource`.
    play : bool
        Play a file on the default output as well.
    raw : str or None
        What the samples of a pipe without a header are: ``s16le,44100,2``.
    beside : iterable of Source
        Sources of other sessions, not started yet: a device or a stream that is among them is opened once for both.

    Returns
    -------
    Source
        The source, not started yet.

    Raises
    ------
    DeviceError, AudioFileError
        If it cannot be opened; the message says why.
    OptionError
        If it has no such channel, or is a device that should be played.
    """
    from streamtag.sources.file import FileSource

    if isinstance(given, Source):
        if channels or loop or play or raw:
            raise OptionError(f"{given.name}: what a source of your own hears, and how, is said where it is made")
        return given
    if given == "demo":
        source = FileSource(demo_clip(), channels=channels, loop=loop, play=play)
        source.name = DEMO
        return source
    is_path = isinstance(given, os.PathLike)
    given = os.fspath(given) if isinstance(given, os.PathLike) else given
    if isinstance(given, str) and (stream := _stream(given, raw)) is not None:
        if play or loop:
            raise OptionError(f"{stream.name} is heard as it comes: only a file or the demo can be played")
        for other in beside:
            if isinstance(other, StreamSource) and other.is_of(stream):
                stream.close()  # nothing was opened yet
                return other.beside(channels)
        return StreamSource(stream, channels=channels)
    if raw is not None:
        raise OptionError("--raw is for pipes: --input -, or the path of a FIFO")
    if given == "system":
        from streamtag.sources.system import find_system

        given = find_system()
    if isinstance(given, str) and (is_path or _is_meant_as_file(given) or not _is_device(given)):
        if os.path.isdir(os.path.expanduser(given)):  # noqa: PTH111, PTH112 # no name makes these raise
            raise AudioFileError(given, "a folder; one file can be played (`streamtag file` tags folders)")
        return FileSource(given, channels=channels, loop=loop, play=play)
    if play:
        name = given.name if isinstance(given, Device) else str(given)
        raise OptionError(f"{name!r} is a device, and is heard as it is: only a file or the demo can be played")
    from streamtag.sources.device import DeviceSource

    made = DeviceSource(given, channels=channels, callback=callback)
    for other in beside:
        if isinstance(other, DeviceSource) and (other.device, other.callback) == (made.device, callback):
            return other.beside(channels)
    return made


def _stream(given: str, raw: str | None) -> Opener | None:
    """What opens a pipe or an address, if that is what is meant."""
    from streamtag.decoding.stream import parse_raw

    if is_pipe(given):
        return PipeOpener(given, None if raw is None else parse_raw(raw))
    if not is_address(given):
        return None
    if raw is not None:
        raise OptionError("--raw is for pipes: an address says what it is")
    return AddressOpener(given)


def _is_meant_as_file(given: str) -> bool:
    """Whether it is written like a path, or is a file that is called like one of sound."""
    starts = ("/", "./", "../", "~", *((".\\", "..\\", "\\") if os.sep == "\\" else ()))
    if given in (".", "..") or given.startswith(starts) or os.path.splitdrive(given)[0]:
        with contextlib.suppress(OSError):  # what may not be looked at, or has too long a name, is still a path
            return not Path(given).is_char_device()  # /dev/dsp is what OSS calls its devices
        return True
    return _ends_like_sound(given) and os.path.isfile(given)  # noqa: PTH113


def _ends_like_sound(given: str) -> bool:
    from streamtag.decoding.find import EXTENSIONS

    return os.path.splitext(given)[1].lower() in EXTENSIONS  # noqa: PTH122


def _is_device(given: str) -> bool:
    """Whether a device is meant, among those there are and files of the same name.

    Raises
    ------
    DeviceError, AudioFileError
        It is neither a device nor a file.
    """
    from streamtag.sources import listing

    if given == "default":
        return True
    is_there = os.path.exists(given)  # noqa: PTH110
    looks_like_file = _ends_like_sound(given) or "/" in given or os.sep in given
    try:
        devices = listing.devices()
    except DeviceError as error:  # no sound system here, or none that answers
        if looks_like_file and not is_there:
            raise AudioFileError(given, f"no such file; nor an input, as far as can be told: {error}") from error
        if is_there:
            return False
        raise
    if is_there:
        return bool(exactly(devices, given))
    if matching(devices, given):
        return True
    if looks_like_file:
        raise AudioFileError(given, "no such file, and no input is called so (`streamtag devices` lists them)")
    try:
        choose(devices, given)
    except DeviceError as error:
        raise DeviceError(f"{error}; nor is there such a file") from error
    return True
