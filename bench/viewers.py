"""What viewers of the page cost a session: python -m bench.viewers

The demo is heard live, first with nobody looking, then with 20 viewers, two of whom never read; in one run.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.ports import free_tcp_port

VIEWERS, STUCK = 20, 2
SECONDS = 30
FIELDS = "top,on,level_dbfs,gain_db,music,xyz,heads,heads_on,scores"
READER = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1]) as viewer:
    for _ in viewer:
        pass
"""


def main() -> None:
    """Measure and print."""
    print("| viewers | hops | skipped | added p99 ms |\n|---|---|---|---|")
    for count in (0, VIEWERS):
        port = free_tcp_port()
        command = [sys.executable, "-m", "streamtag", "live", "--input", "demo", "--loop", "--format", "text"]
        running = subprocess.Popen(
            [*command, "--web", str(port), "--duration", str(SECONDS)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        address = f"ws://127.0.0.1:{port}/v1/stream?rate=20&fields={FIELDS}"
        with suppress(ConnectionClosed), ExitStack() as opened:  # who never reads is dropped in the end
            _await(port)
            readers = [
                subprocess.Popen([sys.executable, "-c", READER, address], stderr=subprocess.DEVNULL)
                for _ in range(max(0, count - STUCK))
            ]
            for _ in range(STUCK if count else 0):
                stuck = socket.socket()
                stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                stuck.connect(("127.0.0.1", port))
                # once it is open nobody reads: the library's thread would
                viewer = opened.enter_context(connect(address, sock=stuck, max_queue=1, ping_interval=None))
                viewer.recv()
            _, said = running.communicate()
            for reader in readers:
                reader.wait()
        hops, skipped = re.findall(r"(\d+) hops, (\d+) skipped", said)[-1]
        added = re.findall(r"added p99 ([\d.]+)", said)[-1]
        print(f"| {count} | {hops} | {skipped} | {added} |", flush=True)


def _await(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    main()
