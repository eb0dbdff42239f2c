"""The file of a take: a ZIP of NumPy arrays and JSON, in parts, which `numpy.load` opens, too.

A part holds some seconds. It is added to the file as a whole; what was there before stays if that fails, so a full disk
or an end by force costs the last part at the most.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import DataError, SinkError
from streamtag.files.outputs import writing
from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import SessionInfo
from streamtag.takes.parts import info_as_json, info_from_json, unpack

VERSION = 1
HEADER = "take.json"
MOST_BYTES = 1 << 28
"""Of a member: more than any part has that was written here."""


def create_take(path: Path, info: SessionInfo) -> None:
    """A take of a session in which nothing was said yet.

    Raises
    ------
    SinkError
        The file is there already, or cannot be written.
    """
    header = {"version": VERSION, "info": info_as_json(info)}
    with writing(path), zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as take:
        take.writestr(HEADER, json.dumps(header))


def append_part(
    path: Path, number: int, events: list[dict[str, Any]], arrays: Mapping[str, NDArray[np.float32]]
) -> None:
    """Add a part.

    Raises
    ------
    SinkError
        It cannot be written; the file is then as it was.
    """
    with writing(path):
        try:
            with zipfile.ZipFile(path) as take:
                end = take.start_dir
        except zipfile.BadZipFile as error:
            raise SinkError(f"cannot write {path}: another program has changed it ({error})") from error
        with path.open("rb") as file:
            file.seek(end)
            directory = file.read()  # which a further member overwrites
        try:
            with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as take:
                for name, array in arrays.items():
                    packed = io.BytesIO()
                    np.save(packed, array, allow_pickle=False)
                    take.writestr(f"{number:06d}/{name}.npy", packed.getvalue())
                take.writestr(f"{number:06d}/events.json", json.dumps(events))
        except BaseException:
            with path.open("r+b") as file:
                file.seek(end)
                file.write(directory)
                file.truncate()
            raise


class Take:
    """A take that was written; read part by part, for it may be of a whole night.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    info : SessionInfo
        The session of which it is.

    Raises
    ------
    DataError
        What is no take, or of a later version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as take:
                header = json.loads(_member(take, HEADER))
                names = [re.fullmatch(r"(\d{6,})/events\.json", name) for name in take.namelist()]
            self._parts = sorted(int(name[1]) for name in names if name)
            version = header["version"]
            if version == VERSION:
                self.info = info_from_json(header["info"])
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}") from error
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError, NotImplementedError, RuntimeError) as error:
            raise DataError(f"{path} is no take: `streamtag live --record` writes them") from error
        if version != VERSION:
            raise DataError(f"{path} is a take of version {version}, and this streamtag reads {VERSION}: update it")

    @property
    def seconds(self) -> float:
        """How long it is, from the beginning to what was said last."""
        last = self._part(self._parts[-1]) if self._parts else []
        return last[-1][0] if last else 0.0

    def __iter__(self) -> Iterator[tuple[float, TagFrame | Stats]]:
        """What was said: seconds since the beginning, and a frame or counters. Raises DataError where it is damaged."""
        for number in self._parts:
            yield from self._part(number)

    def _part(self, number: int) -> list[tuple[float, TagFrame | Stats]]:
        try:
            with zipfile.ZipFile(self.path) as take:
                prefix = f"{number:06d}/"
                events = json.loads(_member(take, f"{prefix}events.json"))
                arrays = {
                    name.removeprefix(prefix).removesuffix(".npy"): np.load(
                        io.BytesIO(_member(take, name)), allow_pickle=False
                    )
                    for name in take.namelist()
                    if name.startswith(prefix) and name.endswith(".npy")
                }
            return list(unpack(events, arrays))
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror or error}") from error
        except Exception as error:  # whatever a damaged ZIP, array, number or name leads to
            raise DataError(f"{self.path} is damaged: its part {number} cannot be read ({error})") from error


def _member(take: zipfile.ZipFile, name: str) -> bytes:
    if take.getinfo(name).file_size > MOST_BYTES:
        raise ValueError(f"{name} is too large")
    return take.read(name)
