"""Calibrations on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamtag.errors import CalibrationError
from streamtag.heads.file import arrays_sha256
from streamtag.inference.networks.catalogue import find_spec, weights_sha256
from streamtag.inference.networks.weights import save_whole
from streamtag.tagging.calibration import LEVELS, Calibration, quantiles
from streamtag.tagging.calibration_file import (
    FORMAT,
    check_calibration,
    differs,
    load_calibration,
    write_calibration,
)

MODEL = "MSD_musicnn"


def calibration(**changes: object) -> Calibration:
    scores = np.random.default_rng(1).beta(0.5, 5, (200, 50)).astype(np.float32)
    made = Calibration(
        MODEL, weights_sha256(MODEL), 187, 1.0, "auto", LEVELS.astype(np.float32), quantiles([scores]), {"files": 3}
    )
    return replace(made, **changes)  # type: ignore[arg-type] # by name


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = calibration(facts={"files": 3, "material": ["Musik für Märsche"]})
    assert load_calibration(write_calibration(tmp_path / "mine.cal", made)) == made


@pytest.mark.parametrize("cut", [0, 1, 9, 300, -1])
def test_one_that_was_cut_is_refused(tmp_path: Path, cut: int) -> None:
    path = write_calibration(tmp_path / "mine.cal", calibration())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CalibrationError, match=r"mine\.cal: not a calibration, or one that was cut or damaged"):
        load_calibration(path)


def test_one_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = write_calibration(tmp_path / "mine.cal", calibration())
    changed = bytearray(path.read_bytes())
    changed[-10] ^= 0x10
    path.write_bytes(changed)
    with pytest.raises(CalibrationError, match="checksum"):
        load_calibration(path)


def test_what_is_not_there_is_told_with_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no such file; `streamtag calibrate MUSIC"):
        load_calibration(tmp_path / "no.cal")


def test_weights_are_no_calibration() -> None:
    from streamtag.inference.networks.catalogue import find_weights

    path = find_weights(MODEL)
    assert path is not None
    with pytest.raises(CalibrationError):
        load_calibration(path)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda about, arrays: about.pop("model"), "KeyError"),
        (lambda about, arrays: about.update(model="other"), "not among the models"),
        (lambda about, arrays: about.update(window_frames="187"), "wrong type"),
        (lambda about, arrays: arrays.update(quantiles=arrays["quantiles"][:, :3].copy()), "shape"),
        (lambda about, arrays: arrays.update(quantiles=arrays["quantiles"][::-1].copy()), "fall"),
        (lambda about, arrays: arrays.update(quantiles=np.full_like(arrays["quantiles"], np.nan)), "fall"),
        (lambda about, arrays: arrays.update(levels=arrays["levels"] / 2), "rise from 0 to 1"),
    ],
)
def test_one_that_lies_about_itself_is_refused(tmp_path: Path, spoil, why: str) -> None:
    made = calibration()
    about = {"model": MODEL, "model_sha256": "", "window_frames": 187, "smooth": 1.0, "level": "auto", "facts": {}}
    arrays = {"levels": made.levels.copy(), "quantiles": made.quantiles.copy()}
    spoil(about, arrays)
    text = json.dumps(about)
    path = tmp_path / "odd.cal"
    save_whole(arrays, path, {"format": FORMAT, "calibration": text, "sha256": arrays_sha256(text, arrays)})
    with pytest.raises(CalibrationError, match=rf"odd\.cal.*{why}"):
        load_calibration(path)


def test_that_of_another_model_or_of_other_weights_is_refused() -> None:
    check_calibration(calibration(), find_spec(MODEL))
    with pytest.raises(CalibrationError, match="--model MSD_musicnn"):
        check_calibration(calibration(), find_spec("MTT_musicnn"))
    with pytest.raises(CalibrationError, match="other weights"):
        check_calibration(calibration(model_sha256="0" * 64), find_spec(MODEL))


def test_it_says_what_is_heard_otherwise_than_the_reference_was() -> None:
    assert differs(calibration(), 187, 1.0, "auto") is None
    note = differs(calibration(), 62, 0.3, "off")
    assert note is not None
    assert "window" in note
    assert "now 0.3 s" in note
    assert "level auto (now off)" in note
