"""What a caller or a control port asks of a session: values, carried out by the engine thread between two turns."""

from __future__ import annotations

from dataclasses import dataclass


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

    score: float


Command = Pause | Resume | Reset | SetHop | SetTop | SetThreshold
