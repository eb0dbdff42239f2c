"""One connection: what it is sent, until it leaves or takes nothing any more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from streamtag.web.hub import Viewer
from streamtag.web.hubs import Hubs
from streamtag.web.messages import hello, parse_wish
from streamtag.web.oscquery import RATE, Subscriptions

MOST_MESSAGES = 100
"""From a viewer of the stream, whose messages have no effect."""
MOST_COMMANDS, COMMANDS_A_SECOND = 2000, 200
"""From a client of OSCQuery: at once, since some listen to each address by itself; and from then on."""
STUCK_SECONDS = 30.0
"""Who takes nothing for so long is dropped. Pings do not find out: they wait behind what was not taken."""


async def view(connection: ServerConnection, hubs: Hubs) -> None:
    """Send one viewer of a stream what is new."""
    assert connection.request is not None
    viewer = Viewer(parse_wish(connection.request.path))
    hub = hubs.of(viewer.wish.input)
    hub.greet(viewer)
    left = asyncio.ensure_future(_left(connection, _nothing_but_looks()))
    left.add_done_callback(lambda _: viewer.changed.set())
    try:
        await connection.send(hello(hub.info, hubs.names))
        while not left.done():
            await viewer.changed.wait()
            async with asyncio.timeout(STUCK_SECONDS):
                for message in viewer.take():
                    await connection.send(message)
    except TimeoutError:
        connection.transport.abort()
    except ConnectionClosed:
        pass
    finally:
        left.cancel()
        hub.viewers.discard(viewer)


async def listen(connection: ServerConnection, hubs: Hubs) -> None:
    """Send one client of OSCQuery the addresses that it listens to, as they change."""
    subscriptions = Subscriptions(hubs.messages)
    hubs.listeners.add(subscriptions)
    left = asyncio.ensure_future(_left(connection, _commands(subscriptions)))
    try:
        while not left.done():
            async with asyncio.timeout(STUCK_SECONDS):
                for packet in subscriptions.due():
                    await connection.send(packet)
            await asyncio.wait([left], timeout=1 / RATE)
    except TimeoutError:
        connection.transport.abort()
    except ConnectionClosed:
        pass
    finally:
        left.cancel()
        hubs.listeners.discard(subscriptions)


async def _left(connection: ServerConnection, allowed: Callable[[str | bytes], bool]) -> None:
    """Wait until one leaves. Who says more than is allowed is shown out."""
    with contextlib.suppress(ConnectionClosed):
        async for said in connection:
            if not allowed(said):
                await connection.close(CloseCode.POLICY_VIOLATION, "viewers only look")


def _nothing_but_looks() -> Callable[[str | bytes], bool]:
    """What is said is thrown away, and is counted."""
    count = 0

    def allowed(_: str | bytes) -> bool:
        nonlocal count
        count += 1
        return count <= MOST_MESSAGES

    return allowed


def _commands(subscriptions: Subscriptions) -> Callable[[str | bytes], bool]:
    """What is said is carried out if it is LISTEN or IGNORE. OSC, which Vidvox's page sends, is thrown away."""
    left, last = float(MOST_COMMANDS), time.monotonic()

    def allowed(said: str | bytes) -> bool:
        nonlocal left, last
        now = time.monotonic()
        left, last = min(MOST_COMMANDS, left + COMMANDS_A_SECOND * (now - last)) - 1, now
        if isinstance(said, str):
            subscriptions.command(said)
        return left > 0

    return allowed
