"""What the shell offers after <Tab> for the words that only streamtag knows: models, heads, inputs."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from streamtag._system.stderr import c_libraries_silent
from streamtag.errors import StreamtagError
from streamtag.inference.networks.architectures import ARCHITECTURES
from streamtag.inference.networks.catalogue import ONNX, SUFFIX, other_models, own_models
from streamtag.inference.networks.specs import SPECS


def complete_model(incomplete: str) -> list[str]:
    """Models by name, and files of one's own."""
    names = [name for name in (*SPECS, *other_models(), *own_models()) if name.startswith(incomplete)]
    return [*names, *_paths(incomplete, {SUFFIX, ONNX})]


def complete_architecture(incomplete: str) -> list[str]:
    """Architectures to train."""
    return [name for name in ARCHITECTURES if name.startswith(incomplete)]


def complete_head(incomplete: str) -> list[str]:
    """Head files, and folders in which there may be some."""
    return _paths(incomplete, {".head"})


def complete_input(incomplete: str) -> list[str]:
    """The demo, devices by name, and files of sound."""
    from streamtag.decoding.find import EXTENSIONS
    from streamtag.sources.listing import devices

    names = ["default", "demo"]
    with suppress(StreamtagError), c_libraries_silent():  # no sound system here: there are still files
        names += [name for device in devices() for name in device.names if name]
    named = [_for_shell(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]
    return [*named, *_paths(incomplete, EXTENSIONS)]


def _paths(incomplete: str, suffixes: frozenset[str] | set[str]) -> list[str]:
    """Files of such names, and folders in which there may be some; hidden ones where a point was typed."""
    typed = Path(os.path.expanduser(incomplete))  # noqa: PTH111 - leaves the name of no user as it is
    folder, start = (typed, "") if not incomplete or incomplete.endswith(os.sep) else (typed.parent, typed.name)
    with suppress(OSError):
        return [
            _for_shell(f"{entry}{os.sep}" if entry.is_dir() else str(entry))
            for entry in sorted(folder.iterdir())
            if entry.name.startswith(start)
            and (start.startswith(".") or not entry.name.startswith("."))
            and (entry.suffix.lower() in suffixes or entry.is_dir())
        ]
    return []


def _for_shell(name: str) -> str:
    """A name as it must stand on the line: zsh, fish and PowerShell quote what they are given, bash does not."""
    if os.environ.get("_STREAMTAG_COMPLETE") != "complete_bash":
        return name
    word = os.environ.get("COMP_WORDS", "").rpartition("\n")[2]
    return name if word[:1] in ("'", '"') else re.sub(r"([^\w@%+=:,./~-])", r"\\\1", name)
