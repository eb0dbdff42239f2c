"""Calibrations on disk: one small safetensors file, arrays and JSON. Reading one executes nothing."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from streamtag.decoding.regular import unopenable
from streamtag.dsp.params import FRAME_SECONDS
from streamtag.errors import CalibrationError
from streamtag.heads.file import arrays_sha256
from streamtag.inference.networks.catalogue import is_file_name, known_spec, model_folders, weights_sha256
from streamtag.inference.networks.specs import SPECS, ModelSpec
from streamtag.inference.networks.weights import save_whole
from streamtag.tagging.calibration import Calibration

FORMAT = "streamtag-calibration-1"
SUFFIX = ".cal"
LARGEST_FILE = 1 << 24
MOST_LEVELS = 10_000


def shipped_calibration(model: str) -> Calibration | None:
    """The calibration that is installed beside a model's weights; None if there is none, or it is of other weights.

    Raises
    ------
    CalibrationError
        One that is there, and cannot be read.
    """
    for folder in model_folders():
        path = folder / f"{model}{SUFFIX}"
        if path.is_file():
            found = load_calibration(path)
            return found if found.model_sha256 == weights_sha256(model) else None
    return None


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration, the shipped one or what `streamtag calibrate` wrote. Nothing in the file is executed.

    Raises
    ------
    CalibrationError
        Not a calibration, damaged, changed after it was written, or not for a model known here.
    """
    path = Path(path)
    if (why := unopenable(path)) is not None:
        raise CalibrationError(f"{path}: {why}; `streamtag calibrate MUSIC --out {path}` makes one")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise CalibrationError(f"{path}: larger than any calibration ({LARGEST_FILE >> 20} MiB)")
        with safe_open(path, framework="np") as file:
            metadata: dict[str, str] = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CalibrationError(f"{path}: a safetensors file, but not a calibration of streamtag's ({FORMAT})")
            arrays = {key: file.get_tensor(key) for key in sorted(file.keys())}
    except (SafetensorError, OSError, struct.error, ValueError, TypeError) as error:
        raise CalibrationError(
            f"{path}: not a calibration, or one that was cut or damaged ({error}); a calibration is what "
            "`streamtag calibrate` writes"
        ) from error
    about = metadata.get("calibration", "")
    if metadata.get("sha256") != arrays_sha256(about, arrays):
        raise CalibrationError(f"{path}: not as it was written (checksum): get it again, or make it again")
    try:
        return _parse(json.loads(about), arrays)
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CalibrationError(
            f"{path}: a calibration whose description cannot be used ({type(error).__name__}: {error})"
        ) from error


def write_calibration(path: str | Path, calibration: Calibration) -> Path:
    """Write a calibration, beside and renamed, so that a full disk leaves no half file under the real name.

    Raises
    ------
    CalibrationError
        If it cannot be written.
    """
    path = Path(path)
    arrays = {"levels": calibration.levels, "quantiles": np.ascontiguousarray(calibration.quantiles)}
    about = json.dumps(
        {
            "model": calibration.model,
            "model_sha256": calibration.model_sha256,
            "window_frames": calibration.window_frames,
            "smooth": calibration.smooth,
            "level": calibration.level,
            "facts": dict(calibration.facts),
        },
        ensure_ascii=False,
    )
    try:
        save_whole(arrays, path, {"format": FORMAT, "calibration": about, "sha256": arrays_sha256(about, arrays)})
    except (OSError, SafetensorError) as error:
        raise CalibrationError(f"cannot write {path}: {error}") from error
    return path


def check_calibration(calibration: Calibration, spec: ModelSpec) -> None:
    """Refuse a calibration of another model.

    Raises
    ------
    CalibrationError
        Made with another model, or with other weights of it.
    """
    same_weights = calibration.model_sha256 == weights_sha256(spec.name)
    if calibration.model != spec.name and not (same_weights and spec.trained):  # a file may have another name now
        raise CalibrationError(
            f"the calibration was made with {calibration.model}, not with {spec.name}: give --model "
            f"{calibration.model}, or make one with `streamtag calibrate --model {spec.name}`"
        )
    if calibration.model_sha256 and not same_weights:
        raise CalibrationError(
            f"the calibration was made with other weights of {spec.name} than those installed: make it again"
        )
    if calibration.quantiles.shape[1] != len(spec.labels):
        raise CalibrationError(
            f"the calibration is of {calibration.quantiles.shape[1]} tags, not of {len(spec.labels)}"
        )


def differs(calibration: Calibration, window_frames: int, smooth: float, level: str) -> str | None:
    """How what is heard now differs from how the reference was heard, in words; None if it does not."""
    found = []
    if calibration.window_frames != window_frames:
        found.append(
            f"windows of {calibration.window_frames * FRAME_SECONDS:.2f} s (now {window_frames * FRAME_SECONDS:.2f} s)"
        )
    if calibration.smooth != smooth:
        found.append(f"a smoothing of {calibration.smooth:g} s (now {smooth:g} s)")
    if calibration.level != level:
        found.append(f"level {calibration.level} (now {level})")
    return f"the calibration is of {', '.join(found)}: 95% is not quite as rare as it says" if found else None


def _parse(about: Any, arrays: dict[str, Any]) -> Calibration:
    if not (
        all(isinstance(about[key], str) for key in ("model", "model_sha256", "level"))
        and type(about["window_frames"]) is int
        and isinstance(about["smooth"], int | float)
        and isinstance(about["facts"], dict)
    ):
        raise CalibrationError("a value of the wrong type in its description")
    spec = known_spec(about["model"])
    if spec is None and not is_file_name(about["model"]):
        raise CalibrationError(f"of {about['model']!r}, which is not among the models here: {', '.join(SPECS)}")
    levels, quantiles = arrays["levels"], arrays["quantiles"]
    tags = len(spec.labels) if spec is not None else quantiles.size // max(1, len(levels))
    if not (
        levels.dtype == quantiles.dtype == np.float32
        and levels.ndim == 1
        and 2 <= len(levels) <= MOST_LEVELS
        and quantiles.shape == (len(levels), tags)
    ):
        raise CalibrationError(f"quantiles of shape {quantiles.shape} at levels of shape {levels.shape}")
    if not (levels[0] == 0 and levels[-1] == 1 and (np.diff(levels) > 0).all()):
        raise CalibrationError("its levels do not rise from 0 to 1")
    if not ((np.diff(quantiles, axis=0) >= 0).all() and (quantiles >= 0).all() and (quantiles <= 1).all()):
        raise CalibrationError("its quantiles are no scores, or fall")
    return Calibration(
        model=about["model"],
        model_sha256=about["model_sha256"],
        window_frames=about["window_frames"],
        smooth=float(about["smooth"]),
        level=about["level"],
        levels=levels,
        quantiles=quantiles,
        facts=about["facts"],
    )
