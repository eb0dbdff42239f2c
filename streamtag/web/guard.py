"""Who may look: pages of strangers and names that lead here by a trick are turned away.

A page from anywhere may ask a browser to open a WebSocket to this machine, and a name that its owner lets point to this
machine (DNS rebinding) makes this server a part of that page. So both the Host that was asked for and the Origin of the
page that asks are looked at. Nobody is asked for a password: whoever is let into the network may look.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection

from streamtag.errors import OptionError

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]/@?#\\\s]+))(?::\d{1,5})?")
_ORIGIN = re.compile(r"null|file://|https?://[^/\s]+|[a-z][a-z0-9+.-]*://[^/\s]*")


def host_of(header: str) -> str | None:
    """The name or address in a Host header, in lower case; None if it is no such header."""
    match = _HOST.fullmatch(header.strip())
    return None if match is None else (match["six"] or match["name"]).lower().rstrip(".")


def own_names(bound: str) -> frozenset[str]:
    """The names by which this machine may be asked.

    Parameters
    ----------
    bound : str
        The address or name that the server listens on.

    Returns
    -------
    frozenset of str
        In lower case.
    """
    name = socket.gethostname().lower()
    return frozenset({"localhost", bound.lower(), name, f"{name}.local", name.partition(".")[0]})


def host_allowed(header: str | None, names: Collection[str]) -> bool:
    """Whether a Host header is one that no stranger can have chosen: an address, or one of this machine's names."""
    host = None if header is None else host_of(header)
    if host is None:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host in names
    return True


def origin_allowed(origin: str | None, host: str | None, allowed: Collection[str]) -> bool:
    """Whether a page may open the stream: our own, a program that is no page, or one that was allowed.

    Parameters
    ----------
    origin : str or None
        The Origin header. Browsers always send it.
    host : str or None
        The Host header.
    allowed : collection of str
        Origins that the user allows.

    Returns
    -------
    bool
        Whether it may.
    """
    return origin is None or origin in allowed or (host is not None and origin.lower() == f"http://{host.lower()}")


def parse_origin(text: str) -> str:
    """An origin to be allowed, as browsers send it.

    Raises
    ------
    OptionError
        What is no origin.
    """
    origin = text.strip().rstrip("/") if text.strip() != "file://" else text.strip()
    if not _ORIGIN.fullmatch(origin):
        raise OptionError(
            f"--web-allow {text!r}: expected where a page is from, for example https://hydra.ojack.xyz or "
            "http://localhost:8000; null for pages that are files"
        )
    return origin
