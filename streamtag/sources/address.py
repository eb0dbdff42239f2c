"""Addresses: radio stations and other streams that FFmpeg opens by itself."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from streamtag.decoding.stream import FFmpegStream, StreamReader
from streamtag.errors import OptionError
from streamtag.sources.station import StationReader, find_station

UNREACHED = "cannot be reached, or ends before there is a sound: is the address right, and is there a network?"
CONNECT_SECONDS, READ_SECONDS = 10.0, 10.0
PROTOCOLS = {
    "http": "http,https,tcp,tls,crypto",
    "https": "http,https,tcp,tls,crypto",
    "rtsp": "rtsp,rtp,rtcp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,rtcp,udp,tcp,tls",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tcp,tls",
    "udp": "udp",
    "rtp": "rtp,rtcp,udp",
    "srt": "srt",
    "tcp": "tcp",
}
"""What FFmpeg may open for an address of each kind: a playlist that names a file, or another kind, is refused."""
DEMUXERS = "mp3,aac,ogg,flac,wav,mpegts,matroska,webm,mov,hls,rtsp,rtp,sdp,flv,live_flv,asf,caf,w64,aiff,loas,ac3,eac3"
"""What a stream may be: nothing that only names other things (concat, and the like), but HLS."""
OF_ITSELF = {"protocol_whitelist": "none", "format_whitelist": DEMUXERS}
"""For what is read here: FFmpeg opens nothing."""


def is_address(given: str) -> bool:
    """Whether this is written like an address."""
    return "://" in given and given.partition("://")[0].isalnum()


def without_secrets(address: str) -> str:
    """An address as people and programs may see it: without user, password, query and fragment."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # what is no address may be a secret as a whole
        return f"{address.partition('://')[0]}://..."
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"


class AddressOpener:
    """Opens an address, again and again when it ends.

    Parameters
    ----------
    address : str
        For example ``https://radio.example/stream.mp3``.

    Raises
    ------
    OptionError
        It is no address, or of a kind that cannot be heard.
    """

    again = True
    ended = "the stream has ended"

    def __init__(self, address: str) -> None:
        self._address = address.strip()
        try:
            parts = urlsplit(self._address)
            _ = parts.port
        except ValueError as error:
            raise OptionError(f"--input: this address cannot be read ({error})") from None
        self._scheme = parts.scheme.lower()
        if self._scheme not in PROTOCOLS:
            raise OptionError(f"--input {parts.scheme}://...: expected one of {', '.join(PROTOCOLS)}")
        if not parts.hostname:
            raise OptionError(f"--input {parts.scheme}://...: an address without a host")
        self.name = without_secrets(self._address)
        self.ahead = self._scheme in ("http", "https", "rtmp", "rtmps")

    def open(self, stopping: Callable[[], bool]) -> StreamReader:
        """Connect; up to 10 s."""
        address = self._address
        options = {"protocol_whitelist": PROTOCOLS[self._scheme], "format_whitelist": DEMUXERS}
        if self._scheme in ("http", "https"):
            options["user_agent"] = "streamtag"
            address, station = find_station(address, READ_SECONDS)
            if station is not None:
                return _StationStream(station)
        if self._scheme in ("rtsp", "rtsps"):
            options["rtsp_transport"] = "tcp"  # through firewalls, and without holes
        stream = FFmpegStream(address, options, (CONNECT_SECONDS, READ_SECONDS), _meant)
        stream.live = self._scheme not in ("http", "https", "tcp")  # files and HLS wait; so does who writes to a socket
        return stream

    def close(self) -> None:
        """Nothing to do: a connection is its reader's."""


class _StationStream(FFmpegStream):
    """What a station sends, read by `StationReader`."""

    def __init__(self, station: StationReader) -> None:
        self._station = station
        self.live = station.live
        try:
            super().__init__(station, OF_ITSELF, meant=_meant, bare=station.bare)
        except BaseException:
            station.close()
            raise

    @property
    def title(self) -> str | None:
        """What plays, in the station's words."""
        return self._station.title if self._station.title is not None else super().title

    def close(self) -> None:
        """Hang up."""
        super().close()
        self._station.close()


def _meant(reason: str) -> str:
    """FFmpeg's words, and what they mean."""
    meanings = {
        "Immediate exit requested": f"no answer within {READ_SECONDS:g} s",
        "Connection refused": "refused: nobody listens there",
        "Server returned 401 Unauthorized": "the user or the password is wrong (401)",
        "Server returned 403 Forbidden": "it may not be heard from here (403)",
        "Server returned 404 Not Found": "there is no such stream (404)",
        "Invalid data found when processing input": "what comes is no sound that FFmpeg knows",
        "Protocol not found": "the FFmpeg in this PyAV does not know such addresses",
        "End of file": "it ended before anything was heard",
        "I/O error": UNREACHED,
        "Input/output error": UNREACHED,
    }
    return next((meant for said, meant in meanings.items() if reason.startswith(said)), reason)
