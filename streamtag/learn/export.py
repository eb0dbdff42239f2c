"""Features of many files in one file, for those who train elsewhere: NumPy's .npz, or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from streamtag.errors import MissingExtraError, OptionError
from streamtag.files.outputs import replacing
from streamtag.inference.base import feature_sizes
from streamtag.learn.features import Extraction, FileFeatures


def check_format(target: Path) -> None:
    """Refuse a format that cannot be written, before any long work.

    Raises
    ------
    OptionError
        Neither .npz nor .parquet, or no pyarrow for the latter.
    """
    if target.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise MissingExtraError(f"--out {target} (Parquet; .npz needs nothing more)", "parquet") from None
    elif target.suffix != ".npz":
        raise OptionError(f"--out {target}: expected .npz or .parquet")


def write_features(target: Path, files: Sequence[FileFeatures], extraction: Extraction) -> None:
    """Write all patches of all files, one after the other.

    Parameters
    ----------
    target : Path
        .npz: an array for each feature (patches, units), `file_index` (patches,), index into `files`; `start`
        (patches,), seconds; `files`, `sha256`, `sound_sha256` (the same for copies of a sound), `notes` (what is off
        about a file), `tags`, `model`. .parquet: a row for each patch: `path`, `sha256`, `start`, `sound_sha256`, and a
        list of float32 for each feature.
    files : sequence of FileFeatures
        What `extract` gave.
    extraction : Extraction
        Which features they are.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    spec = extraction.spec
    counts = [len(file.features["taggram"]) for file in files]
    hop = extraction.hop_frames * extraction.spec.front_end.frame_seconds
    starts = np.concatenate([np.empty(0), *(np.arange(count) * hop for count in counts)])
    owner = np.repeat(np.arange(len(files)), counts)
    features = {
        name: np.concatenate([np.empty((0, size), np.float32), *(file.features[name] for file in files)])
        for name, size in feature_sizes(spec).items()
    }
    paths, checksums = [str(file.path) for file in files], [file.sha256 for file in files]
    sounds, notes = [file.sound.sha256 for file in files], ["; ".join(file.sound.notes) for file in files]
    with replacing(target) as file:
        if target.suffix == ".parquet":
            columns = {
                "path": [as_utf8(paths[i]) for i in owner],
                "sha256": [checksums[i] for i in owner],
                "start": starts,
                "sound_sha256": [sounds[i] for i in owner],
                **features,
            }
            _write_parquet(file, columns, {"model": spec.name, "tags": "\n".join(spec.labels)})
        else:
            arrays: dict[str, Any] = {
                **features,
                "file_index": owner,
                "start": starts,
                "files": np.array(paths, np.str_),
                "sha256": np.array(checksums, np.str_),
                "sound_sha256": np.array(sounds, np.str_),
                "notes": np.array(notes, np.str_),
                "tags": np.array(spec.labels),
                "model": np.array(spec.name),
            }
            np.savez_compressed(file, **arrays)


def as_utf8(path: str) -> str:
    """A path that is no text (bytes that are not UTF-8 in it) as text, each such byte by its number."""
    return path.encode("utf-8", "backslashreplace").decode()


def _write_parquet(file: IO[bytes], columns: dict[str, Any], metadata: dict[str, str]) -> None:
    import pyarrow
    import pyarrow.parquet

    arrays = {
        name: pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(value.ravel()), value.shape[1])
        if getattr(value, "ndim", 1) == 2
        else pyarrow.array(value, pyarrow.float64() if name == "start" else pyarrow.string())
        for name, value in columns.items()
    }
    pyarrow.parquet.write_table(pyarrow.table(arrays, metadata=metadata), file)
