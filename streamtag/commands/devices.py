"""streamtag devices: the inputs of this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamtag._system.stderr import c_libraries_silent
from streamtag.commands.console import out

app = typer.Typer()
PIPED_WIDTH = 100
"""Columns of the table, beside the longest name, where it is not read on a terminal: names are not broken."""


@app.command(
    epilog="Then: [bold]streamtag live --input 3[/bold] · [bold]streamtag live --input Scarlett[/bold] · "
    '[bold]streamtag live --input "CABLE Output, WASAPI"[/bold] · '
    '[bold]streamtag live --input "Monitor of Built-in Audio"[/bold]'
)
def devices(
    midi: Annotated[
        bool, typer.Option("--midi", help="List MIDI outputs instead, as `live --midi` takes them.")
    ] = False,
) -> None:
    """List audio inputs, and what outputs play (monitors); say how to hear what this machine itself plays.

    An input is chosen by its index, name, part of a name, or NAME, HOST.

    If several hosts have it, by the first of: WASAPI, Core Audio, JACK,
    PulseAudio, PipeWire, ALSA, DirectSound, MME, WDM-KS.
    """
    if midi:
        _list_midi()
        return
    from streamtag.sources import listing
    from streamtag.sources.device import monitor_help

    with c_libraries_silent():
        found = listing.devices()
    table = Table(box=None, pad_edge=False)
    for heading, right in (("index", True), ("name", False), ("channels", True), ("rate, Hz", True), ("host", False)):
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for device in found:
        name = device.name or "(no name)"
        if device.default:
            name += "  (default)"
        elif device.named and device.server is not None and device.server.default:
            name += f"  (default of {device.host})"
        # Text: a name is not markup
        table.add_row(
            "" if device.named else str(device.index),
            Text(name),
            str(device.channels),
            str(device.samplerate or "?"),
            Text(device.host),
        )
    if not found:
        out.print("No sound input here. `--input demo` and `--input FILE` need none.")
    elif out.is_terminal:
        out.print(table)
    else:
        width = PIPED_WIDTH + max(cell_len(device.name) for device in found)
        Console(width=width, highlight=False).print(table)
    out.print(f"\n{monitor_help()}", markup=False)


def _list_midi() -> None:
    from streamtag.bridges.midi import midi_ports

    found = midi_ports()
    for port in found:
        out.print(f"{port.name}  ({port.host})", markup=False)
    if not found:
        out.print(
            "No MIDI output here. `live --midi virtual` makes one of its own where the system can (not on Windows)."
        )
