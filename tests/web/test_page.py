"""The page and the overlay in a real browser, on a real session."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.support.browser import Browser, Page, start_browser
from tests.support.ports import free_tcp_port
from tests.support.program import Running

pytestmark = [pytest.mark.slow]

Start = Callable[..., Running]

BARS = "document.querySelectorAll('#bars li').length >= 5"
BRIGHT = (
    "Math.max(...document.getElementById('taggram').getContext('2d').getImageData(719, 0, 1, 50)"
    ".data.filter((_, i) => i % 4 === 0)) > 40"
)
"""The newest column of the taggram is not black."""
DARK = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browser = start_browser()
    yield browser
    browser.close()


def shown(browser: Browser, url: str, width: int = 1100, height: int = 900, **preferences: bool) -> Page:
    page = browser.page()
    page.shape(width, height, **preferences)
    page.open(url)
    return page


def test_a_page_that_shows_what_is_heard_and_comes_back(browser: Browser, start: Start) -> None:
    port = free_tcp_port()
    play = ["live", "--input", "demo", "--loop", "--format", "json", "--web", str(port)]
    running = start(*play)
    running.wait_for_lines(1)
    url = f"http://127.0.0.1:{port}/"
    page, phone, overlay = (
        shown(browser, url),
        shown(browser, url, 390, 844, phone=True, dark=False),
        shown(browser, f"{url}?overlay=1&size=60&top=2&least=0.01"),
    )
    for each in (page, phone):
        each.until(BARS)
        each.until("document.getElementById('state').textContent === 'running'")
        each.until("document.getElementById('latency').textContent.includes('ms')")
        assert each.value("document.querySelectorAll('#names li').length") == 50
        each.until(BRIGHT)
        assert each.value("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"
    assert page.value(DARK) != phone.value(DARK), "dark and light"
    overlay.until("document.querySelectorAll('#overlay li').length === 2")
    assert overlay.value(DARK) == "rgba(0, 0, 0, 0)"
    assert overlay.value("getComputedStyle(document.getElementById('overlay')).fontSize") == "60px"
    assert not overlay.value("document.querySelector('main').offsetParent")

    running.process.send_signal(signal.SIGINT)
    assert running.end().status == 130
    page.until("document.getElementById('state').textContent.startsWith('not connected')")
    overlay.until("document.querySelectorAll('#overlay li').length === 0")
    running = start(*play)
    page.until("document.getElementById('state').textContent === 'running'")
    overlay.until("document.querySelectorAll('#overlay li').length === 2")
    running.process.send_signal(signal.SIGINT)
    assert running.end().status == 130
    assert [line for line in page.said if "WebSocket" not in line and "ERR_CONNECTION" not in line] == []


def test_a_page_of_a_stranger_hears_nothing(browser: Browser, start: Start) -> None:
    port, other = free_tcp_port(), free_tcp_port()
    play = ["live", "--input", "demo", "--loop", "--format", "json", "--web"]
    running, stranger = (start(*play, str(each)) for each in (port, other))
    for each in (running, stranger):
        each.wait_for_lines(1)
    page = shown(browser, f"http://127.0.0.1:{other}/healthz")
    page.until("document.body.textContent.includes('running')")
    opened = (
        f"new Promise((tell) => {{ const s = new WebSocket('ws://127.0.0.1:{port}/v1/stream');"
        " s.onmessage = () => tell('heard'); s.onerror = () => tell('refused'); })"
    )
    assert page.value(opened) == "refused"
    for each in (running, stranger):
        each.process.send_signal(signal.SIGINT)
        assert each.end().status == 130
