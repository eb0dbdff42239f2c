"""The connection to an MQTT broker, and the only importer of paho-mqtt.

paho connects, and connects again, on a thread of its own. A message that finds no connection is lost and counted:
what matters is kept by the broker (retained), and said again once it is back.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamtag.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

PLAIN_PORT, TLS_PORT = 1883, 8883
PREFIX = "streamtag"
KEEPALIVE_SECONDS = 10
"""A broker takes the connection for lost after one and a half times that, and tells the last will."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1, 5
MOST_WAITING = 100
"""Messages that may wait for the broker to take them; more are lost, and counted."""
CLOSE_SECONDS = 1.0
USER, PASSWORD = "STREAMTAG_MQTT_USER", "STREAMTAG_MQTT_PASSWORD"
EXPECTED = "expected HOST, HOST:PORT or HOST:PORT/PREFIX, for example 192.168.1.5 or mqtts://home.example/stage"
_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?(?:\[(?P<six>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^\s:/@,\[\]]+))(?::(?P<port>[0-9]+))?(?:/(?P<prefix>.*))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is, and what topics begin with there.

    Attributes
    ----------
    host : str
        A name or an address.
    port : int
        Its port.
    prefix : str
        What streamtag's own topics begin with.
    tls : bool
        Whether the connection is encrypted, and the broker's certificate checked.
    """

    host: str
    port: int = PLAIN_PORT
    prefix: str = PREFIX
    tls: bool = False

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in at a broker. The password is never shown."""

    user: str
    password: str | None = field(default=None, repr=False)


def parse_broker(text: str) -> BrokerAddress:
    """``HOST[:PORT][/PREFIX]``, perhaps behind ``mqtt://`` or ``mqtts://``, as an address.

    Raises
    ------
    OptionError
        Anything else; what may be a password is not repeated.
    """
    text = text.strip()
    if "@" in text:
        raise OptionError(
            "the MQTT broker: a user and a password there would be seen by others (in lists of processes, and logs): "
            f"give them in {USER} and {PASSWORD}, or in a file with --mqtt-login"
        )
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise OptionError(f"the MQTT broker {text!r}: {EXPECTED}")
    scheme = (match["scheme"] or "mqtt").lower()
    if scheme not in ("mqtt", "mqtts"):
        raise OptionError(f"the MQTT broker {text!r}: {scheme}:// is no MQTT: {EXPECTED}")
    tls = scheme == "mqtts"
    port = int(match["port"]) if match["port"] else TLS_PORT if tls else PLAIN_PORT
    if not 1 <= port <= 65535:
        raise OptionError(f"the MQTT broker {text!r}: port {port} does not exist: expected one from 1 to 65535")
    prefix = (match["prefix"] or "").strip("/") or PREFIX
    if set(prefix) & set("#+\0") or prefix.startswith("$"):
        raise OptionError(
            f"the MQTT broker {text!r}: the prefix {prefix!r}: expected a topic without #, + and a $ first"
        )
    host = match["six"] or match["host"]
    try:
        host.encode("idna")  # as a look-up does, where it would end the thread
    except UnicodeError as error:
        raise OptionError(f"the MQTT broker {text!r}: {host!r} cannot be a name: {EXPECTED}") from error
    return BrokerAddress(host, port, prefix, tls)


def find_login(file: str | Path | None = None) -> Login | None:
    """Who logs in: by a file, of which the first line is the user and the second the password; else by the environment.

    Parameters
    ----------
    file : str, Path or None
        The file, if there is one.

    Returns
    -------
    Login or None
        The login; None for a broker that asks for none.

    Raises
    ------
    OptionError
        A file that cannot be read, or that has no user; a password without a user.
    """
    if file is None:
        user, password = os.environ.get(USER), os.environ.get(PASSWORD)
        if password and not user:
            raise OptionError(f"{PASSWORD} is set, and {USER} is not: MQTT has no password without a user")
        return Login(user, password) if user else None
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise OptionError(f"--mqtt-login {file}: cannot be read: {words}") from error
    user = lines[0].strip() if lines else ""
    if not user:
        raise OptionError(f"--mqtt-login {file}: expected the user on the first line, and the password on the second")
    return Login(user, lines[1] if len(lines) > 1 else None)


def check_extra(what: str) -> None:
    """Refuse MQTT where paho-mqtt is not installed.

    Parameters
    ----------
    what : str
        What was asked for.

    Raises
    ------
    MissingExtraError
        It is not.
    """
    try:
        found = importlib.util.find_spec("paho.mqtt")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise MissingExtraError(what, "mqtt")


class Broker:
    """A connection that comes back by itself. No call waits for the network, but `close` for a second at the most.

    Parameters
    ----------
    address : BrokerAddress
        Where the broker is.
    login : Login or None
        Who logs in.
    will : tuple of (str, str) or None
        A topic and what the broker is to say there, and keep, once this connection is lost.

    Attributes
    ----------
    address : BrokerAddress
        Where the broker is.
    arrivals : int
        How often a connection was made.

    Raises
    ------
    MissingExtraError
        paho-mqtt is not installed.
    """

    def __init__(self, address: BrokerAddress, login: Login | None = None, will: tuple[str, str] | None = None) -> None:
        check_extra(f"the MQTT broker {address}")
        self.address = address
        self.arrivals = 0
        self._login, self._will = login, will
        self._lock = threading.Lock()
        self._dropped = 0
        self._connected = False
        self._trouble: str | None = None
        self._client: Client | None = None

    @property
    def drops(self) -> int:
        """Messages that found no connection, or no room."""
        return self._dropped

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        return self._trouble

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._connected

    def open(self) -> None:
        """Begin to connect."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=True)
        if self._login is not None:
            client.username_pw_set(self._login.user, self._login.password)
        if self.address.tls:
            client.tls_set()  # the system's certificates
        if self._will is not None:
            client.will_set(*self._will, qos=1, retain=True)
        client.reconnect_delay_set(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        client.max_queued_messages_set(MOST_WAITING)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        # what a callback of ours raised would else end paho's thread; and what it logs goes nowhere, since it may name
        # who logs in
        client.suppress_exceptions = True
        self._trouble = "is not connected yet"
        self._client = client
        client.connect_async(self.address.host, self.address.port, KEEPALIVE_SECONDS)
        client.loop_start()

    def tend(self) -> None:
        """Nothing to do: paho connects again by itself."""

    def publish(self, topic: str, payload: str, *, retain: bool = False, qos: int = 0) -> None:
        """Send a message, or count it as lost."""
        if self._client is None or not self._connected or self._client.publish(topic, payload, qos, retain).rc:
            with self._lock:
                self._dropped += 1

    def close(self) -> None:
        """Send what is on its way, and say goodbye: the last will is then not told."""
        client, self._client = self._client, None
        if client is None:
            return
        client.disconnect()
        # paho joins its thread without a limit, which a name that is being looked up would make long
        waiter = threading.Thread(target=client.loop_stop, name="streamtag-mqtt-close", daemon=True)
        waiter.start()
        waiter.join(CLOSE_SECONDS)
        self._connected, self._trouble = False, None

    # --- called by paho -------------------------------------------------------------------------------------------

    def _on_connect(
        self, client: Client, data: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            hint = f" (see {USER} and {PASSWORD}, or --mqtt-login)" if reason.value in (134, 135) else ""
            self._trouble = f"refuses the connection: {reason}{hint}"
            return
        self._trouble, self._connected = None, True
        self.arrivals += 1

    def _on_connect_fail(self, client: Client, data: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this where it has caught what it does not tell
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error or "no reason is known")
        self._trouble = f"cannot be reached ({reason}): it is tried again"

    def _on_disconnect(
        self, client: Client, data: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self._connected:
            self._trouble = f"the connection is lost ({reason}): it is tried again"
        self._connected = False
