"""Who may look, and who is turned away."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamtag.errors import OptionError
from streamtag.web.guard import host_allowed, host_of, origin_allowed, own_names, parse_origin

NAMES = own_names("127.0.0.1")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765", "192.168.1.7:80", socket.gethostname(), "localhost."],
)
def test_addresses_and_the_names_of_this_machine_are_let_in(host: str) -> None:
    assert host_allowed(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8765",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "127.0.0.1:8765/evil",
        "[::1",
        "127.0.0.1, evil.example",
        "evil.example\\localhost",
    ],
)
def test_names_that_a_stranger_chose_are_not(host: str | None) -> None:
    assert not host_allowed(host, NAMES)


@given(st.text())
def test_any_text_is_a_host_or_none(text: str) -> None:
    host = host_of(text)
    assert host is None or not set(host) & set("/@?#\\")
    host_allowed(text, NAMES)


def test_pages_from_elsewhere_need_leave() -> None:
    host = "127.0.0.1:8765"
    assert origin_allowed(None, host, ())  # no page: a program
    assert origin_allowed("http://127.0.0.1:8765", host, ())
    for origin in (
        "https://127.0.0.1:8765",
        "http://127.0.0.1",
        "http://127.0.0.1:8766",
        "https://evil.example",
        "null",
    ):
        assert not origin_allowed(origin, host, ())
        assert origin_allowed(origin, host, (origin,))


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://hydra.ojack.xyz", "https://hydra.ojack.xyz"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("null", "null"),
        ("file://", "file://"),
    ],
)
def test_an_origin_as_browsers_send_it(text: str, origin: str) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize("text", ["", "hydra.ojack.xyz", "*", "https://", "https://a/b"])
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(OptionError, match="expected where a page is from"):
        parse_origin(text)
