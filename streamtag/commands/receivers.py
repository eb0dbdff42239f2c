"""streamtag receivers: who in the network announces that it hears OSC."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from streamtag._system.terminal import on_one_line
from streamtag.commands.console import err, out
from streamtag.commands.options import finite

app = typer.Typer()


@app.command(epilog='Then: [bold]streamtag live --osc "TouchOSC"[/bold]')
def receivers(
    seconds: Annotated[
        float, typer.Option(help="How long to look.", metavar="SECONDS", min=0.1, max=3600, callback=finite)
    ] = 4.0,
) -> None:
    """List receivers of OSC that announce themselves in the network, such as TouchOSC.

    `live --osc NAME` sends to one of them, wherever it is by then.
    """
    from streamtag.discovery.browsing import Browser
    from streamtag.discovery.network import require

    require("to look for receivers")
    browser = Browser()
    browser.open()
    try:
        time.sleep(seconds)
        found = browser.receivers
    finally:
        browser.close()
    if browser.trouble:
        err.print(f"note: {browser.trouble}", markup=False)
    if not found:
        out.print(f"Nobody announced a receiver of OSC within {seconds:g} s. One with a known address needs none:")
        out.print("streamtag live --osc HOST:PORT", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "address", "machine"):
        table.add_column(heading, overflow="fold")
    for receiver in found:  # Text: a name is not markup, and whoever announces it chooses it
        texts = (receiver.name, f"{receiver.host}:{receiver.port}", receiver.machine)
        table.add_row(*(Text(on_one_line(text)) for text in texts))
    out.print(table)
