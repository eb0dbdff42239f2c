"""streamtag devices: the inputs of this machine."""

from __future__ import annotations

import typer
from rich.table import Table

from streamtag.commands.console import out

app = typer.Typer()


@app.command()
def devices() -> None:
    """List audio inputs, and say how to hear what this machine itself plays."""
    from streamtag.sources.device import input_devices, monitor_help

    found = input_devices()
    table = Table(box=None, pad_edge=False)
    for heading, right in (("index", True), ("name", False), ("channels", True), ("rate, Hz", True), ("system", False)):
        table.add_column(heading, justify="right" if right else "left")
    for device in found:
        name = f"{device.name}  (default)" if device.default else device.name
        table.add_row(str(device.index), name, str(device.channels), str(device.samplerate), device.host)
    out.print(table if found else "No sound input here. `--input demo` and `--input FILE` need none.")
    out.print(f"\n{monitor_help()}", markup=False)
