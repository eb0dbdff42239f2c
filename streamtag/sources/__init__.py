"""Where samples come from: devices, files, the demo clip. A source writes into a ring, on a thread of its own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from streamtag.errors import AudioFileError
from streamtag.ringbuffer import RingBuffer

if TYPE_CHECKING:
    from streamtag.sources.device import Callback


class Source(Protocol):
    """Something that can be listened to.

    Attributes
    ----------
    name : for people.
    ring : what it writes into; known before `start`. A source that begins again after a gap makes another, perhaps of
        another rate, the `successor` of the one before, puts it in its place, and writes no more into the old one.
    """

    name: str
    ring: RingBuffer

    @property
    def finished(self) -> bool:
        """Whether no more samples will come; all that came are then in the ring."""
        ...

    @property
    def error(self) -> BaseException | None:
        """What ended the source early, if anything did."""
        ...

    @property
    def recovering(self) -> str | None:
        """Why nothing comes at present, while the source sees to it that something will; None if all is well."""
        ...

    @property
    def note(self) -> str | None:
        """What is off about what was heard, if anything is: a file that ends early."""
        ...

    def start(self) -> None:
        """Begin to write into the ring."""
        ...

    def stop(self) -> None:
        """Stop writing; the ring is not touched after this returns."""
        ...


def demo_clip() -> Path:
    """The music that ships with streamtag."""
    return Path(str(files("streamtag"))) / "demo" / "demo.ogg"


def open_source(
    given: str | int,
    *,
    channels: tuple[int, ...] | None = None,
    loop: bool = False,
    callback: Callback = "auto",
) -> Source:
    """A source by what a user calls it.

    Parameters
    ----------
    given : ``demo``; the path of a file; ``default``; a device's index, its name or a part of it.
    channels : which channels to hear, counted from 1; None for a device's first two, or all of a file's.
    loop : start a file again at its end.
    callback : what PortAudio calls for a device, see `DeviceSource`.

    Raises
    ------
    DeviceError, AudioFileError : it cannot be opened; the message says why.
    """
    from streamtag.sources.file import FileSource

    if given == "demo":
        return FileSource(demo_clip(), channels=channels, loop=loop)
    if isinstance(given, str) and _looks_like_file(given):
        if Path(given).expanduser().is_dir():
            raise AudioFileError(given, "a folder; one file can be played (`streamtag file` tags folders)")
        return FileSource(given, channels=channels, loop=loop)
    from streamtag.sources.device import DeviceSource

    return DeviceSource(given, channels=channels, callback=callback)


def _looks_like_file(given: str) -> bool:
    from streamtag.sources.find import EXTENSIONS

    path = Path(given).expanduser()
    return path.exists() or len(path.parts) > 1 or path.suffix.lower() in EXTENSIONS
