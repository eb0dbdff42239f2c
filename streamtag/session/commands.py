"""What a caller or a control port asks of a session: values, left here, and carried out by the engine thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamtag.errors import OptionError
from streamtag.heads.head import PlainHead
from streamtag.session.corrections import CORRECTED_SECONDS, Corrections
from streamtag.tagging.smoothing import check_threshold, check_top
from streamtag.tagging.tagger import Tagger


@dataclass(frozen=True, slots=True)
class Pause:
    """Predict and send nothing until `Resume`."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Predict again, at once and exactly."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Go on as if silence had come before."""


@dataclass(frozen=True, slots=True)
class SetHop:
    """Change the seconds between two predictions."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SetTop:
    """Change how many tags each result names."""

    count: int


@dataclass(frozen=True, slots=True)
class SetThreshold:
    """Change the score at which a tag switches on."""

    threshold: float | str


@dataclass(frozen=True, slots=True)
class SetHeadThreshold:
    """Change the probability at which a class of a head switches on."""

    score: float


@dataclass(frozen=True, slots=True)
class SwapHead:
    """Go on with a head that has learned again."""

    head: PlainHead


Command = Pause | Resume | Reset | SetHop | SetTop | SetThreshold | SetHeadThreshold | SwapHead

PATIENCE = 4.0
"""After a command that took a time, this many times as long is left to what is heard before the next begins."""


class Requests:
    """What is asked for and not yet carried out: of each kind the newest. Asked from any thread, answered from one.

    A fader sends a hundred values a second, and a new hop may cost a good part of one: whoever carried each of them out
    in full would do nothing else. So a value replaces the one of its kind that still waits, one is carried out a turn,
    and the time that it took is followed by four times as long for what is heard.

    Parameters
    ----------
    tagger : Tagger
        Knows what can be asked for.
    save_heads : mapping of {str: path}
        Where each head goes when it was corrected, by name.

    Attributes
    ----------
    corrections : Corrections
        Heads that learn again.
    """

    def __init__(self, tagger: Tagger, save_heads: Mapping[str, str | Path] | None = None) -> None:
        self._tagger = tagger
        self.corrections = Corrections(tagger, lambda head: self.put(SwapHead(head)), save_heads or {})
        self._lock = threading.Lock()
        self._newest: dict[str, Command] = {}  # by kind, the one that has waited longest first
        self._working = False
        self._not_before = -math.inf

    @property
    def waiting(self) -> bool:
        """Whether anything is not carried out yet."""
        return self._working or bool(self._newest)

    def put(self, command: Command) -> None:
        """Leave a command."""
        kind = "pause" if isinstance(command, Pause | Resume) else type(command).__name__
        if isinstance(command, SwapHead):
            kind += command.head.name
        with self._lock:
            self._newest[kind] = command  # one that is there keeps its place: none is put off for ever

    def take(self, now: float) -> Command | None:
        """The next command, if it is time for one; `done` is to be called after it was carried out."""
        with self._lock:
            if not self._newest or now < self._not_before:
                return None
            self._working = True
            return self._newest.pop(next(iter(self._newest)))

    def done(self, began: float, now: float) -> None:
        """Be done with the command that was taken at `began`."""
        self._not_before = now + PATIENCE * (now - began)
        self._working = False

    def pause(self) -> None:
        """Predict and send nothing until `resume`; what is heard meanwhile counts for the windows after."""
        self.put(Pause())

    def resume(self) -> None:
        """Predict again, at once and exactly."""
        self.put(Resume())

    def reset(self) -> None:
        """Discard what was heard: scores go to 0, what is on is switched off, windows begin anew with silence."""
        self.put(Reset())

    def set_hop(self, seconds: float) -> None:
        """Change the seconds between two predictions.

        Raises
        ------
        OptionError
            Shorter than a frame (0.016 s), or longer than an hour; or the tagger was given its predictor.
        """
        self._tagger.check_hop(seconds)
        self.put(SetHop(seconds))

    def set_top(self, count: int) -> None:
        """Change how many tags each result names.

        Raises
        ------
        OptionError
            Less than 1, or more tags than there are.
        """
        check_top(count)
        if count > len(self._tagger.labels):
            raise OptionError(f"top {count}: {self._tagger.spec.name} has {len(self._tagger.labels)} tags")
        self.put(SetTop(count))

    def set_threshold(self, threshold: float | str) -> None:
        """Change the score, or the place on its own scale (``95%``), at which one of the model's tags switches on.

        Raises
        ------
        OptionError
            Out of range; a percentage where there is no calibration.
        """
        self._tagger.check_threshold(threshold)
        self.put(SetThreshold(threshold))

    def set_head_threshold(self, score: float) -> None:
        """Change the probability at which a class of a head switches on.

        Raises
        ------
        OptionError
            0 or less, or more than 1.
        """
        check_threshold(score)
        self.put(SetHeadThreshold(score))

    def correct(self, label: str, seconds: float = CORRECTED_SECONDS) -> None:
        """Say what was heard just now; the head learns again, and goes on with it (see `Corrections.correct`).

        Raises
        ------
        OptionError
            No such class; nothing was heard; a head that cannot be corrected.
        """
        self.corrections.correct(label, seconds)
