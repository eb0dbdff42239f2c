"""Where messages of rules go: one way for each host, port and broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from streamtag.bridges.broker import Broker, BrokerAddress, Login
from streamtag.bridges.midi import MidiPort
from streamtag.errors import OptionError
from streamtag.osc.destination import Destination
from streamtag.osc.sink import message as osc_message
from streamtag.osc.where import parse_destination
from streamtag.rules.messages import Form, Message, MidiForm, MidiMessage, MqttMessage, OscForm, OscMessage


class Way(Protocol):
    """Takes messages to one receiver. None of its calls waits for anyone; what is wrong is counted and told."""

    @property
    def drops(self) -> int:
        """Messages that were lost."""
        ...

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        ...

    @property
    def arrivals(self) -> int:
        """How often somebody may have begun to listen."""
        ...

    def open(self) -> None:
        """Get ready."""
        ...

    def tend(self) -> None:
        """Look after itself; called once a second."""
        ...

    def send(self, message: Message) -> None:
        """Send a message."""
        ...

    def close(self) -> None:
        """Release resources."""
        ...


class OscWay:
    """OSC over UDP to one host and port: each message in a datagram of its own, since not all receivers read bundles.

    Parameters
    ----------
    host : str
        HOST:PORT.
    """

    def __init__(self, host: str) -> None:
        self._destination = Destination(*parse_destination(host))

    @property
    def drops(self) -> int:
        """Datagrams that were refused or could not be sent."""
        return self._destination.drops

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        return self._destination.trouble

    @property
    def arrivals(self) -> int:
        """How often somebody may have begun to listen."""
        return self._destination.arrivals

    def open(self) -> None:
        """Look up the name, for a second at the most; after that in the background."""
        self._destination.open()

    def tend(self) -> None:
        """Nothing to do: the destination looks after itself when it is sent to."""

    def send(self, message: Message) -> None:
        """Send a message."""
        assert isinstance(message, OscMessage)
        if self._destination.ready():
            self._destination.send(osc_message(message.address, *message.arguments).dgram)

    def close(self) -> None:
        """Release the socket."""
        self._destination.close()


class MidiWay(MidiPort):
    """MIDI to one port."""

    def send(self, message: Message) -> None:
        """Send a message."""
        assert isinstance(message, MidiMessage)
        self.give(message.data)


class MqttWay(Broker):
    """MQTT to one broker, on a connection of its own."""

    def send(self, message: Message) -> None:
        """Send a message."""
        assert isinstance(message, MqttMessage)
        self.publish(message.topic, message.payload, retain=message.retain, qos=message.qos)


def key_of(message: Message | Form) -> str:
    """What the way of a message is called."""
    match message:
        case OscMessage(host=host) | OscForm(host=host):
            return f"osc {host}"
        case MidiMessage(port=port) | MidiForm(port=port):
            return f"midi {port}"
        case _:
            return "mqtt"


@dataclass(frozen=True, slots=True)
class MqttAccess:
    """How to reach the broker that rules publish to."""

    address: BrokerAddress
    login: Login | None = None


def way_of(form: Form, mqtt: MqttAccess | None) -> Way:
    """A way for a message of this form, and for all others that go there.

    Parameters
    ----------
    form : Form
        The form.
    mqtt : MqttAccess or None
        The broker, if there is one.

    Returns
    -------
    Way
        The way, yet to be opened.

    Raises
    ------
    MissingExtraError
        It needs a library that is not installed.
    OptionError
        It needs a broker.
    """
    if isinstance(form, OscForm):
        return OscWay(form.host)
    if isinstance(form, MidiForm):
        return MidiWay(form.port)
    if mqtt is None:
        raise OptionError(f"the topic {form.topic}: to which broker? Give --mqtt HOST")
    return MqttWay(mqtt.address, mqtt.login)
