"""OSCQuery: what OSC addresses there are, what they mean, and what they are now, for programs that ask.

Vidvox's proposal (https://github.com/Vidvox/OSCQueryProposal) as its clients read it: the tree by HTTP, attribute by
attribute where it is wanted; values by WebSocket, as OSC messages, for each address that was asked for with LISTEN.
"""

from __future__ import annotations

import http
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from streamtag._slugs import INPUT_NAME
from streamtag.osc.addresses import ROOT
from streamtag.osc.nodes import READ, Arguments, Heard, Node, packet

RATE = 20.0
"""Times a second that addresses are looked at, for each who listens."""
DIGITS = 3
"""Numbers that are the same to so many are not sent again."""
TRUE = ("ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT", "LISTEN", "IGNORE")
# OSC_STREAMING would make libossia wait for UDP; without it, it listens by LISTEN
FALSE = ("OSC_STREAMING", "PATH_CHANGED", "PATH_ADDED", "PATH_REMOVED", "PATH_RENAMED", "TAGS", "CLIPMODE")
ATTRIBUTES = ("FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT")
IN_NAME = f"^{ROOT}/in/{INPUT_NAME}(?=/|$)"
CONTAINERS = {
    "/": "what streamtag hears",
    "/streamtag/in": "all inputs, by their names",
    "/streamtag/tag": "scores of the model's tags",
    "/streamtag/cal": "the same, each on its tag's own scale",
    "/streamtag/on": "which tags are on",
    "/streamtag/head": "your own tags",
}


def host_info(port: int, control: tuple[str, int] | None) -> dict[str, Any]:
    """What the server can do, and where it is.

    Parameters
    ----------
    port : int
        Where this server listens.
    control : tuple of (str, int) or None
        Where commands are heard by UDP, if they are.

    Returns
    -------
    dict
        The answer to ``?HOST_INFO``.
    """
    about: dict[str, Any] = {"NAME": "streamtag", "OSC_TRANSPORT": "UDP", "WS_PORT": port}
    if control is not None:
        host, about["OSC_PORT"] = control
        if host not in ("0.0.0.0", "::"):  # else it is the address by which this server was asked
            about["OSC_IP"] = host
    return about | {"EXTENSIONS": {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}}


def answer(target: str, messages: Messages, about: Mapping[str, Any]) -> tuple[int, Any]:
    """What a request gets.

    Parameters
    ----------
    target : str
        Path and query, as requested.
    messages : Messages
        All addresses, and what is heard there.
    about : mapping
        The answer to ``?HOST_INFO``.

    Returns
    -------
    status : int
        200; 204: that attribute is not there; 400: no such attribute; 404: no such address.
    found : object
        To be sent as JSON; None with a status other than 200.
    """
    parts = urlsplit(target)
    path = unquote(parts.path).rstrip("/") or "/"
    # /?HOST_INFO is the proposal's; libossia also asks for /?HOST_INFO=1
    asked = parts.query.partition("&")[0].partition("=")[0]
    if asked == "HOST_INFO":
        return http.HTTPStatus.OK, dict(about)
    if asked and asked not in ATTRIBUTES:
        return http.HTTPStatus.BAD_REQUEST, None
    within = path if path == "/" else f"{path}/"
    nodes = messages.nodes
    if path not in nodes and not any(address.startswith(within) for address in nodes):
        return http.HTTPStatus.NOT_FOUND, None
    found = _described(path, messages)
    if not asked:
        return http.HTTPStatus.OK, found
    if asked not in found:
        return http.HTTPStatus.NO_CONTENT, None
    return http.HTTPStatus.OK, {asked: found[asked]}


def _described(path: str, messages: Messages) -> dict[str, Any]:
    """A node and all below it."""
    nodes = messages.nodes
    found: dict[str, Any] = {"FULL_PATH": path}
    if about := CONTAINERS.get(re.sub(IN_NAME, ROOT, path)):
        found["DESCRIPTION"] = about
    found |= _own(nodes[path], messages.value(path)) if path in nodes else {"ACCESS": 0}
    within = path if path == "/" else f"{path}/"
    names = {address[len(within) :].partition("/")[0] for address in nodes if address.startswith(within)}
    if names:
        found["CONTENTS"] = {name: _described(f"{within}{name}", messages) for name in sorted(names)}
    return found


def _own(node: Node, value: Arguments | None) -> dict[str, Any]:
    found: dict[str, Any] = {"DESCRIPTION": node.about, "ACCESS": node.access}
    types = node.types or _types(value)
    if types:
        found["TYPE"] = types
    if value is not None:
        found["VALUE"] = [round(part, 6) if isinstance(part, float) else part for part in value]
    if node.ranges:
        ends = ({"MIN": least, "MAX": greatest} for least, greatest in node.ranges)
        found["RANGE"] = [{name: end for name, end in pair.items() if end is not None} for pair in ends]
    if node.unit is not None:
        found["UNIT"] = [node.unit] * len(types)
    return found


def _types(arguments: Arguments | None) -> str:
    kinds = {str: "s", int: "i", float: "f"}
    return "".join(kinds[type(argument)] for argument in arguments or ())


class Messages:
    """OSC messages of what was last heard, each made once for all who listen to it.

    Attributes
    ----------
    nodes : dict of {str: Node}
        All addresses.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._heard: dict[str, Callable[[], Heard]] = {}
        self._made: dict[str, tuple[Heard, tuple[Arguments, bytes] | None]] = {}

    def add(self, nodes: Mapping[str, Node], heard: Callable[[], Heard]) -> None:
        """Add addresses, and what asks for what was last heard of them; those that are known stay as they are."""
        for address, node in nodes.items():
            if address not in self.nodes:
                self.nodes[address], self._heard[address] = node, heard

    def value(self, address: str) -> Arguments | None:
        """The arguments at an address; None where there are none."""
        node = self.nodes[address]
        return node.value(self._heard[address]()) if node.access & READ else None

    def of(self, address: str) -> tuple[Arguments, bytes] | None:
        """The arguments at an address, rounded, and the message; None where there are none."""
        heard = self._heard[address]()
        known = self._made.get(address)
        if known is None or known[0].frame is not heard.frame or known[0].stats is not heard.stats:
            node = self.nodes[address]
            value = node.value(heard)
            made = None
            if value is not None:
                rounded = tuple(round(part, DIGITS) if isinstance(part, float) else part for part in value)
                made = rounded, packet(node, value)
            self._made[address] = known = heard, made
        return known[1]


class Subscriptions:
    """What one client listens to, and what it was last told.

    Parameters
    ----------
    messages : Messages
        Of all addresses.
    """

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._told: dict[str, Arguments | None] = {}

    def __len__(self) -> int:
        """How many addresses are listened to."""
        return len(self._told)

    def command(self, text: str) -> bool:
        """Do what a message says: LISTEN, IGNORE. Returns whether it was one of these; others have no effect."""
        try:
            said = json.loads(text)
            command, address = said["COMMAND"], said["DATA"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        if command not in ("LISTEN", "IGNORE") or not isinstance(address, str):
            return False
        self._told.pop(address, None)
        node = self._messages.nodes.get(address)
        if command == "LISTEN" and node is not None and node.access & READ:
            self._told[address] = None
        return True

    def due(self) -> list[bytes]:
        """OSC messages of all that has changed."""
        packets = []
        for address, before in self._told.items():
            made = self._messages.of(address)
            if made is not None and made[0] != before:
                self._told[address] = made[0]
                packets.append(made[1])
        return packets
