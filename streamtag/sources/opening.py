"""A source by what a user calls it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from streamtag.errors import AudioFileError, OptionError
from streamtag.sources.base import Source

if TYPE_CHECKING:
    from streamtag.sources.device import Callback


DEMO = "demo: piano, 0:08 pads, 0:16 techno, 0:24 rock"
"""What the demo clip is called, beside a clock that tells which of them is heard."""


def demo_clip() -> Path:
    """The music that ships with streamtag."""
    return Path(str(files("streamtag"))) / "demo" / "demo.ogg"


def open_source(
    given: str | int,
    *,
    channels: tuple[int, ...] | None = None,
    loop: bool = False,
    callback: Callback = "auto",
    play: bool = False,
) -> Source:
    """A source by what a user calls it.

    Parameters
    ----------
    given : str or int
        ``demo``; the path of a file; ``default``; a device's index, its name or a part of it.
    channels : tuple of int or None
        Which channels to hear, counted from 1; None for a device's first two, or all of a file's.
    loop : bool
        Start a file again at its end.
    callback : {'auto', 'native', 'python'}
        What PortAudio calls for a device, see `DeviceSource`.
    play : bool
        Play a file on the default output as well.

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

    if given == "demo":
        source = FileSource(demo_clip(), channels=channels, loop=loop, play=play)
        source.name = DEMO
        return source
    if isinstance(given, str) and _looks_like_file(given):
        if Path(given).expanduser().is_dir():
            raise AudioFileError(given, "a folder; one file can be played (`streamtag file` tags folders)")
        return FileSource(given, channels=channels, loop=loop, play=play)
    if play:
        raise OptionError(f"{str(given)!r} is a device, and is heard as it is: only a file or the demo can be played")
    from streamtag.sources.device import DeviceSource

    return DeviceSource(given, channels=channels, callback=callback)


def _looks_like_file(given: str) -> bool:
    from streamtag.decoding.find import EXTENSIONS

    path = Path(given).expanduser()
    return path.exists() or len(path.parts) > 1 or path.suffix.lower() in EXTENSIONS
