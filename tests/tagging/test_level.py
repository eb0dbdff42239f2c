"""Music at any level, through the whole path."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import soundfile

import streamtag
from streamtag.dsp.leveller import LARGEST_DB, TARGET_DBFS
from streamtag.dsp.resampler import Resampler
from streamtag.errors import OptionError
from streamtag.results import TagFrame
from streamtag.tagging.tagger import Tagger

HOP = 0.512


@functools.cache
def song() -> np.ndarray:
    """8 s of the demo clip, at 16 kHz."""
    path = Path(streamtag.__file__).with_name("demo") / "demo.ogg"
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    resampler = Resampler(rate)
    return resampler.push(np.ascontiguousarray(sound.mean(axis=1)[: 8 * rate], np.float32))


def tagger(**options: object) -> Tagger:
    return Tagger("MTT_musicnn", hop=HOP, smooth=0, **options)  # type: ignore[arg-type] # by name


def tag(sound: np.ndarray, **options: object) -> list[TagFrame]:
    return tagger(**options).push(sound, 16_000)


def rms_dbfs(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(sound.astype(np.float64) ** 2)))


@pytest.mark.parametrize("db", [-30, -18, 6])
def test_the_same_music_at_any_level_has_the_same_tags(db: float) -> None:
    whole = song()
    louder = (whole * np.float32(10 ** (db / 20))).astype(np.float32)
    expected, found = tag(whole, level="auto"), tag(louder, level="auto")
    assert len(found) == len(expected) > 3
    for one, other in zip(found, expected, strict=True):
        assert one.gain_db is not None
        assert other.gain_db is not None
        assert one.gain_db == pytest.approx(min(other.gain_db - db, LARGEST_DB), abs=0.5)
        np.testing.assert_allclose(one.raw, other.raw, atol=0.05)
        assert one.level_dbfs == pytest.approx(other.level_dbfs + db, abs=0.01), "that before the gain"
        assert rms_dbfs(whole) + other.gain_db == pytest.approx(TARGET_DBFS, abs=8)
    if db == -30:
        plain = tag(louder)
        assert max(np.abs(one.raw - other.raw).max() for one, other in zip(plain, expected, strict=True)) > 0.1


def test_off_is_as_published_and_the_default() -> None:
    for one, other in zip(tag(song()), tag(song(), level="off"), strict=True):
        assert one == other
        assert one.gain_db is None


def test_chunks_change_no_bit() -> None:
    sound = np.concatenate((song()[:80_000] * np.float32(0.01), np.zeros(30_000, np.float32), song()[:60_000]))
    whole, split = tag(sound, level="auto"), tagger(level="auto")
    frames = [frame for part in np.array_split(sound, 301) for frame in split.push(part, 16_000)]
    assert frames == whole


def test_the_gate_looks_at_the_level_before_the_gain() -> None:
    quiet = (song() * np.float32(1e-3)).astype(np.float32)
    frames = tag(quiet, level="auto", gate=-60.0)
    assert all(frame.gated for frame in frames if frame.time > 2)
    assert all(frame.scores.max() == 0 for frame in frames if frame.time > 2)


def test_a_gap_is_as_so_much_silence() -> None:
    loud, quiet = song()[:64_000], (song()[:64_000] * np.float32(0.02)).astype(np.float32)
    gaps, silence = tagger(level="auto"), tagger(level="auto")
    gaps.push(loud, 16_000)
    gaps.gap(8.0)
    found = gaps.push(quiet, 16_000)
    silence.push(loud, 16_000)
    silence.push(np.zeros(8 * 16_000, np.float32), 16_000)
    expected = silence.push(quiet, 16_000)
    for one, other in zip(found[-3:], expected[-3:], strict=True):
        assert one.gain_db == other.gain_db
        np.testing.assert_allclose(one.raw, other.raw, atol=1e-6)


def test_a_reset_forgets_the_level() -> None:
    sound = (song()[:80_000] * np.float32(0.05)).astype(np.float32)
    again = tagger(level="auto")
    again.push(np.ones(32_000, np.float32), 16_000)
    again.reset_history()
    found = next(frame for frame in again.push(sound, 16_000) if frame.level_dbfs < -20)
    assert found.gain_db is not None
    assert found.gain_db > 20, "1 s of full scale, which would count for 3 s, counts for nothing"


@pytest.mark.parametrize("level", ["on", "", -17, True])
def test_what_is_no_level_is_refused(level: object) -> None:
    with pytest.raises(OptionError, match=r"level .* expected auto or off"):
        tagger(level=level)
