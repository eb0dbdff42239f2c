"""What people push: accepted as it is meant, or refused with the remedy."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest

from streamtag.dsp.samples import as_samples, whole_rate
from streamtag.errors import FeedError, OptionError
from streamtag.melstream import MelStream
from streamtag.ringbuffer import RingBuffer
from tests.support.sessions import RATE, SOUND, make_tagger


class Tensor:
    """As those of torch: no array, but convertible; or not, where its memory is elsewhere."""

    def __init__(self, values: np.ndarray, elsewhere: str | None = None) -> None:
        self._values, self._elsewhere = values, elsewhere

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._elsewhere:
            raise TypeError(self._elsewhere)
        return self._values


PUSHED = {
    "list": SOUND[:9000].tolist(),
    "tuple": tuple(SOUND[:9000].tolist()),
    "rows": SOUND[:9000, None].tolist(),
    "array": array.array("f", SOUND[:9000].tolist()),
    "memoryview": memoryview(SOUND[:9000].tobytes()).cast("f"),
    "tensor": Tensor(SOUND[:9000]),
}


@pytest.mark.parametrize("given", PUSHED.values(), ids=PUSHED)
def test_what_is_as_good_as_an_array_is_heard_as_one(given: Any) -> None:
    expected = make_tagger().push(SOUND[:9000], RATE)
    assert expected
    assert make_tagger().push(given, RATE) == expected


@pytest.mark.parametrize("given", PUSHED.values(), ids=PUSHED)
def test_so_it_is_by_the_stream_of_frames_and_by_the_ring_of_a_source(given: Any) -> None:
    expected = MelStream(RATE).push(SOUND[:9000])
    np.testing.assert_array_equal(MelStream(RATE).push(given).logmel, expected.logmel)
    ring = RingBuffer(RATE)
    ring.write(given)
    (piece,) = ring.read()
    np.testing.assert_array_equal(piece.samples, SOUND[:9000])


@pytest.mark.parametrize(
    "given", ["noise", [[0.5, 0.5]], np.zeros((10, 2)), np.zeros((10, 1, 1)), np.zeros(10, np.int64), 0.5]
)
def test_a_ring_refuses_what_it_was_not_made_for(given: Any) -> None:
    ring = RingBuffer(RATE)
    with pytest.raises(FeedError, match=r"expected \(n, 1\)|give an array"):
        ring.write(given)
    assert ring.offered == 0


@pytest.mark.parametrize("rate", [16_000.0, np.float64(16_000), np.int32(16_000), "16000"])
def test_a_rate_is_a_number_of_whichever_kind(rate: Any) -> None:
    assert make_tagger().push(SOUND[:9000], rate) == make_tagger().push(SOUND[:9000], RATE)
    assert whole_rate(rate) == 16_000
    assert type(MelStream(rate).samplerate) is int


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (None, "a sample rate of None: expected a number of Hz"),
        ("CD", "a sample rate of 'CD': expected a number of Hz"),
        (44_100.5, r"44100\.5 Hz: only whole numbers"),
        (float("nan"), "nan Hz"),
        (0, "rates from 1000 to 384000 Hz"),
        (-44_100, "rates from 1000 to 384000 Hz"),
        (10**400, "expected a number of Hz"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(rate: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make_tagger().push(SOUND[:100], rate)


REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": (None, "type NoneType: give an array"),
    "text": ("song.wav", r"type str \(<U8\): give an array"),
    "bytes": (b"\0\1\2\3", r"type bytes are bytes of some type: say of which; for example numpy\.frombuffer"),
    "a buffer of bytes": (bytearray(b"\0\1\2\3"), "type bytearray are bytes of some type"),
    "a view of bytes": (memoryview(SOUND.tobytes()), "type memoryview are bytes of some type"),
    "whole numbers": ([0, 100, -3], r"type list \(int64\): give an array of int16"),
    "unsigned": (np.zeros(10, np.uint16), r"\(uint16\): give an array of int16"),
    "no channels": (np.zeros((10, 0)), "0 channels: 1 to 32"),
    "complex": (np.zeros(10, complex), r"\(complex128\): give an array"),
    "switches": (np.zeros(10, bool), r"\(bool\): give an array"),
    "ragged": ([[1.0, 2.0], [3.0]], "type list are no array"),
    "on a GPU": (Tensor(SOUND, "can't convert cuda:0 device type tensor"), "no array: can't convert cuda"),
    "one number": (0.5, r"shape \(\)"),
    "three axes": (np.zeros((10, 2, 2)), r"shape \(10, 2, 2\)"),
    "the other way round": (np.zeros((2, 48_000)), r"give samples\.T"),
    "channels": (np.zeros((48_000, 33)), "33 channels: 1 to 32"),
    "converted int16": (np.array([0.0, -20_000.0, np.nan]), "up to 20000: .* divide by 32768, or give integers"),
    "converted int32": (np.array([1e9, 0.0], np.float32), r"up to 1000000000: .* divide by 2\*\*31"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_sound_is_refused_with_the_remedy(given: Any, words: str) -> None:
    tagger = make_tagger()
    with pytest.raises(FeedError, match=words):
        tagger.push(given, 44_100)
    assert tagger.push(SOUND[:9000], RATE) == make_tagger().push(SOUND[:9000], RATE), "and nothing of it is left"


def test_music_a_little_over_full_scale_and_damage_are_no_mistake_of_scale() -> None:
    for given in (np.array([3.0, -60.0]), np.array([np.nan, np.inf, -np.inf]), np.array([1e30]), np.zeros(0)):
        np.testing.assert_array_equal(as_samples(given), given)
