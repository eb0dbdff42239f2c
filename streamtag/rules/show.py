"""A show as values: rules, and what else its file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from streamtag._toml.document import Document
from streamtag.rules.messages import Form
from streamtag.rules.signals import Kind, kind_of
from streamtag.tagging.selection import TagSelection

RATE = 30.0
"""Messages a second of a rule, at the most: what a network, a DAW and an eye can follow."""
Type = Literal["float", "int", "bool", "text"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is heard, what counts as on, how it is mapped, and what is sent.

    Attributes
    ----------
    when : str
        The signal, see `streamtag.rules.signals`.
    above, below : float or None
        A threshold for numbers.
    equals : tuple of str
        The texts that count as on; none: a text is sent itself.
    hysteresis : float or None
        How far a number has to come back; None: as usual for the signal.
    debounce, hold : float
        See `streamtag.rules.steady.Steady`, in seconds.
    smooth : float
        Time constant of the number in seconds; 0 for none.
    source : tuple of (float, float) or None
        What is mapped; None: the signal's usual range.
    target : tuple of (float, float) or None
        What it is mapped to; None: 0..1, and for MIDI controllers 0..127.
    curve : float
        Exponent in between: 1 is linear.
    type : {'float', 'int', 'bool', 'text'} or None
        What the value is sent as; None: float, and int of a switch that is not mapped.
    rate : float
        Messages a second, at the most.
    changes_only : bool
        Whether a message that is as the last is left out.
    send, send_off : tuple of Form
        What is sent; what is sent at switching off only.
    input : str
        Of which of several inputs; empty: of each.
    line : int
        Where it stands in the file; of no account in comparing.
    """

    when: str
    send: tuple[Form, ...]
    send_off: tuple[Form, ...] = ()
    above: float | None = None
    below: float | None = None
    equals: tuple[str, ...] = ()
    hysteresis: float | None = None
    debounce: float = 0.0
    hold: float = 0.0
    smooth: float = 0.0
    source: tuple[float, float] | None = None
    target: tuple[float, float] | None = None
    curve: float = 1.0
    type: Type | None = None
    rate: float = RATE
    changes_only: bool = True
    input: str = ""
    line: int = field(default=0, compare=False)

    @property
    def switches(self) -> bool:
        """Whether it is on or off; else it follows a number or a text."""
        limited = self.above is not None or self.below is not None or bool(self.equals)
        return limited or kind_of(self.when) is Kind.SWITCH


@dataclass(frozen=True, slots=True)
class Show:
    """A show file as it was read.

    Attributes
    ----------
    rules : tuple of Rule
        In their order.
    live : mapping of {str: object}
        Options of `streamtag live`, yet to be checked.
    tags : TagSelection or None
        Which tags there are, and what they are called.
    document : Document or None
        The file.
    """

    rules: tuple[Rule, ...]
    live: Mapping[str, Any] = field(default_factory=dict)
    tags: TagSelection | None = None
    document: Document | None = field(default=None, compare=False)
