"""Several files of sound, one behind the other in one file, heard as one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from streamtag.decoding.part import Part
from streamtag.decoding.reader import Array, AudioReader, RefusedError
from streamtag.decoding.uniform import Uniform
from streamtag.errors import AudioFileError

NOTES = 3
"""Links of which something is told; of more there is only their number."""


class ChainReader(AudioReader):
    """Reads each link as if it were alone.

    Parameters
    ----------
    part : Part
        All of them.
    links : sequence of Part
        Each of them.
    open_link : callable
        Opens one (errors: AudioFileError).
    """

    def __init__(self, part: Part, links: Sequence[Part], open_link: Callable[[Part], AudioReader]) -> None:
        self._links = links
        self._open_link = open_link
        self._said: list[str] = []
        self._current: AudioReader | None = None
        self._next = 0
        super().__init__(part)

    def _open(self) -> None:
        first = self._advance()
        if first is None:
            raise RefusedError("; ".join(self._said[:NOTES]), plain=True)
        self.samplerate, self.channels = first.samplerate, first.channels
        self.decoder = f"{first.decoder}, chain of {len(self._links)}"

    def _decode(self) -> Generator[Array]:
        uniform = Uniform(self.samplerate, self.channels)
        reader = self._current
        while reader is not None:
            number = self._next
            for block in reader.blocks():
                yield uniform.push(block, reader.samplerate)
            if reader.note:
                self._said.append(f"part {number}: {reader.note}")
            reader.close()
            reader = self._advance()
        yield uniform.flush()
        for text in (uniform.note, *self._said[:NOTES]):
            if text:
                self._add_note(text)
        if len(self._said) > NOTES:
            self._add_note(
                f"something is the matter with {len(self._said) - NOTES} more of its {len(self._links)} parts"
            )

    def _advance(self) -> AudioReader | None:
        """Open the next link that can be read."""
        self._current = None
        while self._next < len(self._links) and self._current is None:
            link = self._links[self._next]
            self._next += 1
            try:
                self._current = self._open_link(link)
            except AudioFileError as error:
                self._said.append(f"part {self._next} of {len(self._links)} cannot be read: {error.reason}")
        return self._current

    def close(self) -> None:
        """Close the file."""
        super().close()
        if self._current is not None:
            self._current.close()
