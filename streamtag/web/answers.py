"""What a request gets: the page, figures, or a refusal in words. Nothing here waits, and nothing is changed by it."""

from __future__ import annotations

import http
import json
import time
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from streamtag.errors import OptionError
from streamtag.osc.addresses import ROOT
from streamtag.results import ENDED, State
from streamtag.web.guard import host_allowed, origin_allowed, own_names
from streamtag.web.hub import Hub
from streamtag.web.hubs import Hubs
from streamtag.web.messages import parse_input, parse_wish
from streamtag.web.metrics import CONTENT_TYPE, metrics
from streamtag.web.oscquery import answer

STREAM = "/v1/stream"
MOST_VIEWERS, MOST_LISTENERS = 64, 16
"""Of the stream; of single OSC addresses, each of which is a message of its own."""
SILENT_SECONDS = 5.0
"""The state is told each second; a session that has not for so long does not live."""
PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/taggram.js": ("taggram.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Answers:
    """Answers requests from what the hubs know.

    Parameters
    ----------
    hubs : Hubs
        The sessions.
    host : str
        What the server listens on.
    allow : collection of str
        Origins of other pages that may open the stream.

    Attributes
    ----------
    about : mapping
        What OSCQuery's HOST_INFO is, once the server listens.
    """

    def __init__(self, hubs: Hubs, host: str, allow: Collection[str]) -> None:
        self._hubs = hubs
        self._names = own_names(host)
        self._allow = frozenset(allow)
        self.about: Mapping[str, Any] = {}

    def to(self, request: Request) -> Response | None:
        """What a request gets; None: it becomes a WebSocket."""
        method = getattr(request, "method", "GET")  # websockets before 17 reads no other
        if method not in ("GET", "HEAD"):
            refused = _text(http.HTTPStatus.METHOD_NOT_ALLOWED, "only GET: nothing can be changed from here\n")
            refused.headers["Allow"] = "GET, HEAD"
            return refused
        answer = self._guarded(request)
        if answer is not None and method == "HEAD":
            answer.body = b""
        return answer

    def _guarded(self, request: Request) -> Response | None:
        hosts = request.headers.get_all("Host")
        host, path = hosts[0] if len(hosts) == 1 else None, urlsplit(request.path).path
        if not host_allowed(host, self._names):
            return _text(http.HTTPStatus.FORBIDDEN, f"not by the name {host!r}: use an address, or localhost\n")
        if path == STREAM or (path == "/" and _asks_to_upgrade(request)):
            return self._admitted(request, host)
        if path == "/" and not _is_browser(request):
            return self._described(request)
        if path in PAGES:
            return _response(http.HTTPStatus.OK, PAGES[path][1], _page(PAGES[path][0]))
        if path == "/v1/inputs":
            return _response(http.HTTPStatus.OK, "application/json", json.dumps(self._hubs.summary()).encode())
        if path == "/metrics":
            return _response(http.HTTPStatus.OK, CONTENT_TYPE, metrics(self._hubs).encode())
        if path in ("/v1/past", "/healthz"):
            try:
                name = parse_input(request.path)
                hubs = list(self._hubs) if name is None else [self._hubs.of(name)]
            except (OptionError, ValueError) as error:
                return _text(http.HTTPStatus.BAD_REQUEST, f"{error}\n")
            if path == "/healthz":
                return _health(hubs)
            return _response(http.HTTPStatus.OK, "application/json", hubs[0].past.text().encode())
        if path == ROOT or path.startswith(f"{ROOT}/"):
            return self._described(request)
        return _text(http.HTTPStatus.NOT_FOUND, f"there is nothing at {path[:100]!r}\n")

    def _admitted(self, request: Request, host: str | None) -> Response | None:
        origins = request.headers.get_all("Origin")
        origin = origins[0] if len(origins) == 1 else None if not origins else "several"
        if not origin_allowed(origin, host, self._allow):
            return _text(http.HTTPStatus.FORBIDDEN, f"not for pages of {origin!r}: start with --web-allow {origin}\n")
        if not _asks_to_upgrade(request):
            return _text(http.HTTPStatus.UPGRADE_REQUIRED, "this is a WebSocket: open it with ws://\n")
        now, most = self._hubs.viewing, MOST_VIEWERS
        if urlsplit(request.path).path != STREAM:
            now, most = len(self._hubs.listeners), MOST_LISTENERS
        if now >= most:
            return _text(http.HTTPStatus.SERVICE_UNAVAILABLE, f"{most} look already\n")
        try:
            if urlsplit(request.path).path == STREAM:
                self._hubs.of(parse_wish(request.path).input)
        except (OptionError, ValueError) as error:
            return _text(http.HTTPStatus.BAD_REQUEST, f"{error}\n")
        return None

    def _described(self, request: Request) -> Response:
        """OSC addresses, by OSCQuery."""
        status, found = answer(request.path, self._hubs.messages, self.about)
        body = b"" if found is None else json.dumps(found).encode()
        return _response(http.HTTPStatus(status), "application/json", body)


def _health(hubs: Sequence[Hub]) -> Response:
    """200 while all hear; 503 while one of them does not."""
    all_good, said = True, {}
    for hub in hubs:
        stats, silent = hub.stats, time.monotonic() - hub.told
        state = State.STARTING if stats is None else stats.state
        stuck = stats is not None and silent > SILENT_SECONDS and state not in ENDED
        trouble = None if stats is None else f"has told nothing for {silent:.0f} s" if stuck else stats.trouble
        good = state not in ENDED and state is not State.RECOVERING and not stuck
        all_good = all_good and good
        said[hub.info.input] = {"state": state.value, "trouble": trouble}
    status = http.HTTPStatus.OK if all_good else http.HTTPStatus.SERVICE_UNAVAILABLE
    told = said.get("", {"inputs": said})
    return _response(status, "application/json", json.dumps(told).encode() + b"\n")


def _asks_to_upgrade(request: Request) -> bool:
    return [value.lower() for value in request.headers.get_all("Upgrade")] == ["websocket"]


def _is_browser(request: Request) -> bool:
    """Whether a page is wanted; programs that ask for OSC addresses accept anything, or do not say."""
    asks_for_host = urlsplit(request.path).query.startswith("HOST_INFO")
    return not asks_for_host and any("text/html" in value for value in request.headers.get_all("Accept"))


@cache
def _page(name: str) -> bytes:
    return (files("streamtag.web") / "page" / name).read_bytes()


def _text(status: http.HTTPStatus, text: str) -> Response:
    return _response(status, "text/plain; charset=utf-8", text.encode("utf-8", "replace"))


def _response(status: http.HTTPStatus, kind: str, body: bytes) -> Response:
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **SAFE})
    return Response(status.value, status.phrase, headers, body)
