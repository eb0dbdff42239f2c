"""Where `streamtag live` sends: sinks by their options."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamtag._system.terminal import can_draw
from streamtag.commands.console import err
from streamtag.commands.options import finite
from streamtag.errors import OptionError

if TYPE_CHECKING:
    from streamtag.commands.jobs import OnTerminal
    from streamtag.osc.control import ControlPort
    from streamtag.sinks.base import Sink, Wrapper
    from streamtag.web.sink import WebSink


Osc = Annotated[
    list[str] | None,
    typer.Option(
        help="Send OSC there: a name or an address (IPv6 in brackets, a broadcast address, a multicast group) and "
        "a port; or the name that a receiver announces (see `streamtag receivers`); repeatable.",
        metavar="HOST:PORT|NAME",
    ),
]
Rate = Annotated[
    float,
    typer.Option(help="Results a second that are sent and printed, at the most.", metavar="HZ", callback=finite),
]
Web = Annotated[
    str | None,
    typer.Option(
        help="Show a page there in any browser, an overlay for OBS (?overlay=1), and JSON (PORT: for this "
        "machine only; 0.0.0.0:PORT: for its networks, too). See docs/web.md.",
        metavar="[HOST:]PORT",
    ),
]
WebAllow = Annotated[
    list[str] | None,
    typer.Option(
        help="Let pages from there open the stream of --web, for example https://hydra.ojack.xyz; null for pages "
        "that are files; repeatable.",
        metavar="ORIGIN",
    ),
]
Announce = Annotated[
    bool | None,
    typer.Option(
        "--announce/--no-announce",
        help="Let programs in the network find the ports of --web and --osc-in by themselves (mDNS); not those for "
        "this machine only. Default: where the extra `discover` is installed.",
    ),
]


def outputs(
    osc: list[str],
    rate: float,
    web: str | None,
    web_allow: list[str],
    names: Sequence[str] = ("",),
    control: ControlPort | None = None,
    announce: bool | None = None,
) -> list[list[Sink]]:
    """OSC and browsers, for each input.

    Parameters
    ----------
    osc : list of str
        ``HOST:PORT`` of each receiver, or the name that it announces.
    rate : float
        Results a second for each of these.
    web : str or None
        Where browsers are served.
    web_allow : list of str
        Origins of pages from elsewhere.
    names : sequence of str
        What the inputs are called; one without a name is alone.
    control : ControlPort or None
        Where commands are heard: those who find the page's port are told of it.
    announce : bool or None
        Whether the page's port is announced; None where that can be.

    Returns
    -------
    list of list of Sink
        Of each input, in the order in which they are told.
    """
    from streamtag.osc.sink import OscSink
    from streamtag.osc.where import parse_receiver
    from streamtag.sinks.throttled import Throttled

    sinks: list[list[Sink]] = [[Throttled(OscSink(*parse_receiver(text)), rate) for text in osc] for _ in names]
    if web is not None:
        page = _web(web, web_allow, control, announce)
        for place, of_input in enumerate(sinks):
            of_input.append(page.beside() if place else page)
    elif web_allow:
        raise OptionError("--web-allow is for the pages of --web: add --web PORT, for example --web 8765")
    elif announce:
        raise OptionError("--announce is for the port of --web: add --web 0.0.0.0:PORT, for example 0.0.0.0:8765")
    return sinks


def recording(path: Path | None, rate: float, name: str = "") -> list[Sink]:
    """What keeps a take, if one is asked for; of one of several inputs in a file beside it, with its name."""
    if path is None:
        return []
    from streamtag.files.outputs import check_output
    from streamtag.sinks.background import Background
    from streamtag.sinks.throttled import Throttled
    from streamtag.takes.sink import RecordSink

    if path.suffix != ".npz":
        raise OptionError(f"--record {path}: a take is .npz, so its name must end in that")
    path = path.with_stem(f"{path.stem}-{name}") if name else path
    if path.exists():
        raise OptionError(f"--record {path}: it is there already, and a take is never overwritten; give another name")
    check_output(path)
    return [Throttled(Background(RecordSink(path), waiting=1024), rate)]


def on_stdout(
    format: str | None, embeddings: bool, rate: float, names: list[str], others: list[Sink]
) -> tuple[list[Wrapper], OnTerminal | None]:
    """What shows each session on stdout, and the live view, if that is it.

    Parameters
    ----------
    format : str or None
        ``text``, ``json``, or None for what suits.
    embeddings : bool
        Whether JSON has them.
    rate : float
        Lines a second of each.
    names : list of str
        What the inputs are called; one without a name is alone.
    others : list of Sink
        The other sinks of one that is alone.

    Returns
    -------
    list of Wrapper
        A sink for each input.
    OnTerminal or None
        What draws.
    """
    from streamtag.sinks.background import Background
    from streamtag.sinks.lines import JsonLines, TextLines
    from streamtag.sinks.throttled import Throttled
    from streamtag.sinks.writer import LineWriter

    if format is not None or not can_draw(sys.stdout):
        writer = LineWriter(sys.stdout)
        json = format == "json"
        lines = [JsonLines(writer, embeddings=embeddings) if json else TextLines(writer) for _ in names]
        return [Throttled(Background(each), rate) for each in lines], None
    from rich.console import Console

    console = Console(highlight=False, force_terminal=True)
    if names == [""]:
        from streamtag.sinks.terminal import TerminalView

        view = TerminalView(console, others)
        return [Background(view, waiting=1, count_drops=False)], view
    from streamtag.sinks.inputs import InputsView

    table = InputsView(console, names)
    return [Background(row, waiting=1, count_drops=False) for row in table.rows], table


def _web(listen: str, allow: list[str], control: ControlPort | None, announce: bool | None) -> WebSink:
    """What serves browsers; and where, in words."""
    from streamtag._system.ports import parse_listen
    from streamtag.discovery.network import is_installed
    from streamtag.web.sink import WebSink

    sink = WebSink(
        *parse_listen(listen, "--web", 8765),
        allow,
        control=control,
        announce=is_installed() if announce is None else announce,
    )
    err.print(f"page: {sink.url}  (overlay: {sink.url}?overlay=1)", markup=False, highlight=False)
    if sink.host in ("0.0.0.0", "::"):
        told = f"whoever is in the network sees what is heard, at http://{_address()}:{sink.port}/"
        err.print(f"note: {told}", markup=False, highlight=False)
    return sink


def _address() -> str:
    """The address by which others reach this machine, most likely."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's. Nothing is sent, but a way there is looked for
            return str(probe.getsockname()[0])
        except OSError:  # there is no network
            return socket.gethostname()
