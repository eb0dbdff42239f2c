"""A live session by its options: the one way in, for `streamtag live` and for `streamtag.live`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from streamtag.engine import Session
from streamtag.heads.head import common_level
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.specs import live_level
from streamtag.osc.control import ControlPort
from streamtag.sinks.base import Sink
from streamtag.sources.opening import Input, open_source
from streamtag.tagging.options import TaggingKeywords, TaggingOptions, chosen, live_options
from streamtag.tagging.tagger import Tagger

if TYPE_CHECKING:
    from streamtag.sources.device import Callback


def open_session(
    options: TaggingOptions,
    input: Input = "default",
    sinks: Sequence[Sink] = (),
    *,
    channels: tuple[int, ...] | None = None,
    loop: bool = False,
    callback: Callback = "auto",
    control: ControlPort | None = None,
    play: bool = False,
    raw: str | None = None,
    save_heads: Mapping[str, str | Path] | None = None,
    beside: Iterable[Session] = (),
) -> Session:
    """Open the source, then build the network: what is wrong with the input is reported at once.

    Parameters
    ----------
    options : TaggingOptions
        How to tag.
    input : str, int, path, Device or Source
        See `live`.
    sinks : sequence of Sink
        See `live`.
    channels : tuple of int or None
        See `live`.
    loop : bool
        See `live`.
    callback : {'auto', 'native', 'python'}
        See `live`.
    control : ControlPort or None
        See `live`.
    play : bool
        See `live`.
    raw : str or None
        See `live`.
    save_heads : mapping of {str: path} or None
        See `live`.
    beside : iterable of Session
        Others, not started yet: a device that they hear is opened once.

    Returns
    -------
    Session
        The session, yet to be started.

    Raises
    ------
    StreamtagError
        What cannot be used or opened; everything is then closed again.
    """
    options = replace(
        options, level=options.level or common_level(options.heads) or live_level(find_spec(options.model))
    )
    others = [session.source for session in beside]
    source = open_source(input, channels=channels, loop=loop, callback=callback, play=play, raw=raw, beside=others)
    try:
        return Session(source, Tagger(options=options), sinks, control=control, save_heads=save_heads)
    except BaseException:
        source.stop()
        raise


def live(
    model: str | None = None,
    input: Input = "default",  # the word users know it by
    sinks: Sequence[Sink] = (),
    *,
    channels: tuple[int, ...] | None = None,
    loop: bool = False,
    callback: Callback = "auto",
    control: ControlPort | None = None,
    play: bool = False,
    raw: str | None = None,
    save_heads: Mapping[str, str | Path] | None = None,
    options: TaggingOptions | None = None,
    **changes: Unpack[TaggingKeywords],
) -> Session:
    """Listen to a device, a file or the demo clip: ``with streamtag.live(...) as session: for frame in session: ...``.

    Parameters
    ----------
    model : str or None
        Name of the model, as published; None for that of `options`.
    input : str, int, path, Device or Source
        ``default``, a device's index or (part of its) name, ``NAME, HOST``, one of `devices()`, ``system`` (what the
        machine plays), a file's path, ``-`` (stdin), the path of a FIFO, an address (``https://...``), ``demo``; or a
        source of your own.
    sinks : sequence of Sink
        Where frames go besides the iteration.
    channels : tuple of int or None
        Which channels to hear, counted from 1.
    loop : bool
        Start a file again at its end.
    callback : {'auto', 'native', 'python'}
        What PortAudio calls (see `DeviceSource`).
    control : ControlPort or None
        A port where OSC messages steer the session.
    play : bool
        Play a file or the demo on the default output as well.
    raw : str or None
        What the samples of a pipe without a header are: ``s16le,44100,2``.
    save_heads : mapping of {str: path} or None
        Where heads that were corrected (`Session.correct`) are written, by name.
    options : TaggingOptions or None
        How to tag; None for what serves live: the level brought to the models', scores that react, each tag's own
        scale, tags at rest while no music is heard, a gate of -60 dBFS.
    **changes : TaggingKeywords
        Single options by name, in place of those in `options` (see `TaggingOptions`). Without `options`, ``smooth``
        means plain smoothing; and ``level="off"`` leaves out what was measured at the models' level: scales and music.

    Returns
    -------
    Session
        The session, not started yet.

    Raises
    ------
    StreamtagError
        What cannot be used or opened.
    """
    given = chosen(model, options or live_options(changes), changes)
    return open_session(
        given,
        input,
        sinks,
        channels=channels,
        loop=loop,
        callback=callback,
        control=control,
        play=play,
        raw=raw,
        save_heads=save_heads,
    )
