"""Radio stations over HTTP: the titles that they send between the sound (ICY), and the lists that name them (M3U, PLS).

FFmpeg reads these titles too, but PyAV shows those of the beginning only. So stations are read by Python's own client,
and FFmpeg gets the sound alone; HLS, and files that can be sought, are left to FFmpeg.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from streamtag._system.terminal import on_one_line
from streamtag.decoding.reader import RefusedError

TITLE_UNIT = 16
LONGEST_TITLE = 200
LIST_BYTES = 1 << 16
MOST_LISTS = 3
"""A list may name a list."""
LISTS = ("audio/x-mpegurl", "audio/mpegurl", "application/x-mpegurl", "application/vnd.apple.mpegurl", "audio/x-scpls")
BARE = ("audio/mpeg", "audio/mp3", "audio/x-mpeg", "audio/aac", "audio/aacp", "audio/x-aac")
HLS = b"#EXT-X-"
SAID = {
    401: "the user or the password is wrong (401)",
    403: "it may not be heard from here (403)",
    404: "there is no such stream (404)",
}


class Found(NamedTuple):
    """What is at an address.

    Attributes
    ----------
    address : str
        What FFmpeg is to open: the same, or what a list names.
    reader : StationReader or None
        What to read instead, if it is a station.
    """

    address: str
    reader: StationReader | None


def find_station(address: str, seconds: float) -> Found:
    """Ask what is at an address of http or https.

    Parameters
    ----------
    address : str
        With user and password, if it has them.
    seconds : float
        How long the answer, and each read, may take.

    Returns
    -------
    Found
        The station, or what else is there.

    Raises
    ------
    RefusedError
        Nobody answers, or nothing is to be had.
    """
    for _ in range(MOST_LISTS):
        response = _asked(address, seconds)
        if response is None:
            return Found(address, None)
        is_list = response.headers.get_content_type() in LISTS
        can_be_sought = "Content-Length" in response.headers and response.headers.get("Accept-Ranges") == "bytes"
        if not is_list and not can_be_sought and not urlsplit(response.url).path.endswith(".m3u8"):
            return Found(address, StationReader(response, seconds))
        named = None
        with response, contextlib.suppress(OSError, http.client.HTTPException):
            if is_list:
                named = _named(response.read(LIST_BYTES))
        if named is None:
            return Found(address, None)
        address = named
    raise RefusedError(f"a list that names a list, {MOST_LISTS} times")


def _asked(address: str, seconds: float) -> Any:
    """The response; None for what FFmpeg may understand better."""
    parts = urlsplit(address)
    keys = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    host = parts.netloc.rpartition("@")[2]
    plain = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    if parts.username is not None:
        root = urlunsplit((parts.scheme, host, "/", "", ""))
        keys.add_password(None, root, unquote(parts.username), unquote(parts.password or ""))
    opener = urllib.request.OpenerDirector()  # not build_opener, which also opens files and FTP
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),  # ten at the most, to http and https
        _Basic(keys),
        _Digest(keys),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(plain, headers={"User-Agent": "streamtag", "Icy-MetaData": "1"})
    try:
        return opener.open(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        error.close()
        raise RefusedError(SAID.get(error.code, f"the server says {error.code} {on_one_line(error.reason)}")) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError) and parts.username is None:
            return None  # FFmpeg asks for no certificate; a password is not sent to whoever has none
        raise RefusedError(_words(error.reason, seconds)) from None
    except TimeoutError as error:
        raise RefusedError(_words(error, seconds)) from None
    except (OSError, http.client.HTTPException, ValueError):  # Shoutcast's first version answers "ICY 200 OK"
        return None


class _Closing:
    """Closes a refusal once it was answered with the password: urllib leaves that to chance."""

    def http_error_401(self, request: Any, refusal: Any, *more: Any) -> Any:
        """Answer a refusal; None if there is nothing to answer."""
        try:
            answer = super().http_error_401(request, refusal, *more)  # type: ignore[misc]
        except BaseException:
            refusal.close()
            raise
        if answer is not None:
            refusal.close()
        return answer


class _Basic(_Closing, urllib.request.HTTPBasicAuthHandler):
    """For most stations."""


class _Digest(_Closing, urllib.request.HTTPDigestAuthHandler):
    """For some."""


def _words(reason: object, seconds: float) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(reason, ConnectionRefusedError):
        return "refused: nobody listens there"
    if isinstance(reason, socket.gaierror):
        return "there is no such host, or no network"
    return on_one_line(str(getattr(reason, "strerror", None) or reason))


def _named(text: bytes) -> str | None:
    """The first address of a list of stations; None for HLS, which is FFmpeg's."""
    if HLS in text:
        return None
    for line in text.decode("utf-8", "replace").splitlines():
        found = re.fullmatch(r"(?:File\d+\s*=\s*)?(https?://\S+)", line.strip(), re.IGNORECASE)
        if found is not None:
            return found[1]
    return None


class StationReader:
    """Gives a station's sound, and keeps the title that was sent last.

    Where the answer has ``icy-metaint``, after so many bytes of sound comes a byte that says how many times 16 bytes of
    text follow: ``StreamTitle='...';StreamUrl='...';``, zeros at its end. Source: the Shoutcast Metadata Protocol as
    written down by S. McIntyre (2001).

    Parameters
    ----------
    response : http.client.HTTPResponse
        What the station sends.
    seconds : float
        How long a read may take.

    Attributes
    ----------
    title : str or None
        What plays, in the station's words; None before it has said anything.
    live : bool
        Whether it has no end: a file has a length.
    bare : bool
        Whether it says that it is MP3 or AAC without a container.
    """

    def __init__(self, response: Any, seconds: float) -> None:
        self.title: str | None = None
        self.live = "Content-Length" not in response.headers
        self.bare = response.headers.get_content_type() in BARE
        self._response = response
        interval = response.headers.get("icy-metaint", "")
        self._interval = int(interval) if interval.isdecimal() and len(interval) < 9 else 0
        self._left = self._interval
        self._seconds = seconds

    def __call__(self, size: int) -> bytes:
        """Up to so many bytes of sound, as soon as there are some; none at the end."""
        try:
            if self._interval:
                if self._left == 0:
                    self._left = self._interval
                    self._take_title()
                size = min(size, self._left)
            data: bytes = self._response.read1(size)
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: it was closed meanwhile
            raise RefusedError(_words(error, self._seconds)) from None
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Hang up."""
        self._response.close()

    def _take_title(self) -> None:
        length = TITLE_UNIT * int.from_bytes(self._response.read(1), "big")
        text = self._response.read(length) if length else b""
        found = re.search(rb"StreamTitle='(.*?)'(?:;|\0|$)", text, re.DOTALL)
        if found is not None:
            self.title = title(found[1])


def title(text: bytes) -> str:
    """A title as one line of text: stations write UTF-8, or what they are used to."""
    try:
        shown = text.decode()
    except UnicodeDecodeError:
        shown = text.decode("latin-1")
    return on_one_line(shown).strip()[:LONGEST_TITLE]
