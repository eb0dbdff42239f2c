"""The page and the overlay in a real browser, on a real session."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from streamtag.results import State
from streamtag.web.sink import WebSink
from tests.support.browser import Browser, Page, accessibility_rules, start_browser
from tests.support.ports import free_tcp_port
from tests.support.program import Running
from tests.support.values import INFO, make_frame, make_head, make_stats

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


@pytest.fixture
def sink() -> Iterator[WebSink]:
    sink = WebSink(port=0)
    sink.open(INFO)
    yield sink
    sink.close()


COLUMN = "[...document.getElementById('taggram').getContext('2d').getImageData({x}, 0, 1, 1).data]"
GREY, NOTHING = [61, 67, 80, 255], [0, 0, 0, 0]


def test_what_did_not_come_is_a_gap(browser: Browser, sink: WebSink) -> None:
    for index in range(40):
        sink.frame(make_frame(index, time=index * 0.25))
    for index in range(40):
        sink.frame(make_frame(index, time=40 + index * 0.25))
    sink.status(make_stats(state=State.RECOVERING, trouble="unplugged", gaps=1, gap_seconds=30.0))
    page = shown(browser, sink.url)
    page.until(f"{COLUMN.format(x=719 - 60)}.join() === '{','.join(map(str, GREY))}'")
    assert page.value(COLUMN.format(x=719 - 39 - 119)) == GREY, "30 s between what came at 9.75 s and at 40 s"
    assert page.value(COLUMN.format(x=719)) not in (GREY, NOTHING)
    assert page.value(COLUMN.format(x=719 - 39 - 122)) not in (GREY, NOTHING)
    assert page.value(COLUMN.format(x=100)) == NOTHING
    assert page.value("document.getElementById('state').textContent") == "recovering: Scarlett: unplugged"
    assert page.value("document.getElementById('gaps').textContent") == "1 of 30.0 s in all"


def test_an_overlay_shows_what_its_address_asks_for(browser: Browser, sink: WebSink) -> None:
    page = shown(browser, f"{sink.url}?overlay=1&show=level,heads,tags&top=2&least=0.2&scores=1&at=top+right")
    page.until("document.body.classList.contains('overlay')")
    said = "[...document.querySelectorAll('#overlay li')].map((item) => item.textContent).join('|')"
    for index in range(1000):
        sink.frame(make_frame(index, time=index * 0.1, heads=(make_head(),)))
        if page.value(said):
            break
    assert page.value(said) == "-18 dB|calm 80|rock 43|female vocalists 30"
    assert page.value("document.getElementById('overlay').className") == "top right"


def test_several_inputs_each_with_its_page(browser: Browser, sink: WebSink) -> None:
    first = WebSink(port=0)
    sinks = {"stage": first, "radio": first.beside()}
    for name, each in sinks.items():
        each.open(replace(INFO, input=name))
    page = shown(browser, first.url, 390, 844)
    page.until("document.querySelectorAll('#inputs a').length === 2")
    sinks["stage"].frame(make_frame(1))
    sinks["stage"].status(make_stats())
    sinks["radio"].status(make_stats(state=State.RECOVERING, trouble="no answer", title="Zo\xeb - One"))
    page.until("document.querySelector('#inputs a.wrong') !== null")
    words = "[...document.querySelectorAll('#inputs a')].map((link) => link.innerText.replace(/\\s+/g, ' ')).join('|')"
    assert page.value(words) == "stage rock 0.43|radio recovering \xb7 Zo\xeb - One"
    assert page.value("document.querySelector('#inputs a[aria-current]').innerText").startswith("stage")
    assert page.value("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"
    assert page.value("document.querySelector('main').offsetHeight > 100"), "it is to be seen"
    page.do("Runtime.evaluate", expression="document.querySelectorAll('#inputs a')[1].click()")
    page.until("document.title === 'streamtag: radio'")
    page.until("document.getElementById('title').textContent === 'Zo\xeb - One'")
    page.do("Runtime.evaluate", expression=accessibility_rules())
    found = "axe.run().then((all) => all.violations.map((each) => `${each.id}: ${each.nodes[0].html}`))"
    assert page.value(found) == []
    for each in sinks.values():
        each.close()


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize(("width", "height"), [(1100, 900), (390, 844)])
def test_a_page_for_those_who_do_not_see_it(
    browser: Browser, sink: WebSink, width: int, height: int, dark: bool
) -> None:
    rules = accessibility_rules()
    page = shown(browser, sink.url, width, height, dark=dark)
    page.until("document.getElementById('names').children.length")
    for index in range(1000):
        sink.frame(make_frame(index, time=index * 0.1, heads=(make_head(),), xyz=(0.1, 0.2, 0.3)))
        if page.value("document.getElementById('bars').children.length"):
            break
    sink.status(make_stats(trouble="unplugged"))
    page.until("document.getElementById('state').classList.contains('wrong')")
    page.do("Runtime.evaluate", expression=rules)
    found = "axe.run().then((all) => all.violations.map((each) => `${each.id}: ${each.nodes[0].html}`))"
    assert page.value(found) == []


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
        assert each.value("document.getElementById('bars').offsetHeight > 100"), "it is to be seen"
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
