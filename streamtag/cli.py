"""The command line: its commands, and how it ends. Each command is a file in `streamtag.commands`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from streamtag import __version__
from streamtag._system.encoding import never_fail_to_encode
from streamtag._system.stderr import keep_stderr_for_python
from streamtag.commands import (
    calibrate,
    devices,
    doctor,
    evaluate,
    features,
    file,
    learn,
    library,
    live,
    models,
    receivers,
    replay,
    train,
)
from streamtag.commands.console import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, err, leave
from streamtag.commands.jobs import stoppable
from streamtag.commands.limits import heed_limits, plainly
from streamtag.commands.signals import Terminated, ended_by, ignore_signals
from streamtag.errors import OptionError, StreamtagError, UnknownModelError

app = typer.Typer(
    name="streamtag",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hears music as it plays: tags and embeddings of any sound, live over OSC, or of files.",
    epilog="Try it: streamtag live --input demo",
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        print(f"streamtag {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is not None:
        heed_limits()


for command in (live, file, replay, learn, features, evaluate, calibrate, devices, receivers, doctor):
    app.add_typer(command.app)
app.add_typer(models.app, name="models")
app.add_typer(library.app, name="library")
app.add_typer(train.app, name="train")


def _fail(error: BaseException, status: int) -> int:
    err.print(f"streamtag: {plainly(error) or error}", style="red", markup=False)
    return status


def main() -> None:
    """Run the command line; every failure is a message and an exit status, never a traceback."""
    status = 0
    if sys.stdout is None:  # started with stdout closed
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lives
    with suppress(OSError, ValueError):  # it may be no file
        os.set_blocking(sys.stdout.fileno(), True)  # others of the same terminal or pipe may have left it otherwise
    keep_stderr_for_python(lambda: ended_by() is not None)
    for stream in (sys.stdout, sys.stderr):
        never_fail_to_encode(stream)
    try:
        with stoppable(None):
            app()
    except SystemExit as end:  # Typer's way to say that all is done
        status = end.code if isinstance(end.code, int) else 0
    except (OptionError, UnknownModelError) as error:
        status = _fail(error, EXIT_USAGE)
    except (StreamtagError, OSError, MemoryError) as error:
        status = _fail(error, EXIT_FAILED)
    except (KeyboardInterrupt, Terminated) as end:
        status = ended_by() or (end.status if isinstance(end, Terminated) else EXIT_INTERRUPTED)
    except Exception as error:  # a mistake of ours
        if os.environ.get("STREAMTAG_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}"
        ours = StreamtagError(f"this should not happen: {what}. STREAMTAG_DEBUG=1 shows where; please report it")
        # a library that a signal has interrupted may raise anything
        status = ended_by() or _fail(error if plainly(error) else ours, EXIT_FAILED)
    ignore_signals()
    leave(status or ended_by() or 0, at_once=ended_by() is not None)
