"""What both sides of discovery need: whether it is installed, and by which address others reach this machine."""

from __future__ import annotations

import importlib.util
import ipaddress
import socket

from streamtag.errors import MissingExtraError

OSC = "_osc._udp.local."
OSCQUERY = "_oscjson._tcp.local."
MULTICAST_DNS = ("224.0.0.251", 5353)


def is_installed() -> bool:
    """Whether the extra `discover` is there."""
    return importlib.util.find_spec("zeroconf") is not None


def require(what: str) -> None:
    """Refuse what needs the extra, where it is not there.

    Raises
    ------
    MissingExtraError
        It says how to get it.
    """
    if not is_installed():
        raise MissingExtraError(what, "discover")


def address_for_others(host: str) -> str | None:
    """The one IPv4 address under which other machines reach what listens on `host`.

    Of several networks that by which multicast goes out is taken: announced on all, a service is taken for as many
    (vrchat_osc issue 14).

    Parameters
    ----------
    host : str
        What is listened on: an address or name of this machine, or 0.0.0.0.

    Returns
    -------
    str or None
        None if there is none: only this machine is listened to, there is no network, or only IPv6.
    """
    try:
        found = socket.gethostbyname(host) if host not in ("", "0.0.0.0", "::") else _towards_multicast()
        address = ipaddress.IPv4Address(found)
    except (OSError, ValueError):  # no such name, no network; IPv6
        return None
    return None if address.is_loopback or address.is_unspecified else str(address)


def _towards_multicast() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(MULTICAST_DNS)  # sends nothing: only the route is looked up
        return str(probe.getsockname()[0])
