"""Reading ahead: the next items of an iterator are made on a thread while the present one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

from streamtag._system.threads import start_whole

Item = TypeVar("Item")
AHEAD = 4
"""Items made before they are wanted. A batch of 32 patches is 2 MB, and takes longer to learn from than to read."""


class _End(Generic[Item]):
    """What comes behind the last item: the error that ended it, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterator[Item], count: int = AHEAD) -> Generator[Item]:
    """Give the same items in the same order, made on a thread of its own.

    Parameters
    ----------
    items : iterator
        Used on that thread alone. An error of it is raised here, in its turn.
    count : int
        How many are made before they are wanted.

    Yields
    ------
    Item
        Each item. When the generator is closed, the thread ends behind the item that it is at.
    """
    made: queue.Queue[Item | _End[Item]] = queue.Queue(count)
    closed = threading.Event()

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                made.put(item)
                if closed.is_set():
                    return
        except BaseException as caught:
            error = caught
        made.put(_End(error))

    thread = threading.Thread(target=make, name="streamtag-ahead", daemon=True)
    start_whole(thread)
    try:
        while not isinstance(item := made.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        closed.set()
        while thread.is_alive():  # it may wait for room
            try:
                made.get(timeout=0.05)
            except queue.Empty:
                thread.join(0.05)
