"""Finding: receivers of OSC that others announce (TouchOSC and many more do), by their names."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamtag._system.threads import start_whole
from streamtag.discovery.network import OSC

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf

LOOK_SECONDS = 5.0
"""How often the networks of this machine are looked at anew: one may have come."""
ANSWER_SECONDS = 3.0
"""How long a service that was named is asked for its address."""
MOST_RECEIVERS = 256
"""Whoever is in the network can announce names: no more than these are kept."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver of OSC that is announced.

    Attributes
    ----------
    name : str
        Under which it is announced.
    host : str
        Its address.
    port : int
        Where it listens.
    machine : str
        The name of its machine.
    """

    name: str
    host: str
    port: int
    machine: str


class Browser:
    """Keeps a list of the receivers that are announced, from `open` to `close`, on threads of its own.

    Attributes
    ----------
    trouble : str or None
        Why nothing can be found, in words.
    changed : threading.Event
        Set when the list has changed.
    """

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.changed = threading.Event()
        self._found: dict[str, Receiver] = {}
        self._lock = threading.Lock()  # over `_found`
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamtag-browse", daemon=True)

    def open(self) -> None:
        """Begin to look."""
        start_whole(self._thread)

    def close(self) -> None:
        """Look no more. What is still on its way is left to its thread."""
        self._closing.set()

    @property
    def receivers(self) -> list[Receiver]:
        """All that are announced now, by name."""
        with self._lock:
            return sorted(self._found.values(), key=lambda receiver: receiver.name.casefold())

    def find(self, name: str) -> Receiver | None:
        """The receiver of this name, whatever its case; or the only one that has it in its name."""
        wanted = name.casefold()
        with self._lock:
            exact = [found for key, found in self._found.items() if key.casefold() == wanted]
            close = exact or [found for key, found in self._found.items() if wanted in key.casefold()]
        return close[0] if len(close) == 1 else None

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._browse()
            except Exception as error:  # no network, at present
                self.trouble = f"cannot look for receivers: {str(error) or type(error).__name__}"
                self._closing.wait(LOOK_SECONDS)

    def _browse(self) -> None:
        from zeroconf import IPVersion, ServiceBrowser, Zeroconf

        with Zeroconf(ip_version=IPVersion.V4Only) as network:
            self.trouble = None
            ServiceBrowser(network, OSC, handlers=[self._heard])
            while not self._closing.wait(LOOK_SECONDS):
                if hasattr(network, "update_interfaces"):
                    network.update_interfaces()

    def _heard(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """A service has come, changed, or gone; on a thread of the browser's, which may wait."""
        from zeroconf import ServiceStateChange

        short = name.removesuffix(f".{service_type}")
        if state_change is ServiceStateChange.Removed:
            with self._lock:
                self._found.pop(short, None)
        else:
            info = None
            with suppress(Exception):  # of names that are none, and of a network that is closed meanwhile
                info = zeroconf.get_service_info(service_type, name, timeout=round(1e3 * ANSWER_SECONDS))
            addresses = info.parsed_addresses() if info is not None else []
            if info is None or not addresses or not info.port:
                return
            receiver = Receiver(short, addresses[0], info.port, (info.server or "").removesuffix(".local."))
            with self._lock:
                if short in self._found or len(self._found) < MOST_RECEIVERS:
                    self._found[short] = receiver
        self.changed.set()
