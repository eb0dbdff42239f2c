"""The calibrations that ship with the models."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from streamtag.inference.networks.catalogue import find_weights, model_folders
from streamtag.inference.networks.specs import SPECS
from streamtag.tagging.calibration_file import check_calibration, shipped_calibration, write_calibration
from streamtag.tagging.tagger import Tagger

MODELS = ("MTT_musicnn", "MSD_musicnn", "MTT_vgg", "MSD_vgg")


@pytest.mark.parametrize("model", MODELS)
def test_each_model_has_one_that_fits_and_says_what_it_is_made_of(model: str) -> None:
    calibration = shipped_calibration(model)
    assert calibration is not None
    check_calibration(calibration, SPECS[model])
    assert (calibration.window_frames, calibration.smooth, calibration.level) == (187, 1.0, "auto")
    assert calibration.facts["hours"] > 1
    assert "GTZAN" in calibration.facts["material"]
    assert "0ad-data/m" in calibration.facts["material"]
    assert (np.diff(calibration.quantiles[:, :], axis=0).max(axis=0) > 0).all(), "every tag moves"
    low, high = calibration.scores_at(0.05), calibration.scores_at(0.95)
    assert (high > 1.5 * low).all()


def test_what_never_reaches_a_score_reaches_its_own_95_percent() -> None:
    """The moods of MSD_musicnn: with one score for all tags they would never be on."""
    calibration = shipped_calibration("MSD_musicnn")
    assert calibration is not None
    high = dict(zip(SPECS["MSD_musicnn"].labels, calibration.scores_at(0.95), strict=True))
    for mood in ("happy", "sad", "party", "sexy", "catchy"):
        assert 0 < high[mood] < 0.1
    assert high["rock"] > 0.3


def test_auto_is_the_shipped_one_and_none_of_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = shipped_calibration("MTT_vgg")
    assert shipped is not None
    sound = np.random.default_rng(1).normal(0, 0.1, 16_000 * 4).astype(np.float32)
    (frame,) = Tagger("MTT_vgg", hop=5, calibration="auto").push(sound, 16_000)
    assert frame.calibrated is not None
    np.testing.assert_array_equal(frame.calibrated, shipped.calibrated(frame.scores))
    monkeypatch.setenv("STREAMTAG_MODELS", str(tmp_path))
    weights = find_weights("MTT_vgg")
    assert weights is not None
    shutil.copy(weights, tmp_path)
    assert model_folders()[0] == tmp_path
    from dataclasses import replace

    write_calibration(tmp_path / "MTT_vgg.cal", replace(shipped, model_sha256="0" * 64))
    assert shipped_calibration("MTT_vgg") is None
    (frame,) = Tagger("MTT_vgg", hop=5, calibration="auto").push(sound, 16_000)
    assert frame.calibrated is None
