"""streamtag replay: send a take again, as if the music played."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from streamtag.commands.console import err, forget_stdout, note_stuck
from streamtag.commands.jobs import stoppable
from streamtag.commands.options import finite, named
from streamtag.commands.outputs import Announce, Osc, Rate, Web, WebAllow, on_stdout, outputs
from streamtag.commands.shows import Midi, Mqtt, MqttDiscovery, MqttLogin, RulesOption, open_shows
from streamtag.commands.signals import Terminated, defer_signals, ended_by
from streamtag.errors import OptionError

LOOK_SECONDS = 0.05
"""How often a replay looks whether a signal has come."""
app = typer.Typer()


@app.command(
    epilog="Examples: [bold]streamtag live --record take.npz[/bold], then "
    "[bold]streamtag replay take.npz --osc 127.0.0.1:9000[/bold] · "
    "[bold]streamtag replay take.npz --from 95 --loop --rules show.toml[/bold]"
)
def replay(
    take: Annotated[
        Path, typer.Argument(help="What `streamtag live --record` wrote.", metavar="TAKE.npz", parser=named)
    ],
    osc: Osc = None,
    rate: Rate = 30.0,
    rules: RulesOption = None,
    midi: Midi = None,
    mqtt: Mqtt = None,
    mqtt_login: MqttLogin = None,
    mqtt_discovery: MqttDiscovery = False,
    web: Web = None,
    web_allow: WebAllow = None,
    announce: Announce = None,
    start: Annotated[
        float, typer.Option("--from", help="Begin there.", metavar="SECONDS", min=0, callback=finite)
    ] = 0.0,
    loop: Annotated[bool, typer.Option("--loop", help="Again and again.")] = False,
    format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(help="Lines on stdout. On a terminal the default is a live view; else text."),
    ] = None,
) -> None:
    """Send a take again, at its own pace: a show is programmed without the music."""
    from streamtag.takes.file import Take
    from streamtag.takes.playing import Replay

    opened = Take(take)
    if start and start >= (length := opened.seconds):
        raise OptionError(f"--from {start:g}: the take is {length:.1f} s long")
    show, of_show = open_shows(rules, midi, mqtt, mqtt_login, discovery=mqtt_discovery)
    if show is not None:
        show.check(opened.info.labels, opened.info.heads)
    [sent] = outputs(osc or [], rate, web, web_allow or [], announce=announce)
    others = [*sent, *of_show]
    [screen], view = on_stdout(format, False, rate, [""], others)
    playing = Replay(opened, [*others, screen], start=start, loop=loop)
    try:
        with stoppable(view):
            defer_signals()
            playing.run(_wait)
    except (KeyboardInterrupt, Terminated):
        pass  # `ended_by` says so
    except BrokenPipeError:  # whoever read stdout has left: nothing more to say there
        forget_stdout()
    finally:
        note_stuck(screen.stuck)
    lost = [f", {count} messages not taken by {name}" for name, count in playing.outlet.drops.items() if count]
    err.print(f"{playing.frames} results of {take.name} sent{''.join(lost)}", markup=False)
    error = playing.outlet.first_error
    if isinstance(error, BrokenPipeError):
        forget_stdout()
    elif error is not None:
        raise error
    raise typer.Exit(ended_by() or 0)


def _wait(until: float) -> bool:
    """Wait for a moment, or for a signal, which is only noted by now; False then."""
    while ended_by() is None:
        left = until - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, LOOK_SECONDS))
    return False
