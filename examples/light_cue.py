"""A light cue from a head of your own: full light when the drop comes, low light when it has gone.

python examples/light_cue.py cues drop                     # in one terminal
streamtag live --head cues.head --osc 127.0.0.1:9000       # in another
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

PORT = 9000


def on_switch(address: str, *arguments: Any) -> None:
    """The class crossed its threshold: here a real rig would get its cue."""
    print("LIGHTS FULL" if arguments[0] else "LIGHTS LOW", flush=True)


def main() -> None:
    """Listen until Ctrl-C."""
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/light_cue.py HEAD CLASS")
    head, name = sys.argv[1:]
    dispatcher = Dispatcher()
    dispatcher.map(f"/streamtag/head/{head}/on/{name}", on_switch)
    with BlockingOSCUDPServer(("127.0.0.1", PORT), dispatcher) as server, contextlib.suppress(KeyboardInterrupt):
        print(f"waiting for {name} on port {PORT}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
