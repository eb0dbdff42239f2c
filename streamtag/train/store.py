"""Mel spectrograms on disk: one array a track, read where it lies.

A folder with

- ``store.json``: how the arrays were made;
- ``index.tsv``: a line for each array, appended when the array is whole; of several lines of one id the last holds;
- ``power/``: the arrays, NumPy's own ``.npy`` without pickled objects: mel power (frames, bands), no logarithm.

As published, power is stored and the logarithm taken when a patch is read. The published code stores float16, and under
NumPy 1 computed ``10000 * power`` of it in float32. Under NumPy 2 (NEP 50) the same expression stays float16, and is
infinite from a power of 6.55 on, as loud music has; so here it is cast first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from streamtag.dsp.params import HOP_LENGTH, N_FFT, N_MELS, SAMPLE_RATE
from streamtag.errors import DataError
from streamtag.files.outputs import replacing, writing

Float = Literal["float32", "float16"]
Power = NDArray[np.float32] | NDArray[np.float16]
FORMAT = "streamtag-training-store-1"
PARAMETERS, INDEX, ARRAYS = "store.json", "index.tsv", "power"
COLUMNS = ("id", "file", "frames", "audio", "bytes", "modified_ns")
COMPRESSION = np.float32(10_000)
LARGEST: dict[str, float] = {kind: float(np.finfo(kind).max) for kind in ("float32", "float16")}
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Stored:
    """A line of the index.

    Attributes
    ----------
    id : str
        The track.
    file : str
        Its array, from the store's folder, with ``/``.
    frames : int
        How many it has.
    audio : str
        The file that it was made of.
    bytes, modified_ns : int
        Size of that file, and when it was last changed (ns since 1970).
    """

    id: str
    file: str
    frames: int
    audio: str
    bytes: int
    modified_ns: int

    def line(self) -> str:
        """As text; tabs and ends of lines in names are escaped with backslashes."""
        return cells_line(asdict(self).values())

    @classmethod
    def of_line(cls, line: str) -> Stored:
        """From text (errors: ValueError, for what is no such line)."""
        cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            raise ValueError(f"has {len(cells)} cells; expected {', '.join(COLUMNS)}")
        name, file, frames, audio, size, modified = map(_unescaped, cells)
        return cls(name, file, int(frames), audio, int(size), int(modified))


class Store:
    """A store that is there, to be read; from any thread.

    Parameters
    ----------
    folder : Path
        Where it is.
    dtype : {'float32', 'float16'}
        Of its arrays.
    mels : int
        Bands.
    tracks : dict of {str: Stored}
        By id.
    """

    def __init__(self, folder: Path, dtype: Float, mels: int, tracks: dict[str, Stored]) -> None:
        self.folder = folder
        self.dtype: Float = dtype
        self.mels = mels
        self._tracks = tracks

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open a store.

        Parameters
        ----------
        folder : str or Path
            What `streamtag train prepare` wrote.

        Returns
        -------
        Store
            With all tracks whose array was whole.

        Raises
        ------
        DataError
            No store there, a damaged or an empty one.
        """
        folder = Path(folder)
        dtype = read_parameters(folder)
        if dtype is None:
            raise DataError(f"{folder}: no store of spectrograms; `streamtag train prepare` makes one")
        tracks = read_stored(folder)
        if not tracks:
            raise DataError(f"{folder}: holds no tracks yet; `streamtag train prepare` goes on with it")
        return cls(folder, dtype, N_MELS, tracks)

    @property
    def ids(self) -> tuple[str, ...]:
        """The tracks that it has."""
        return tuple(self._tracks)

    def __contains__(self, name: object) -> bool:
        """Whether it has this track."""
        return name in self._tracks

    def frames(self, name: str) -> int:
        """How many frames a track has (errors: DataError, for one that is not there)."""
        return self._track(name).frames

    def power(self, name: str) -> Power:
        """The mel power of a track, where it lies on disk.

        Parameters
        ----------
        name : str
            Its id.

        Returns
        -------
        memmap of float32 or float16, shape (frames, mels)
            Not writable.

        Raises
        ------
        DataError
            No such track, or a damaged array.
        """
        track = self._track(name)
        path = self.folder / track.file
        try:
            power: Power = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(f"{path}: cannot be read ({reason}); `streamtag train prepare` makes it again") from error
        if power.shape != (track.frames, self.mels) or power.dtype != self.dtype:
            raise DataError(
                f"{path}: holds {power.dtype} {power.shape}, and the index says {self.dtype} "
                f"{(track.frames, self.mels)}; delete it, and `streamtag train prepare` makes it again"
            )
        return power

    def log_mel(self, name: str, start: int, count: int) -> NDArray[np.float32]:
        """Frames as the networks take them: ``log10(10000 * power + 1)``, in float32 throughout.

        Parameters
        ----------
        name : str
            The track.
        start, count : int
            Which of its frames.

        Returns
        -------
        ndarray of float32, shape (count, mels)
            The caller's.

        Raises
        ------
        DataError
            No such track, or a damaged array.
        ValueError
            Frames that it does not have.
        """
        if not 0 <= start <= start + count <= self.frames(name):
            raise ValueError(f"{name}: frames {start} to {start + count} of {self.frames(name)}")
        frames = self.power(name)[start : start + count].astype(np.float32)
        frames *= COMPRESSION
        frames += np.float32(1)
        return np.log10(frames, out=frames)

    def _track(self, name: str) -> Stored:
        try:
            return self._tracks[name]
        except KeyError:
            raise DataError(
                f"{self.folder}: has no track {name!r}; `streamtag train prepare` adds those of another index"
            ) from None


# --- the files ----------------------------------------------------------------------------------------------------


def array_file(name: str) -> str:
    """Where a track's array lies, from the store's folder: by a checksum, for not every id may be a file's name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ARRAYS}/{digest[:2]}/{digest[2:34]}.npy"


def write_power(path: Path, blocks: Iterable[NDArray[np.float32]], dtype: Float) -> int:
    """Write an array block by block: memory does not grow with the track. It has its name when it is whole.

    Parameters
    ----------
    path : Path
        The file; its folder is made.
    blocks : iterable of ndarray of float32
        Mel power, each of shape (n, 96). What float16 cannot hold becomes its largest number, 65504, where the
        published code stored infinity, of which a network only learns NaN.
    dtype : {'float32', 'float16'}
        As what it is stored.

    Returns
    -------
    int
        Frames written.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    frames = 0
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        _write_header(file, frames, dtype)
        for block in blocks:
            file.write(np.minimum(block, LARGEST[dtype]).astype(np.dtype(dtype).newbyteorder("<")).tobytes())
            frames += len(block)
        file.seek(0)
        _write_header(file, frames, dtype)
    return frames


def _write_header(file: IO[bytes], frames: int, dtype: Float) -> None:
    """The header of a .npy file. It has room for any number of frames: numpy.lib.format's GROWTH_AXIS_MAX_DIGITS."""
    described = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": (frames, N_MELS)}
    npy.write_array_header_1_0(file, described)


def array_bytes(frames: int, dtype: Float) -> int:
    """How long the file of an array is."""
    header = BytesIO()
    _write_header(header, frames, dtype)
    return header.tell() + frames * N_MELS * np.dtype(dtype).itemsize


def parameters(dtype: Float) -> dict[str, Any]:
    """What ``store.json`` says: format, numbers of the front end, type of the arrays."""
    return {
        "format": FORMAT,
        "dtype": dtype,
        "sample_rate": SAMPLE_RATE,
        "n_fft": N_FFT,
        "hop_length": HOP_LENGTH,
        "n_mels": N_MELS,
        "values": "mel power, centred frames; the networks take log10(10000 * power + 1)",
    }


def read_parameters(folder: Path) -> Float | None:
    """The type of a store's arrays; None where there is no store.

    Raises
    ------
    DataError
        Something else is there, or a store of another front end.
    """
    path = folder / PARAMETERS
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        dtype: Float = said["dtype"]
        fits = said == parameters(dtype)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not what `streamtag train prepare` writes ({error}); give another folder") from error
    if not fits or dtype not in LARGEST:
        raise DataError(f"{path}: of another kind than this streamtag makes and reads ({FORMAT}); give another folder")
    return dtype


def write_parameters(folder: Path, dtype: Float) -> None:
    """Write ``store.json`` (errors: SinkError)."""
    with replacing(folder / PARAMETERS) as file:
        file.write((json.dumps(parameters(dtype), indent=1) + "\n").encode())


def read_stored(folder: Path) -> dict[str, Stored]:
    """The index by id; the last line of an id holds, and one that was cut off while it was written is none.

    Raises
    ------
    DataError
        A wrong line before the last.
    """
    path = folder / INDEX
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    lines = text.split("\n")[:-1]  # behind the last end of a line is nothing, or a line without an end
    tracks: dict[str, Stored] = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            track = Stored.of_line(line)
        except ValueError as error:
            raise DataError(f"{path}: line {number} {error}") from None
        tracks.pop(track.id, None)
        tracks[track.id] = track
    return tracks


def write_stored(folder: Path, tracks: Iterable[Stored]) -> None:
    """Write the index anew, whole or not at all (errors: SinkError)."""
    with replacing(folder / INDEX) as file:
        file.writelines(line.encode("utf-8", "surrogateescape") for line in _lines(tracks))


def _lines(tracks: Iterable[Stored]) -> Iterator[str]:
    yield cells_line(COLUMNS)
    yield from (track.line() for track in tracks)


def cells_line(cells: Iterable[object]) -> str:
    """A line of cells between tabs; tabs and ends of lines in them are escaped with backslashes."""
    return "\t".join(str(cell).translate(_ESCAPES) for cell in cells) + "\n"


def _unescaped(cell: str) -> str:
    pieces = cell.split("\\\\")
    for plain, escaped in (("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        pieces = [piece.replace(escaped, plain) for piece in pieces]
    return "\\".join(pieces)
