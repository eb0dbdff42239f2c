"""Where samples come from: devices, files, the demo clip. A source writes into a ring, on a thread of its own."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from streamtag.ringbuffer import RingBuffer


@runtime_checkable
class Source(Protocol):
    """Something that can be listened to.

    Attributes
    ----------
    ring : RingBuffer
        What it writes into; known before `start`. A source that begins again after a gap makes another, perhaps of
        another rate, the `successor` of the one before, puts it in its place, and writes no more into the old one.
    """

    ring: RingBuffer

    @property
    def name(self) -> str:
        """Its human-readable name."""
        ...

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
        """What is off about what was heard, if anything is; for example, a file that ends early."""
        ...

    def start(self) -> None:
        """Begin to write into the ring."""
        ...

    def stop(self) -> None:
        """Stop writing; the ring is not touched after this returns."""
        ...


def notes_of(source: Source) -> dict[str, str]:
    """What is off about what is heard now, by kind: a source's `notes`, where it tells them apart, or its `note`."""
    notes: dict[str, str] | None = getattr(source, "notes", None)
    if notes is not None:
        return notes
    return {"note": source.note} if source.note else {}


def title_of(source: Source) -> str | None:
    """What plays, where a source is told: the title that a radio station sends."""
    title: str | None = getattr(source, "title", None)
    return title
