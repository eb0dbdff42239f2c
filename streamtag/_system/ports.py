"""Where something listens, as people write it."""

from __future__ import annotations

import re

from streamtag.errors import OptionError


def parse_listen(text: str, what: str = "the port for OSC", example: int = 9001) -> tuple[str, int]:
    """``PORT`` (on this machine only), ``HOST:PORT`` or ``[IPV6]:PORT`` to host and port.

    Parameters
    ----------
    text : str
        As it was typed.
    what : str
        What it is the port of.
    example : int
        One that would do.

    Returns
    -------
    host : str
        127.0.0.1 where there is none.
    port : int
        The port.

    Raises
    ------
    OptionError
        Anything else.
    """
    match = re.fullmatch(r"(?:(?:\[([^\]]+)\]|([^:\[\]]+)):)?(\d{1,5})", text.strip())
    if not match or not 1 <= int(match[3]) <= 65535:
        raise OptionError(
            f"{what} {text!r}: expected PORT, for example {example}, which only programs on this machine reach; "
            f"or HOST:PORT with an address of this machine, for example 0.0.0.0:{example} for all of its networks"
        )
    return match[1] or match[2] or "127.0.0.1", int(match[3])
