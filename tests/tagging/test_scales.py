"""Each tag's own scale through the whole path: frames, switches and thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from streamtag.errors import OptionError
from streamtag.inference.networks.catalogue import weights_sha256
from streamtag.tagging.calibration import LEVELS, Calibration, quantiles
from streamtag.tagging.tagger import Tagger

RATE = 16_000
MODEL = "MTT_musicnn"


def sound(seconds: float = 9) -> np.ndarray:
    """Chords that change each second, and noise."""
    random = np.random.default_rng(1)
    time = np.arange(RATE) / RATE
    chords = [
        sum(np.sin(2 * np.pi * pitch * time) for pitch in random.uniform(80, 2000, 4)) for _ in range(int(seconds))
    ]
    return (0.1 * np.concatenate(chords) + 0.01 * random.standard_normal(int(seconds) * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def own() -> Calibration:
    """The scale of that sound itself."""
    scores = np.array([frame.scores for frame in Tagger(MODEL, hop=0.128).push(sound(), RATE)])
    return Calibration(
        MODEL, weights_sha256(MODEL), 187, 1.0, "off", LEVELS.astype(np.float32), quantiles([scores]), {}
    )


def test_frames_say_where_their_scores_lie_and_stay_as_they_are_else(own: Calibration) -> None:
    plain = Tagger(MODEL, hop=0.128).push(sound(), RATE)
    frames = Tagger(MODEL, hop=0.128, calibration=own).push(sound(), RATE)
    assert len(frames) == len(plain) > 40
    for frame, before in zip(frames, plain, strict=True):
        assert before.calibrated is None
        assert frame.calibrated is not None
        assert not frame.calibrated.flags.writeable
        np.testing.assert_array_equal(frame.calibrated, own.calibrated(frame.scores))
        np.testing.assert_array_equal(frame.scores, before.scores)
        assert (frame.top, frame.on, frame.switched) == (before.top, before.on, before.switched)
    assert np.mean([frame.calibrated for frame in frames]) == pytest.approx(0.5, abs=0.01)


def test_chunks_make_no_difference(own: Calibration) -> None:
    whole = Tagger(MODEL, hop=0.128, calibration=own, threshold="70%").push(sound(), RATE)
    tagger = Tagger(MODEL, hop=0.128, calibration=own, threshold="70%")
    parts = [frame for part in np.array_split(sound(), 77) for frame in tagger.push(part, RATE)]
    assert parts == whole


def test_a_percentage_is_that_score_of_each_tag(own: Calibration) -> None:
    tagger = Tagger(MODEL, hop=0.128, calibration=own, threshold="90%")
    limits = dict(zip(tagger.labels, own.scores_at(0.9), strict=True))
    ever: set[str] = set()
    for frame in tagger.push(sound(), RATE):
        scores = dict(zip(tagger.labels, frame.scores, strict=True))
        for label, is_on in frame.switched:
            assert scores[label] >= limits[label] if is_on else scores[label] < limits[label]
        ever |= frame.on
    assert len(ever) > 0.9 * len(tagger.labels), "no tag that is never on"


def test_the_threshold_can_be_changed_from_one_kind_to_the_other(own: Calibration) -> None:
    tagger = Tagger(MODEL, hop=0.128, calibration=own, threshold=1.0)
    first = tagger.push(sound()[: 4 * RATE], RATE)
    assert not any(frame.on for frame in first)
    tagger.set_threshold("0.1%")
    later = tagger.push(sound()[4 * RATE : 6 * RATE], RATE)
    assert min(len(frame.on) for frame in later) > 25
    tagger.set_threshold(1)
    assert max(len(frame.on) for frame in tagger.push(sound()[6 * RATE :], RATE)) < 4


def test_silence_is_at_the_bottom_of_every_scale_and_nothing_is_on(own: Calibration) -> None:
    tagger = Tagger(MODEL, hop=0.128, smooth=0.2, gate=-60, calibration=own, threshold="1%")
    last = tagger.push(np.concatenate([sound(4), np.zeros(6 * RATE, np.float32)]), RATE)[-1]
    assert last.calibrated is not None
    assert not last.calibrated.any()
    assert not last.on


def test_a_percentage_without_a_scale_and_what_is_no_scale_are_refused(own: Calibration) -> None:
    with pytest.raises(OptionError, match="add a calibration"):
        Tagger(MODEL, threshold="95%")
    tagger = Tagger(MODEL)
    with pytest.raises(OptionError, match="add a calibration"):
        tagger.set_threshold("95%")
    with pytest.raises(OptionError, match=r"expected what streamtag\.load_calibration returns"):
        Tagger(MODEL, calibration="mine.cal")  # type: ignore[arg-type] # what a hurried caller writes
