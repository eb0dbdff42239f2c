"""What is heard, as MQTT topics for a house, a hall, a museum: a state that the broker keeps, and switches.

A broker is no place for sixty results a second: the state is said once a second, and at once when something is switched
or another tag comes to the top. All is retained, so that whoever subscribes knows how it stands. docs/mqtt.md has the
table of topics.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from streamtag._slugs import slugs
from streamtag.bridges.broker import Broker, BrokerAddress, Login, parse_broker
from streamtag.bridges.home_assistant import DISCOVERY_PREFIX, discovery
from streamtag.results import State, Stats, TagFrame
from streamtag.sinks.base import BaseSink, SessionInfo, troubles

ONLINE, OFFLINE = "online", "offline"
ON, OFF = "ON", "OFF"
STATE_SECONDS = 1.0
SOONEST_SECONDS = 0.1
"""After a state that was said because of a change, the next such is not said before."""


class MqttSink(BaseSink):
    """Publishes the state of a session. Wrap it in `Background`, as all that has to do with libraries of others.

    Parameters
    ----------
    address : str or BrokerAddress
        Where the broker is, and what topics begin with: ``HOST[:PORT][/PREFIX]``.
    login : Login or None
        Who logs in; None: nobody (`find_login` of `streamtag.bridges.broker` looks in the environment).
    discovery : bool
        Whether Home Assistant is told which entities there are.

    Raises
    ------
    MissingExtraError
        paho-mqtt is not installed.
    OptionError
        What is no such address.
    """

    def __init__(self, address: str | BrokerAddress, login: Login | None = None, *, discovery: bool = False) -> None:
        address = parse_broker(address) if isinstance(address, str) else address
        self.name = f"mqtt {address}"
        self._prefix = address.prefix
        self._discovery = discovery
        self._broker = Broker(address, login, will=(f"{self._prefix}/status", OFFLINE))
        self._info: SessionInfo | None = None

    @property
    def drops(self) -> int:
        """Messages that found no connection."""
        return self._broker.drops

    @property
    def trouble(self) -> str | None:
        """What is wrong with the connection at present, in words; None if nothing is known to be."""
        return self._broker.trouble

    def open(self, info: SessionInfo) -> None:
        """Begin to connect, in the background."""
        self._info = info
        self._arrivals = 0
        self._frame: TagFrame | None = None
        self._stats: Stats | None = None
        self._title: str | None = None
        self._on: dict[str, bool] = {}  # by topic, of all that has ever switched
        self._slugs = {"": slugs(info.labels), **{head.name: slugs(head.labels) for head in info.heads}}
        self._heads = slugs([head.name for head in info.heads])
        self._said: tuple[object, ...] | None = None
        self._said_at = 0.0
        self._broker.open()

    def frame(self, frame: TagFrame) -> None:
        """Say what has switched, and the state if something in it is new, or a second has passed."""
        self._frame = frame
        for topic, on in self._switched(frame):
            self._on[topic] = on
            self._publish(topic, ON if on else OFF)
        self._say_state(frame.time)

    def status(self, stats: Stats) -> None:
        """Say the state, also where no frames come."""
        self._stats = stats
        if self._broker.arrivals != self._arrivals:
            self._arrivals = self._broker.arrivals
            self._arrive()
        titled, self._title = stats.title != self._title, stats.title
        if titled or self._frame is None or stats.state is not State.RUNNING:
            self._publish_state()

    def close(self) -> None:
        """Switch off what is on, say that it is offline, and say goodbye."""
        for topic in [topic for topic, on in self._on.items() if on]:
            self._publish(topic, OFF)
        if self._broker.connected:
            self._publish("status", OFFLINE)
        self._broker.close()

    # --- what is said ---------------------------------------------------------------------------------------------

    def _arrive(self) -> None:
        """A broker has come (back), perhaps another, or without a memory: say all of it."""
        assert self._info is not None
        if self._discovery:
            for topic, config in discovery(self._prefix, self._info).items():
                self._broker.publish(f"{DISCOVERY_PREFIX}/{topic}", json.dumps(config, ensure_ascii=False), retain=True)
        self._publish("status", ONLINE)
        for topic, on in self._on.items():
            self._publish(topic, ON if on else OFF)
        self._publish_state()

    def _say_state(self, time: float) -> None:
        frame = self._frame
        assert frame is not None
        first = frame.top[0][0] if frame.top else ""
        new = (first, frame.on, frame.gated, *(head.on for head in frame.heads))
        since = abs(time - self._said_at)
        if since >= STATE_SECONDS or (new != self._said and since >= SOONEST_SECONDS) or self._said is None:
            self._said, self._said_at = new, time
            self._publish_state()

    def _publish_state(self) -> None:
        assert self._info is not None
        self._publish("state", json.dumps(state(self._frame, self._stats, self._info.source), ensure_ascii=False))

    def _switched(self, frame: TagFrame) -> Iterable[tuple[str, bool]]:
        for label, on in frame.switched:
            yield f"on/{self._slugs[''][label]}", on
        for head in frame.heads:
            for label, on in head.switched:
                yield f"head/{self._heads[head.name]}/on/{self._slugs[head.name][label]}", on

    def _publish(self, topic: str, payload: str) -> None:
        self._broker.publish(f"{self._prefix}/{topic}", payload, retain=True)


def state(frame: TagFrame | None, stats: Stats | None, source: str) -> dict[str, Any]:
    """What a state says, with the names that JSON lines have.

    Parameters
    ----------
    frame : TagFrame or None
        The newest, if there was one.
    stats : Stats or None
        The newest counters.
    source : str
        What the input is called.

    Returns
    -------
    dict of {str: object}
        Values that JSON knows.
    """
    said: dict[str, Any] = {
        "state": State.STARTING.value if stats is None else stats.state.value,
        "trouble": [] if stats is None else troubles(stats, source),
    }
    if stats is not None and stats.title is not None:
        said["title"] = stats.title
    if frame is None:
        return said
    said |= {
        "t": round(frame.time, 3),
        "top": _rounded(frame.top),
        "on": sorted(frame.on),
        "level_dbfs": round(frame.level_dbfs, 1),
        "rested": frame.gated,
    }
    if frame.music is not None:
        said["music"] = round(frame.music, 3)
    if frame.heads:
        said["heads"] = {head.name: _rounded(head.top) for head in frame.heads}
        said["heads_on"] = {head.name: sorted(head.on) for head in frame.heads}
    return said


def _rounded(top: Sequence[tuple[str, float]]) -> list[list[str | float]]:
    return [[tag, round(score, 3)] for tag, score in top]
