"""The sliding evaluation of the vgg models: the numbers of the whole network, however frames come and windows go."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import cache
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamtag.errors import FeedError, OptionError, WeightsDamagedError
from streamtag.inference.factory import make_predictor, slides
from streamtag.inference.networks.catalogue import load_weights
from streamtag.inference.networks.network import Network
from streamtag.inference.networks.weights import Weights
from streamtag.inference.patches import PatchPredictor
from streamtag.inference.sliding.vgg.geometry import FRAMES_HEARD, NEEDED
from streamtag.inference.sliding.vgg.predictor import SlidingVggPredictor
from streamtag.inference.sliding.vgg.prepared import prepare_vgg
from streamtag.melstream import MelStream
from streamtag.sources.opening import demo_clip
from tests.support.networks import PlainNetwork

MODELS = ("MSD_vgg", "MTT_vgg")
WINDOW = 187
ANY_NUMBER = 10_000

few = settings(max_examples=25, deadline=None)


@cache
def network(model="MSD_vgg"):
    return Network.load(model, WINDOW)


@cache
def prepared(model="MSD_vgg"):
    return prepare_vgg(load_weights(model))


@cache
def frames():
    """30 s of music as log-mel frames (about 1900, 96)."""
    sound, rate = soundfile.read(demo_clip(), dtype="float32", always_2d=True)
    return mel(sound.mean(axis=1), rate)


def mel(sound, rate=16_000):
    return np.ascontiguousarray(MelStream(rate).push(np.ascontiguousarray(sound, np.float32)).logmel)


def windows(x, hop):
    return np.stack([x[start : start + WINDOW] for start in range(0, len(x) - WINDOW + 1, hop)])


def judge(x, hop, model="MSD_vgg"):
    predictor = SlidingVggPredictor(prepared(model), hop)
    predictor.push(x)
    return predictor.take(ANY_NUMBER)


def assert_as_network(x, hop, model="MSD_vgg"):
    judged = judge(x, hop, model)
    taggram, embedding = network(model)(windows(x, hop))
    assert judged.taggram.shape == taggram.shape
    assert judged.embedding.shape == embedding.shape
    assert np.abs(judged.taggram - taggram).max() < 5e-6
    assert np.abs(judged.embedding - embedding).max() < 1e-4 * np.abs(embedding).max()


def assert_same_bits(judged, expected):
    np.testing.assert_array_equal(judged.taggram, expected.taggram)
    np.testing.assert_array_equal(judged.embedding, expected.embedding)


# --- the numbers of the network ---------------------------------------------------------------------------------------


@pytest.mark.tensorflow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("hop", [1, 2, 3, 4, 6, 8, 13, 16, 24, 93, 154, 155, 187, 300])
def test_same_numbers_as_the_network(hop, model):
    assert_as_network(frames()[: WINDOW + 9 * hop], hop, model)


@pytest.mark.slow
@few
@given(hop=st.integers(1, 220), first=st.integers(0, 1200), more=st.integers(0, 12))
def test_any_hop_from_anywhere(hop, first, more):
    assert_as_network(frames()[first:][: WINDOW + more * min(hop, 40)], hop)


def sounds():
    noise = np.random.default_rng(5).uniform(-1, 1, 64_000)
    loud = np.sign(noise)
    tone = np.sin(2 * np.pi * 1000 * np.arange(64_000) / 16_000)
    return {
        "silence": 0 * noise,
        "noise": noise,
        "full scale": loud,
        "1 kHz": tone,
        "late": tone * (noise.cumsum() > 5),
    }


@pytest.mark.slow
@pytest.mark.parametrize("sound", sounds())
@pytest.mark.parametrize("hop", [1, 4])
def test_extreme_sounds(sound, hop):
    assert_as_network(mel(sounds()[sound])[: WINDOW + 12 * hop], hop)


@pytest.mark.tensorflow
def test_filters_of_any_sign():
    """Random norms, half of them negative: of the published ones only small ones are."""
    rng, weights = np.random.default_rng(3), load_weights("MSD_vgg")
    tensors = {
        key: tensor * rng.choice([-1, 1], tensor.shape).astype(np.float32) if "gamma" in key else tensor
        for key, tensor in weights.tensors.items()
    }
    turned = Weights(weights.spec, tensors, weights.metadata, weights.path)
    predictor = SlidingVggPredictor(prepare_vgg(turned), 5)
    x = frames()[: WINDOW + 15]
    predictor.push(x)
    judged = predictor.take(ANY_NUMBER)
    taggram, embedding = Network(turned, WINDOW)(windows(x, 5))
    assert np.abs(judged.taggram - taggram).max() < 5e-6
    assert np.abs(judged.embedding - embedding).max() < 1e-4 * np.abs(embedding).max()


@pytest.mark.tensorflow
def test_what_the_network_hears():
    """To the network itself the last frames and the highest bands do not matter, as the geometry says."""
    assert FRAMES_HEARD == 161
    assert [level.columns for level in NEEDED] == [78, 38, 18, 8]
    assert [level.bands for level in NEEDED] == [46, 22, 10, 4]
    heard = frames()[None, :WINDOW].copy()
    deaf, last = heard.copy(), heard.copy()
    deaf[:, FRAMES_HEARD:] = 9
    deaf[:, :, 94:] = 9
    last[:, FRAMES_HEARD - 1] = 9
    for x, same in ((deaf, True), (last, False)):
        moved = np.abs(network()(x)[1] - network()(heard)[1]).max()
        assert (moved < 1e-5) == same


# --- the same bits, however ------------------------------------------------------------------------------------------


@pytest.mark.slow
@few
@given(
    hop=st.sampled_from([1, 2, 3, 5, 8, 16, 60, 200]),
    steps=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 5)), max_size=20),
)
@example(hop=1, steps=[(186, 1), (1, 1), (1, 1), (1, 2), (0, 1), (7, 3), (0, 2)])
def test_any_chunks_and_any_number_at_a_time(hop, steps):
    x = frames()[: WINDOW + 7 * hop + 3]
    expected = judge(x, hop)
    predictor = SlidingVggPredictor(prepared(), hop)
    first = 0
    for chunk, limit in [*steps, (len(x), ANY_NUMBER)]:
        predictor.push(x[:chunk])
        x = x[chunk:]
        judged = predictor.take(limit)
        assert judged.first == first
        np.testing.assert_array_equal(judged.taggram, expected.taggram[first : first + len(judged.taggram)])
        np.testing.assert_array_equal(judged.embedding, expected.embedding[first : first + len(judged.embedding)])
        first += len(judged.taggram)
    assert first == len(expected.taggram)


@pytest.mark.slow
@few
@given(hop=st.sampled_from([1, 3, 4, 7, 16, 190]), steps=st.lists(st.tuples(st.booleans(), st.integers(1, 30))))
@example(hop=1, steps=[(True, 1), (False, 9), (True, 3), (False, 29), (True, 30)])
def test_skipped_windows_leave_no_trace(hop, steps):
    x = frames()
    expected = judge(x[: WINDOW + 60 * hop], hop)
    predictor = SlidingVggPredictor(prepared(), hop)
    predictor.push(x)
    at = 0
    for wanted, count in steps:
        count = min(count, predictor.due, max(0, len(expected.taggram) - at))
        if wanted:
            judged = predictor.take(count)
            assert judged.first == at
            np.testing.assert_array_equal(judged.taggram, expected.taggram[at : at + count])
        else:
            predictor.skip(count)
        at += count


@pytest.mark.slow
@pytest.mark.parametrize("hop", [1, 4, 6])
def test_rings_go_round(hop):
    """A long stream ends as a fresh one that hears its end only."""
    x = np.tile(frames(), (2, 1))
    long = judge(x, hop)
    last = len(long.taggram) - 5
    fresh = judge(x[last * hop :], hop)
    np.testing.assert_array_equal(long.taggram[last:], fresh.taggram)
    np.testing.assert_array_equal(long.embedding[last:], fresh.embedding)


@pytest.mark.parametrize("hop", [1, 3, 16])
def test_after_days(hop):
    """A stream that is put forward by years of frames goes on with the same bits."""
    x = frames()[: WINDOW + 20 * hop]
    predictor = SlidingVggPredictor(prepared(), hop)
    predictor.push(x[:WINDOW])
    predictor.take(1)
    predictor.reset()
    predictor._next = 10**10
    predictor._oldest = predictor._next * hop
    predictor.push(x)
    judged = predictor.take(ANY_NUMBER)
    assert judged.first == 10**10
    assert_same_bits(judged, judge(x, hop))


def test_memory_does_not_grow():
    predictor = SlidingVggPredictor(prepared(), 4)
    sizes = set()
    for start in range(0, 1600, 40):
        predictor.push(frames()[start : start + 40])
        predictor.take(ANY_NUMBER)
        sizes.add(len(predictor._frames))
    assert max(sizes) < WINDOW
    assert sum(array.nbytes for ring in predictor._memory[:4] for array in ring) < 10e6


def test_streams_side_by_side():
    """Threads that share the weights do not disturb each other."""
    hops = (1, 4, 9, 16)
    expected = [judge(frames()[: WINDOW + 20 * hop], hop) for hop in hops]
    found = [None] * len(hops)

    def work(n):
        found[n] = judge(frames()[: WINDOW + 20 * hops[n]], hops[n])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(hops))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for judged, alone in zip(found, expected, strict=True):
        assert_same_bits(judged, alone)


# --- as every predictor ----------------------------------------------------------------------------------------------


class Nothing(PlainNetwork):
    """A network that judges nothing: what is due does not depend on it."""

    window_frames = WINDOW

    def __init__(self):
        self.spec = prepared().spec

    def __call__(self, patches):
        return np.zeros((len(patches), 50), np.float32), np.zeros((len(patches), 256), np.float32)


@few
@given(
    hop=st.sampled_from([1, 7, 100, 187, 400]),
    work=st.lists(st.tuples(st.sampled_from(["push", "skip", "take", "repeat", "reset"]), st.integers(0, 300))),
)
def test_due_as_any_evaluator(hop, work):
    ours, plain = SlidingVggPredictor(prepared(), hop), PatchPredictor(Nothing(), hop)
    for what, count in work:
        answers: list[object] = []
        for predictor in (ours, plain):
            if what == "push":
                predictor.push(frames()[:count])
            elif what == "skip":
                predictor.skip(min(count, predictor.due))
            elif what == "take":
                judged = predictor.take(count % 3)
                answers.append((judged.first, judged.taggram.shape, judged.embedding.shape))
            elif what == "repeat":
                answers.append(predictor.repeat_to_window())
            else:
                predictor.reset()
        assert answers[:1] == answers[1:]
        assert ours.due == plain.due


def test_short_sound_is_repeated():
    predictor = SlidingVggPredictor(prepared(), 1)
    predictor.push(frames()[:60])
    assert predictor.repeat_to_window()
    expected = judge(np.tile(frames()[:60], (4, 1))[:WINDOW], 1)
    assert_same_bits(predictor.take(1), expected)


def test_reset_forgets():
    predictor = SlidingVggPredictor(prepared(), 2)
    predictor.push(frames()[300:600])
    predictor.take(ANY_NUMBER)
    predictor.reset()
    assert predictor.due == 0
    predictor.push(frames()[:300])
    assert_same_bits(predictor.take(ANY_NUMBER), judge(frames()[:300], 2))


def test_pushed_frames_are_copied():
    x = frames()[:WINDOW].copy()
    predictor = SlidingVggPredictor(prepared(), 1)
    predictor.push(x)
    x[:] = 0
    assert_same_bits(predictor.take(1), judge(frames()[:WINDOW], 1))


@pytest.mark.tensorflow
def test_which_engine():
    for engine in ("auto", "sliding"):
        assert slides("MTT_vgg", engine)
        predictor = make_predictor("MTT_vgg", WINDOW, 4, engine)
        assert isinstance(predictor, SlidingVggPredictor)
        assert (predictor.name, predictor.window_frames, predictor.hop_frames) == ("sliding", WINDOW, 4)
    assert isinstance(make_predictor("MTT_vgg", WINDOW, 4, "tensorflow"), PatchPredictor)
    with pytest.raises(OptionError, match="3 s only"):
        make_predictor("MTT_vgg", 100, 4, "sliding")


def test_what_is_refused():
    for shape in ((96,), (187, 95), (1, 187, 96)):
        with pytest.raises(FeedError, match="96"):
            SlidingVggPredictor(prepared()).push(np.zeros(shape, np.float32))
    with pytest.raises(OptionError, match="hop"):
        SlidingVggPredictor(prepared(), 0)
    with pytest.raises(OptionError, match="no vgg model"):
        prepare_vgg(load_weights("MSD_musicnn"))
    weights = load_weights("MSD_vgg")
    damages: list[tuple[str, Any, str]] = [
        ("tags/bias", np.zeros(51), "has shape"),
        ("cnn3_conv/kernel", None, "is missing"),
    ]
    for key, tensor, message in damages:
        tensors = {**weights.tensors, key: tensor}
        with pytest.raises(WeightsDamagedError, match=f"{key} {message}"):
            prepare_vgg(Weights(weights.spec, tensors, weights.metadata, weights.path))


@pytest.mark.slow
def test_needs_no_tensorflow():
    program = (
        "import sys; import numpy as np; from streamtag.inference.factory import make_predictor;"
        "e = make_predictor('MSD_vgg', 187, 187); e.warm_up(); e.push(np.zeros((187, 96), np.float32)); e.take(1);"
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
