"""Front-ends as values: those of published code by its figures, all others by the formula."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.dsp.filters import mel_filterbank, taper
from streamtag.dsp.front_end import MUSICNN, FrontEnd, plain_samples
from streamtag.dsp.front_ends import FRONT_ENDS, VGGISH, described
from streamtag.dsp.leveller import Leveller
from streamtag.errors import OptionError
from streamtag.melstream import MelStream
from tests.support.oracle import needs_oracle, vggish_figures

GOLDEN = Path(__file__).parents[1] / "golden" / "front_ends.npz"
few = settings(max_examples=25, deadline=None, derandomize=True)
NOISE = np.random.default_rng(8).normal(0, 0.2, 12_000).astype(np.float32)

OTHERS = {
    "spectrum, decibels, reflected": FrontEnd(
        kind="spectrum", rate=8000, window=200, hop=80, fft=256, taper="hamming", log="db", multiply=1, offset=0,
        floor=1e-10, padding="reflect",
    ),
    "htk, magnitude, zeros around": FrontEnd(
        rate=22_050, window=1024, hop=512, fft=1024, taper="hamming-symmetric", spectrum="magnitude", bands=40,
        scale="htk", norm="none", low=20, high=5000, log="ln", multiply=1, offset=1e-6, padding="zeros",
    ),
    "normalised, no logarithm, a lead": FrontEnd(
        rate=16_000, window=512, hop=160, fft=512, taper="rectangular", log="none", multiply=3, offset=0.5, mean=0.25,
        std=4, padding="none", lead=100,
    ),
    "bands between bins": FrontEnd(
        rate=16_000, window=128, hop=64, fft=128, bands=90, low=0, high=8000, padding="none", slopes="mel",
    ),
}  # fmt: skip


def twin(front_end: FrontEnd, samples: np.ndarray, *, centered: bool) -> np.ndarray:
    """The formula, a frame at a time, in plain NumPy."""
    half = front_end.fft // 2
    y = np.concatenate((np.zeros(front_end.lead), samples)).astype(np.float64)
    if centered and front_end.padding != "none":
        y = np.pad(y, half, mode="reflect") if front_end.padding == "reflect" else np.pad(y, half)
    rows = []
    for start in range(0, len(y) - front_end.window + 1, front_end.hop):
        spectrum = np.abs(np.fft.rfft(y[start : start + front_end.window] * taper(front_end), front_end.fft))
        values = spectrum**2 if front_end.spectrum == "power" else spectrum
        if front_end.kind == "mel":
            values = mel_filterbank(front_end) @ values
        values = np.maximum(front_end.multiply * values + front_end.offset, front_end.floor)
        if front_end.log != "none":
            values = (np.log if front_end.log == "ln" else np.log10)(values) * (10 if front_end.log == "db" else 1)
        rows.append((values - front_end.mean) / front_end.std)
    return np.array(rows, np.float32)


def frames(front_end: FrontEnd, samples: np.ndarray, *, centered: bool = False, **options: Any) -> np.ndarray:
    stream = MelStream(front_end.rate, front_end=front_end, centered=centered, **options)
    return np.concatenate((stream.push(samples).logmel, stream.flush().logmel))


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("centered", [False, True])
def test_is_the_formula(name: str, centered: bool) -> None:
    expected = twin(OTHERS[name], NOISE, centered=centered)
    found = frames(OTHERS[name], NOISE, centered=centered)
    assert found.shape == expected.shape == (len(expected), OTHERS[name].width)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@needs_oracle
@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
def test_vggish_is_the_published_code(rate: int) -> None:
    figures = vggish_figures()
    stream = MelStream(rate, front_end=VGGISH)
    samples = figures[f"audio/{rate}"] / np.float32(2**15)
    found = np.concatenate((stream.push(samples).logmel, stream.flush().logmel))
    patches = found[: 3 * 96].reshape(3, 96, 64)
    if rate == VGGISH.rate:  # to the bit where nothing is resampled
        np.testing.assert_array_equal(found, figures["log_mel/16000"])
        np.testing.assert_array_equal(patches, figures["examples/16000"])
    np.testing.assert_allclose(patches, figures[f"examples/{rate}"], rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["essentia-musicnn", "essentia-vggish", "essentia-tempocnn"])
def test_essentias_are_what_essentia_gives(name: str) -> None:
    """Within what its float32 transforms differ from exact ones."""
    with np.load(GOLDEN) as figures:
        expected, noise = figures[name], figures["noise"]
    found = frames(FRONT_ENDS[name], noise)[: len(expected)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_plain_samples_are_left_as_they_are() -> None:
    found = frames(plain_samples(16_000, 100, lead=50), NOISE)
    np.testing.assert_array_equal(found.ravel(), np.concatenate((np.zeros(50, np.float32), NOISE))[: found.size])
    assert len(found) == (len(NOISE) + 50) // 100


def test_an_end_may_be_completed() -> None:
    found = frames(plain_samples(16_000, 700, tail="silence"), NOISE)
    np.testing.assert_array_equal(found.ravel(), np.concatenate((NOISE, np.zeros(found.size - len(NOISE), np.float32))))
    assert len(found) == 18
    front_end = replace(VGGISH, tail="silence")
    padded = np.concatenate((NOISE[:1000], np.zeros(40, np.float32)))
    np.testing.assert_array_equal(frames(front_end, NOISE[:1000]), frames(VGGISH, padded))
    assert len(frames(front_end, np.empty(0, np.float32))) == 0


ALL = {**FRONT_ENDS, **OTHERS, "samples": plain_samples(16_000, 64, lead=32, tail="silence")}


@few
@given(
    name=st.sampled_from(sorted(ALL)),
    cuts=st.lists(st.integers(0, len(NOISE)), max_size=6),
    centered=st.booleans(),
    rate=st.sampled_from([8000, 44_100]),
    levelled=st.booleans(),
)
def test_chunks_make_no_difference(name: str, cuts: list[int], centered: bool, rate: int, levelled: bool) -> None:
    front_end = ALL[name]

    def stream() -> MelStream:
        leveller = Leveller(front_end.frame_seconds) if levelled else None
        return MelStream(rate, front_end=front_end, centered=centered, leveller=leveller)

    whole, parts = stream(), stream()
    expected = [whole.push(NOISE), whole.flush()]
    edges = [0, *sorted(cuts), len(NOISE)]
    found = [parts.push(NOISE[a:b]) for a, b in itertools.pairwise(edges)] + [parts.flush()]
    for column in range(3):
        np.testing.assert_array_equal(
            np.concatenate([piece[column] for piece in found]), np.concatenate([piece[column] for piece in expected])
        )


@pytest.mark.parametrize("name", sorted(ALL))
def test_silence_is_what_silence_gives(name: str) -> None:
    found = frames(ALL[name], np.zeros(4000, np.float32))
    np.testing.assert_allclose(found, np.full_like(found, ALL[name].silence), rtol=1e-6)


def test_a_gain_is_a_gain_of_the_samples() -> None:
    for front_end in (OTHERS["htk, magnitude, zeros around"], plain_samples(16_000, 100)):
        leveller = Leveller(front_end.frame_seconds)
        stream = MelStream(front_end.rate, front_end=front_end, leveller=leveller)
        given_frames = stream.push(NOISE)
        for k in (0, 5):
            louder = (NOISE * np.sqrt(given_frames.gain[k])).astype(np.float32)
            np.testing.assert_allclose(given_frames.logmel[k], frames(front_end, louder)[k], rtol=1e-4, atol=1e-5)


def test_seconds_are_counted_as_each_counts_them() -> None:
    assert [MUSICNN.frames_in(seconds) for seconds in (3, 1)] == [187, 62]
    assert [VGGISH.frames_in(seconds) for seconds in (0.96, 1)] == [96, 100]
    assert VGGISH.hop_frames(0.48) == 48
    with pytest.raises(OptionError, match="shorter than one frame"):
        VGGISH.frames_in(0.001)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "cqt"}, "kind = 'cqt': expected mel, spectrum, samples"),
        ({"rate": 500}, "rate = 500: expected a whole number from 1000"),
        ({"hop": 1.5}, "hop = 1.5: expected a whole number"),
        ({"hop": 600}, "hop = 600: expected at most the window, 512"),
        ({"fft": 256}, "fft = 256: expected at least the window, 512"),
        ({"high": 9000.0}, "expected 0 <= low < high <= 8000 Hz"),
        ({"low": math.nan}, "low = nan: expected a number"),
        ({"bands": True}, "bands = True: expected a whole number"),
        ({"std": 0}, "std = 0: expected more than 0"),
        ({"offset": 0}, "silence has no logarithm"),
        ({"multiply": -1}, "there is no logarithm"),
        ({"lead": 10}, "where a file is padded, nothing leads"),
        ({"kind": "samples"}, "plain samples have none"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as refused:
        replace(MUSICNN, **changes)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"like": "musicn"}, "like = 'musicn': expected musicnn, vggish"),
        ({}, "kind is missing"),
        ({"kind": "mel"}, "rate is missing"),
        ({"kind": "mel", "rate": 16_000}, "window is missing (nothing is taken for granted"),
        ({"kind": "samples", "rate": 16_000}, "hop is missing"),
        ({"kind": "samples", "rate": 16_000, "hop": 10, "bands": 3}, "bands: plain samples have"),
        ({"like": "vggish", "bnads": 3}, "bnads: expected like, kind"),
        ({"like": "vggish", "kind": "samples"}, "leave one of them out"),
    ],
)
def test_a_description_that_leaves_a_doubt_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as refused:
        described(values)
    assert words in str(refused.value)


def test_a_description_may_be_like_another() -> None:
    assert described({"like": "vggish", "offset": 0.001}) == FRONT_ENDS["yamnet"]
    assert described({"like": "openl3"}) == plain_samples(48_000, 480, lead=24_000, tail="silence")
