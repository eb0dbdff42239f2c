"""HOST:PORT as people write it, and what to write in place of what cannot be understood."""

from __future__ import annotations

import ipaddress
import re

from streamtag.discovery.network import is_installed
from streamtag.errors import MissingExtraError, OptionError

EXPECTED = "expected HOST:PORT, for example 127.0.0.1:9000"
LARGEST_PORT = 65535
QUAD = r"[0-9]+(\.[0-9]+){3}"


def parse_destination(text: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[IPV6]:PORT`` to host and port.

    Raises
    ------
    OptionError
        Anything else.
    """
    found = _split(text.strip())
    if found is None:
        raise OptionError(f"the OSC destination {text!r}: {_remedy(text.strip())}")
    host, port = found
    wrong = _wrong_with(host, port)
    if re.fullmatch(QUAD, host) and max(map(int, host.split("."))) > 255:
        wrong = f"{host} is no IPv4 address: none of its numbers may be more than 255"
    if wrong:
        raise OptionError(f"the OSC destination {text!r}: {wrong}")
    return host, port


def parse_receiver(text: str) -> tuple[str, int | None]:
    """``HOST:PORT`` to host and port; a name that cannot be meant as either to itself and None.

    Raises
    ------
    OptionError
        What looks like an address, and is none.
    MissingExtraError
        A name, without the extra `discover`.
    """
    name = text.strip()
    if not _may_be_name(name):
        return parse_destination(text)
    if not is_installed():
        what = f"the OSC destination {text!r}: {_remedy(name)}. To send to a receiver by its name"
        raise MissingExtraError(what, "discover")
    return name, None


def _may_be_name(text: str) -> bool:
    """Whether a text can only be the name of a receiver: nothing in it separates a host from a port."""
    looks_like_address = text.isdecimal() or re.search(r"[:/@*;,\\]", text) or re.fullmatch(r"[0-9.]*|\[.*\]", text)
    return not looks_like_address and text.lower() != "localhost" and not text.lower().endswith(".local")


def check_destination(host: str, port: int) -> None:
    """Refuse what cannot be a host or a port.

    Raises
    ------
    OptionError
        It says which.
    """
    if not isinstance(host, str) or not host.strip():
        raise OptionError(f"the host {host!r}: expected a name or an address, for example '127.0.0.1'")
    if isinstance(port, bool) or not isinstance(port, int):
        raise OptionError(f"the port {port!r}: expected a number, for example 9000")
    wrong = _wrong_with(host, port)
    if wrong:
        raise OptionError(f"the OSC destination {host!r}, {port}: {wrong}")


def _split(text: str) -> tuple[str, int] | None:
    match = re.fullmatch(r"(?:\[([^\[\]\s]+)\]|([^\s:/@,;*\[\]]+)):([0-9]+)", text)
    return (match[1] or match[2], int(match[3])) if match else None


def _wrong_with(host: str, port: int) -> str | None:
    if not 1 <= port <= LARGEST_PORT:
        return f"port {port} does not exist: {EXPECTED}, with a port from 1 to {LARGEST_PORT}"
    if re.fullmatch(QUAD, host):
        plain = ".".join(str(int(part)) for part in host.split("."))
        if plain != host:  # the system takes 010 for 8
            return f"a number that begins with 0 would be read as octal: write {plain}:{port}"
    if host.lower().startswith("fe80:") and "%" not in host:
        return f"{host} is there on every network of this machine: say on which, for example [{host}%eth0]:{port}"
    return None


def _remedy(text: str) -> str:
    """What to write in place of a text that is not HOST:PORT."""
    if not text:
        return EXPECTED
    if re.search(r"[,;]|\S\s+\S+:[0-9]", text):
        return f"{EXPECTED}; for several receivers give --osc several times"
    if match := re.match(r"([a-z0-9+.]*)://(.*)", text, re.IGNORECASE):
        if "tcp" in match[1].lower():
            return f"OSC is sent over UDP only: {EXPECTED}"
        return _instead(match[2].rstrip("/"))
    if text.isdecimal() and text.isascii():
        return _instead(f"127.0.0.1:{text}", "for a receiver on this machine write")
    if re.fullmatch(r":[0-9]+", text):
        return _instead(f"127.0.0.1{text}", "for a receiver on this machine write")
    bare, _, port = text.rpartition(":")
    if _is_ipv6(text):  # ::1:9000 is one, too
        return f"{EXPECTED}; an IPv6 address goes into brackets: [{text}]:9000" + (
            f" or [{bare}]:{port}" if _is_ipv6(bare) and port.isdecimal() else ""
        )
    if _is_ipv6(bare) and port.isdecimal():
        return _instead(f"[{bare}]:{port}", "an IPv6 address goes into brackets: write")
    if match := re.fullmatch(r"([^\s:/@]+|\[[^\[\]]+\]):?", text):
        return f"expected HOST:PORT, for example {match[1]}:9000: the port is missing"
    closer = re.sub(r"\s*:\s*|\s+", ":", text, count=1).rstrip("/")
    return _instead(closer)


def _instead(text: str, words: str = "write") -> str:
    """The advice to write a text, if it can be understood."""
    return f"expected HOST:PORT: {words} {text}" if _split(text) else EXPECTED


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
