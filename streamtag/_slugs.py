"""Labels as parts of OSC addresses."""

from __future__ import annotations

import re


def slug(label: str) -> str:
    """A label as the last part of an OSC address: lower case, ``_`` for spaces and what OSC reserves."""
    return re.sub(r"[^!-~]|[#*,/?\[\]{}]", "_", label.lower())
