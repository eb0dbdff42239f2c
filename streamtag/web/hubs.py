"""All sessions that one port shows: one, or several inputs by their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streamtag.errors import OptionError
from streamtag.osc.nodes import Heard, commands_for_all, nodes
from streamtag.results import State
from streamtag.sinks.base import troubles
from streamtag.sinks.lines import frame_fields
from streamtag.web.hub import Hub
from streamtag.web.oscquery import Messages, Subscriptions


class Hubs:
    """Hubs by their inputs' names. For the server's thread.

    Parameters
    ----------
    commands : bool
        Whether commands are heard.

    Attributes
    ----------
    messages : Messages
        What is heard as OSC, of all of them.
    listeners : set of Subscriptions
        Who listens to OSC addresses now.
    """

    def __init__(self, commands: bool) -> None:
        self.messages = Messages()
        self.listeners: set[Subscriptions] = set()
        self._commands = commands
        self._hubs: dict[str, Hub] = {}

    def __iter__(self) -> Iterator[Hub]:
        """All, in the order in which they came."""
        return iter(self._hubs.values())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._hubs)

    def add(self, hub: Hub) -> None:
        """Add one."""
        self._hubs[hub.info.input] = hub
        self.messages.add(nodes(hub.info, commands=self._commands), lambda: hub.heard)
        if hub.info.input and self._commands:
            self.messages.add(commands_for_all(), lambda: Heard(None, None))

    def of(self, name: str | None) -> Hub:
        """One by its name; the first for who names none.

        Raises
        ------
        OptionError
            There is none of this name.
        """
        for known, hub in self._hubs.items():
            if name is None or known.lower() == name.lower():
                return hub
        raise OptionError(f"input={name}: {', '.join(filter(None, self._hubs)) or 'the one there is has no name'}")

    @property
    def names(self) -> list[str]:
        """What the inputs are called; none where there is one without a name."""
        return [name for name in self._hubs if name]

    @property
    def looking(self) -> int:
        """How many look, in whatever way."""
        return len(self.listeners) + self.viewing

    @property
    def viewing(self) -> int:
        """How many look at streams."""
        return sum(len(hub.viewers) for hub in self)

    def summary(self) -> list[dict[str, Any]]:
        """Each input in a few words, for JSON."""
        return [_summary(hub) for hub in self]


def _summary(hub: Hub) -> dict[str, Any]:
    stats, frame = hub.stats, hub.frame
    found: dict[str, Any] = {
        "input": hub.info.input,
        "source": hub.info.source,
        "state": State.STARTING.value if stats is None else stats.state.value,
        "trouble": [] if stats is None else troubles(stats, hub.info.source),
    }
    if stats is not None and stats.title is not None:
        found["title"] = stats.title
    if frame is not None:
        fields = frame_fields(frame, hub.info.labels)
        found |= {name: fields[name] for name in ("t", "top", "on", "level_dbfs")}
    return found
