"""Being found: services of this session are announced while it lives, in the background."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamtag._system.threads import start_whole
from streamtag.discovery.network import address_for_others

if TYPE_CHECKING:
    from zeroconf import ServiceInfo

LOOK_SECONDS = 5.0
"""How often the networks of this machine are looked at anew: one may have come, or changed its address."""
CLOSE_SECONDS = 2.0
LONGEST_NAME = 63
"""Bytes of a part of a name in DNS."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is announced.

    Attributes
    ----------
    kind : str
        Its type, for example ``_oscjson._tcp.local.``.
    host : str
        What it listens on.
    port : int
        Where.
    """

    kind: str
    host: str
    port: int


class Announcement:
    """Announces services from `open` to `close`; what only this machine reaches is not announced.

    On one interface with one address: 127.0.0.1 on a network leads others to themselves, and a service with several
    addresses is taken for several. Probing whether the name is free takes a second and a half, so all of this is on a
    thread of its own. What goes wrong is told in `trouble`, and ends nothing.

    Parameters
    ----------
    services : sequence of Service
        All under the name ``streamtag on MACHINE (PORT)``, with the port of the first. So two sessions on one machine
        never want the same name: by their probes they may not learn of each other, since what is answered to port 5353
        goes to either (SO_REUSEPORT).

    Attributes
    ----------
    trouble : str or None
        Why they are not announced, in words.
    names : tuple of str
        Under which they are announced by now.
    """

    def __init__(self, services: Sequence[Service]) -> None:
        self.trouble: str | None = None
        self.names: tuple[str, ...] = ()
        self._services = services
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamtag-announce", daemon=True)

    def open(self) -> None:
        """Begin, in the background."""
        start_whole(self._thread)

    def close(self) -> None:
        """Say that the services are gone; that takes a third of a second, and is waited for up to two."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._announce(self._by_address())
                self.trouble = None
            except Exception as error:  # of sockets, of names, of the library
                self.trouble = f"is not announced: {str(error) or type(error).__name__}"
            self._closing.wait(LOOK_SECONDS)

    def _by_address(self) -> dict[str, list[Service]]:
        """The services that others reach now, by the address at which they do."""
        found: dict[str, list[Service]] = {}
        for service in self._services:
            if (address := address_for_others(service.host)) is not None:
                found.setdefault(address, []).append(service)
        return found

    def _announce(self, by_address: dict[str, list[Service]]) -> None:
        """Announce them, as long as these are the addresses."""
        from zeroconf import IPVersion, Zeroconf

        self.names = ()
        if not by_address:
            return
        with ExitStack() as opened:
            for address, services in by_address.items():
                network = opened.enter_context(Zeroconf(interfaces=[address], ip_version=IPVersion.V4Only))
                for service in services:
                    if self._closing.is_set():
                        return
                    info = _info(service, address, self._services[0].port)
                    network.register_service(info, allow_name_change=True)
                    self.names += (info.name.removesuffix(f".{service.kind}"),)
            self.trouble = None
            while not self._closing.wait(LOOK_SECONDS):
                if self._by_address() != by_address:  # another network, or none
                    return


def _info(service: Service, address: str, port: int) -> ServiceInfo:
    from zeroconf import ServiceInfo

    machine = socket.gethostname().partition(".")[0] or "this machine"
    ending = f" ({port})"
    name = f"streamtag on {machine}".encode()[: LONGEST_NAME - len(ending)].decode("utf-8", "ignore") + ending
    # a host name of its own: that of the machine is the system's to announce (Avahi, Bonjour)
    server = f"streamtag-{machine}".encode("ascii", "ignore")[:LONGEST_NAME].decode() + ".local."
    return ServiceInfo(
        service.kind,
        f"{name}.{service.kind}",
        port=service.port,
        addresses=[socket.inet_aton(address)],
        properties={"txtvers": "1"},
        server=server,
    )
