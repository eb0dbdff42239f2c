"""Where one machine is outgrown: the same ear, in actors of a Ray cluster.

Each actor holds the model and reads files by the path that they were found by: on a share, or in an object store. It is
started anew, wherever there is room, when it or its node dies; what it was at work on is given to another. Rows are
written by the one process that was started by hand, as on one machine.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

from streamtag.errors import AudioFileError, MissingExtraError, StreamtagError
from streamtag.library.hearing import Ear, Heard
from streamtag.library.places import fetch
from streamtag.library.settings import Settings

TRIES = 3
"""Workers that a track is given to before it is taken for what kills them."""
PATIENCE_SECONDS, AGAIN_SECONDS = 120.0, 0.5
OBJECT_BYTES = 100_000_000
"""Of memory for results between processes, which are small; Ray would take a third of the machine's."""
CONNECT_SECONDS = 5.0
AUTO = "auto"
PASSED = ("AWS_", "GOOGLE_", "STREAMTAG_")
"""Beginnings of what nodes get of the environment: keys for object stores, where models are."""


class StreamtagEar:
    """What runs on a node."""

    def __init__(self, settings: Settings) -> None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)
        self._ear = Ear(settings)

    def ready(self) -> int:
        """Its process, once the model is built."""
        self._ear.warm_up()
        return os.getpid()

    def hear(self, path: str) -> Heard:
        """What is kept of a track, which is read here."""
        try:
            fetched = fetch(path)
        except AudioFileError as error:
            return Heard(error=error.reason)
        try:
            return replace(self._ear.hear(fetched.path), sha256=fetched.sha256)
        finally:
            fetched.forget()


class RayWorkers:
    """Actors of a cluster.

    Parameters
    ----------
    settings : Settings
        How tracks are heard.
    address : str
        The cluster's, ``host:6379``; ``auto`` for the one that this machine is part of, or else for one of this machine
        alone.
    count : int
        Actors; 0: one for each processor of the cluster.

    Attributes
    ----------
    count : int
        How many there are.
    died : int
        How often one of them died.

    Raises
    ------
    MissingExtraError
        No Ray.
    StreamtagError
        No cluster there, or one that has not room for an actor.
    """

    fetches = True

    def __init__(self, settings: Settings, address: str, count: int) -> None:
        try:
            import ray
            from ray.exceptions import RayError
        except ImportError:
            raise MissingExtraError("--ray", "ray") from None
        self._ray, self._error = ray, RayError
        self._own = not ray.is_initialized()
        if self._own:
            _connect(ray, address)
        self.count = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self.died = 0
        self._lock = threading.Lock()
        self._closed = False
        self._left = self.count
        # a dead actor is started anew as often as it dies
        remote = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=0)(StreamtagEar)
        self._actors = [remote.remote(settings) for _ in range(self.count)]
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for actor in self._actors:
            try:
                ray.get(actor.ready.remote())
            except RayError as error:
                self.close()
                raise StreamtagError(
                    f"a worker could not be started on the Ray cluster: {_first_line(error)}"
                ) from None
            self._idle.put(actor)

    def hear(self, path: str) -> Heard:
        """Hear a track, on whichever actor is free.

        Raises
        ------
        StreamtagError
            No worker is left; or it is closed.
        """
        for _ in range(TRIES):
            actor = self._idle.get()
            if actor is None:
                self._idle.put(None)
                raise StreamtagError("the Ray cluster has no workers any more")
            try:
                heard: Heard = self._ray.get(actor.hear.remote(path))
            except self._error:
                with self._lock:
                    if self._closed:
                        raise StreamtagError("stopped") from None
                    self.died += 1
                if self._comes_back(actor):
                    self._idle.put(actor)
                continue
            self._idle.put(actor)
            return heard
        return Heard(error="the workers that hear it die on it")

    def _comes_back(self, actor: Any) -> bool:
        """Wait until an actor was started anew; not for ever, where its node is gone and there is no room elsewhere."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and not self._closed:
            with suppress(self._error):
                self._ray.get(actor.ready.remote())
                return True
            time.sleep(AGAIN_SECONDS)
        with self._lock:
            self._left -= 1
            if not self._left:
                self._idle.put(None)  # for all who wait
        return False

    def close(self) -> None:
        """End what is under way; leave the cluster, and end it if it is ours."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for actor in self._actors:
            self._ray.kill(actor, no_restart=True)
        if self._own:
            self._ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse an address where nobody listens: Ray asks again for minutes, and says so in its own words."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StreamtagError(f"--ray {address}: no Ray cluster there ({reason}); expected auto or HOST:PORT") from None


def _connect(ray: Any, address: str) -> None:
    if address != AUTO:
        _check_reachable(address)
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": passed},
    }
    try:
        if address == AUTO:
            try:
                ray.init(address="auto", **options)
            except ConnectionError:  # no cluster here: one of this machine
                ray.init(include_dashboard=False, object_store_memory=OBJECT_BYTES, **options)
        else:
            ray.init(address=address, **options)
    except Exception as error:  # of many kinds, for what is one
        raise StreamtagError(f"--ray {address}: no Ray cluster there ({_first_line(error)})") from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
