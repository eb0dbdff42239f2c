"""HOST:PORT as people write it: it is understood, or what to write in its place is said."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from streamtag.errors import MissingExtraError, OptionError
from streamtag.osc.sink import OscSink
from streamtag.osc.where import parse_destination, parse_receiver


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9000", "127.0.0.1", 9000),
        (" show.local:1 ", "show.local", 1),
        ("show.local.:7000", "show.local.", 7000),
        ("LOCALHOST:7000", "LOCALHOST", 7000),
        ("[::1]:65535", "::1", 65535),
        ("[fe80::1%eth0]:7000", "fe80::1%eth0", 7000),
        ("255.255.255.255:9000", "255.255.255.255", 9000),
        ("239.1.2.3:09000", "239.1.2.3", 9000),
        ("bühne.local:9000", "bühne.local", 9000),
    ],
)
def test_destinations(text: str, host: str, port: int) -> None:
    assert parse_destination(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", "9000", "localhost", "localhost:", ":9000", "localhost:0", "localhost:65536", "localhost:99999999"),
        *("localhost:-1", "localhost:9k", "::1:9000", "[::1]", "[]:9000", "udp://localhost:9000", "*:9000"),
        *("localhost:٩٠٠٠", "user@show:9000", "a:b:c", "[::1]9000", "localhost:9000:9001", "localhost:9000/path"),
    ],
)
def test_no_destinations(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_destination(text)
    assert repr(text) in str(caught.value)
    assert "HOST:PORT" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("9000", "write 127.0.0.1:9000"),
        (":9000", "write 127.0.0.1:9000"),
        ("localhost", "for example localhost:9000: the port is missing"),
        ("localhost:", "for example localhost:9000"),
        ("[::1]", "for example [::1]:9000"),
        ("::1:9000", "into brackets: [::1:9000]:9000 or [::1]:9000"),
        ("1:2:3:4:5:6:7:8:9000", "write [1:2:3:4:5:6:7:8]:9000"),
        ("[fe80::1]:9000", "[fe80::1%eth0]:9000"),
        ("udp://localhost:9000", "write localhost:9000"),
        ("osc.udp://show.local:9000/", "write show.local:9000"),
        ("osc.tcp://show.local:9000/", "over UDP only"),
        ("localhost: 9000", "write localhost:9000"),
        ("localhost 9000", "write localhost:9000"),
        ("a:9000,b:9000", "give --osc several times"),
        ("a:9000 b:9000", "give --osc several times"),
        ("localhost:0", "a port from 1 to 65535"),
        ("localhost:65536", "a port from 1 to 65535"),
        ("300.1.1.1:9000", "more than 255"),
        ("192.168.001.020:9000", "write 192.168.1.20:9000"),
    ],
)
def test_what_to_write_in_its_place_is_said(text: str, remedy: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_destination(text)
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("", 9000, "the host ''"),
        (None, 9000, "the host None"),
        ("127.0.0.1", "9000", "the port '9000'"),
        ("127.0.0.1", 9000.0, "the port 9000.0"),
        ("127.0.0.1", 0, "port 0 does not exist"),
        ("127.0.0.1", 70_000, "port 70000 does not exist"),
        ("127.0.0.010", 9000, "write 127.0.0.10:9000"),
    ],
)
def test_a_sink_refuses_what_can_be_no_destination(host: Any, port: Any, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        OscSink(host, port)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "name", ["TouchOSC", "TouchOSC on Ann's iPad", " [TouchOSC] iPad ", "Lights 2", "v1.3 (desk)", "Bühne"]
)
def test_what_can_only_be_a_name_is_a_receiver_that_announces_itself(name: str) -> None:
    pytest.importorskip("zeroconf")
    assert parse_receiver(name) == (name.strip(), None)


@pytest.mark.parametrize(
    "text",
    ["", "9000", "localhost", "desk.local", "192.168.1", "localhost:", "a:9000,b:9000", "[::1]", "udp://show", "a/b"],
)
def test_what_may_be_meant_as_an_address_is_none(text: str) -> None:
    with pytest.raises(OptionError, match="HOST:PORT"):
        parse_receiver(text)
    assert parse_receiver("desk.local:9000") == ("desk.local", 9000)


def test_a_name_without_the_extra_says_how_to_get_it_and_what_an_address_looks_like(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(MissingExtraError, match=r"for example TouchOSC:9000.*pip install 'streamtag\[discover\]'"):
        parse_receiver("TouchOSC")
    with pytest.raises(MissingExtraError, match="a receiver by its name"):
        OscSink("TouchOSC", None)
