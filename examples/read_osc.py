"""Read streamtag's OSC stream: the tags that switch on and off, and the state of the session each second.

python examples/read_osc.py [PORT]     # in one terminal; 9000 unless said otherwise
streamtag live --input demo --osc 127.0.0.1:9000
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer


def on_switch(address: str, *arguments: Any) -> None:
    """A tag crossed its threshold."""
    tag = address.rsplit("/", 1)[1]
    print(f"{tag} is {'on' if arguments[0] else 'off'}", flush=True)


def on_status(address: str, *arguments: Any) -> None:
    """Once a second: is all well?"""
    state, lost, skipped, load = arguments
    print(f"{state}: {lost} samples lost, {skipped} hops skipped, load {100 * load:.0f} %", flush=True)


def main() -> None:
    """Listen until Ctrl-C."""
    if len(sys.argv) > 2 or not all(argument.isdecimal() for argument in sys.argv[1:]):
        sys.exit("usage: python examples/read_osc.py [PORT]")
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    dispatcher = Dispatcher()
    dispatcher.map("/streamtag/on/*", on_switch)
    dispatcher.map("/streamtag/status", on_status)
    with BlockingOSCUDPServer(("127.0.0.1", port), dispatcher) as server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
