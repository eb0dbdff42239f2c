"""The sliding evaluation of the vgg models: the numbers of the whole network, however frames come and windows go."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import cache

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamtag.errors import OptionError, WeightsDamagedError
from streamtag.evaluator import PatchEvaluator, make_evaluator, slides
from streamtag.melstream import MelStream
from streamtag.networks.network import Network
from streamtag.networks.weights import Weights, load_weights
from streamtag.sliding.vgg import SlidingVggEvaluator
from streamtag.sliding.vgg_geometry import FRAMES_HEARD, NEEDED
from streamtag.sliding.vgg_prepared import prepare_vgg
from streamtag.sources import demo_clip

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
    evaluator = SlidingVggEvaluator(prepared(model), hop)
    evaluator.push(x)
    return evaluator.take(ANY_NUMBER)


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


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("hop", [1, 2, 3, 4, 6, 8, 13, 16, 24, 93, 154, 155, 187, 300])
def test_same_numbers_as_the_network(hop, model):
    assert_as_network(frames()[: WINDOW + 9 * hop], hop, model)


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


@pytest.mark.parametrize("sound", sounds())
@pytest.mark.parametrize("hop", [1, 4])
def test_extreme_sounds(sound, hop):
    assert_as_network(mel(sounds()[sound])[: WINDOW + 12 * hop], hop)


def test_filters_of_any_sign():
    """Random norms, half of them negative: of the published ones only small ones are."""
    rng, weights = np.random.default_rng(3), load_weights("MSD_vgg")
    tensors = {
        key: tensor * rng.choice([-1, 1], tensor.shape).astype(np.float32) if "gamma" in key else tensor
        for key, tensor in weights.tensors.items()
    }
    turned = Weights(weights.spec, tensors, weights.metadata, weights.path)
    evaluator = SlidingVggEvaluator(prepare_vgg(turned), 5)
    x = frames()[: WINDOW + 15]
    evaluator.push(x)
    judged = evaluator.take(ANY_NUMBER)
    taggram, embedding = Network(turned, WINDOW)(windows(x, 5))
    assert np.abs(judged.taggram - taggram).max() < 5e-6
    assert np.abs(judged.embedding - embedding).max() < 1e-4 * np.abs(embedding).max()


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


@few
@given(
    hop=st.sampled_from([1, 2, 3, 5, 8, 16, 60, 200]),
    steps=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 5)), max_size=20),
)
@example(hop=1, steps=[(186, 1), (1, 1), (1, 1), (1, 2), (0, 1), (7, 3), (0, 2)])
def test_any_chunks_and_any_number_at_a_time(hop, steps):
    x = frames()[: WINDOW + 7 * hop + 3]
    expected = judge(x, hop)
    evaluator = SlidingVggEvaluator(prepared(), hop)
    first = 0
    for chunk, limit in [*steps, (len(x), ANY_NUMBER)]:
        evaluator.push(x[:chunk])
        x = x[chunk:]
        judged = evaluator.take(limit)
        assert judged.first == first
        np.testing.assert_array_equal(judged.taggram, expected.taggram[first : first + len(judged.taggram)])
        np.testing.assert_array_equal(judged.embedding, expected.embedding[first : first + len(judged.embedding)])
        first += len(judged.taggram)
    assert first == len(expected.taggram)


@few
@given(hop=st.sampled_from([1, 3, 4, 7, 16, 190]), steps=st.lists(st.tuples(st.booleans(), st.integers(1, 30))))
@example(hop=1, steps=[(True, 1), (False, 9), (True, 3), (False, 29), (True, 30)])
def test_skipped_windows_leave_no_trace(hop, steps):
    x = frames()
    expected = judge(x[: WINDOW + 60 * hop], hop)
    evaluator = SlidingVggEvaluator(prepared(), hop)
    evaluator.push(x)
    at = 0
    for wanted, count in steps:
        count = min(count, evaluator.due, max(0, len(expected.taggram) - at))
        if wanted:
            judged = evaluator.take(count)
            assert judged.first == at
            np.testing.assert_array_equal(judged.taggram, expected.taggram[at : at + count])
        else:
            evaluator.skip(count)
        at += count


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
    evaluator = SlidingVggEvaluator(prepared(), hop)
    evaluator.push(x[:WINDOW])
    evaluator.take(1)
    evaluator.reset()
    evaluator._next = 10**10
    evaluator._oldest = evaluator._next * hop
    evaluator.push(x)
    judged = evaluator.take(ANY_NUMBER)
    assert judged.first == 10**10
    assert_same_bits(judged, judge(x, hop))


def test_memory_does_not_grow():
    evaluator = SlidingVggEvaluator(prepared(), 4)
    sizes = set()
    for start in range(0, 1600, 40):
        evaluator.push(frames()[start : start + 40])
        evaluator.take(ANY_NUMBER)
        sizes.add(len(evaluator._frames))
    assert max(sizes) < WINDOW
    assert sum(array.nbytes for ring in evaluator._memory[:4] for array in ring) < 10e6


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


# --- as every evaluator ----------------------------------------------------------------------------------------------


class Nothing:
    """A network that judges nothing: what is due does not depend on it."""

    window_frames = WINDOW

    def __init__(self):
        self.spec = prepared().spec

    def __call__(self, patches):
        return np.zeros((len(patches), 50), np.float32), np.zeros((len(patches), 256), np.float32)

    def warm_up(self):
        pass


@few
@given(
    hop=st.sampled_from([1, 7, 100, 187, 400]),
    work=st.lists(st.tuples(st.sampled_from(["push", "skip", "take", "repeat", "reset"]), st.integers(0, 300))),
)
def test_due_as_any_evaluator(hop, work):
    ours, plain = SlidingVggEvaluator(prepared(), hop), PatchEvaluator(Nothing(), hop)
    for what, count in work:
        answers = []
        for evaluator in (ours, plain):
            if what == "push":
                evaluator.push(frames()[:count])
            elif what == "skip":
                evaluator.skip(min(count, evaluator.due))
            elif what == "take":
                judged = evaluator.take(count % 3)
                answers.append((judged.first, judged.taggram.shape, judged.embedding.shape))
            elif what == "repeat":
                answers.append(evaluator.repeat_to_window())
            else:
                evaluator.reset()
        assert answers[:1] == answers[1:]
        assert ours.due == plain.due


def test_short_sound_is_repeated():
    evaluator = SlidingVggEvaluator(prepared(), 1)
    evaluator.push(frames()[:60])
    assert evaluator.repeat_to_window()
    expected = judge(np.tile(frames()[:60], (4, 1))[:WINDOW], 1)
    assert_same_bits(evaluator.take(1), expected)


def test_reset_forgets():
    evaluator = SlidingVggEvaluator(prepared(), 2)
    evaluator.push(frames()[300:600])
    evaluator.take(ANY_NUMBER)
    evaluator.reset()
    assert evaluator.due == 0
    evaluator.push(frames()[:300])
    assert_same_bits(evaluator.take(ANY_NUMBER), judge(frames()[:300], 2))


def test_pushed_frames_are_copied():
    x = frames()[:WINDOW].copy()
    evaluator = SlidingVggEvaluator(prepared(), 1)
    evaluator.push(x)
    x[:] = 0
    assert_same_bits(evaluator.take(1), judge(frames()[:WINDOW], 1))


def test_which_engine():
    for engine in ("auto", "sliding"):
        assert slides("MTT_vgg", engine)
        evaluator = make_evaluator("MTT_vgg", WINDOW, 4, engine)
        assert isinstance(evaluator, SlidingVggEvaluator)
        assert (evaluator.name, evaluator.window_frames, evaluator.hop_frames) == ("sliding", WINDOW, 4)
    assert isinstance(make_evaluator("MTT_vgg", WINDOW, 4, "tensorflow"), PatchEvaluator)
    with pytest.raises(OptionError, match="3 s only"):
        make_evaluator("MTT_vgg", 100, 4, "sliding")


def test_what_is_refused():
    with pytest.raises(OptionError, match="hop"):
        SlidingVggEvaluator(prepared(), 0)
    with pytest.raises(OptionError, match="no vgg model"):
        prepare_vgg(load_weights("MSD_musicnn"))
    weights = load_weights("MSD_vgg")
    for key, tensor, message in (("tags/bias", np.zeros(51), "has shape"), ("cnn3_conv/kernel", None, "is missing")):
        tensors = {**weights.tensors, key: tensor}
        with pytest.raises(WeightsDamagedError, match=f"{key} {message}"):
            prepare_vgg(Weights(weights.spec, tensors, weights.metadata, weights.path))


def test_needs_no_tensorflow():
    program = (
        "import sys; import numpy as np; from streamtag.evaluator import make_evaluator;"
        "e = make_evaluator('MSD_vgg', 187, 187); e.warm_up(); e.push(np.zeros((187, 96), np.float32)); e.take(1);"
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
