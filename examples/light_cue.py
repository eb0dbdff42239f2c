"""A light cue from a head of your own: full light when the drop comes, low light when it has gone.

python examples/light_cue.py cues drop                     # in one terminal
streamtag live --head cues.head --osc 127.0.0.1:9000       # in another

Another port than 9000: python examples/light_cue.py cues drop --port 9001
"""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer


def on_switch(address: str, *arguments: Any) -> None:
    """The class crossed its threshold: here a real rig would get its cue."""
    print("LIGHTS FULL" if arguments[0] else "LIGHTS LOW", flush=True)


def main() -> None:
    """Listen until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", help="the head's name in OSC addresses")
    parser.add_argument("name", metavar="class", help="the class whose switch is the cue")
    parser.add_argument("--port", type=int, default=9000, help="UDP port to listen on (default: 9000)")
    options = parser.parse_args()
    dispatcher = Dispatcher()
    dispatcher.map(f"/streamtag/head/{options.head}/on/{options.name}", on_switch)
    with (
        BlockingOSCUDPServer(("127.0.0.1", options.port), dispatcher) as server,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(f"waiting for {options.name} on port {options.port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
