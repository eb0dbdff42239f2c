"""From rings to events: every sample once and in order, or in a counted gap of exactly that many."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamtag.dsp.resampler import lookahead
from streamtag.engine import Session
from streamtag.errors import DeviceError
from streamtag.results import State
from streamtag.ringbuffer import Piece, RingBuffer
from streamtag.session.events import Back, Ended, Event, Gone, Heard, Lost, NewStream, Samples
from streamtag.session.intake import SHORTEST_GAP_SECONDS, Intake
from tests.support.sessions import Judge, ScriptedSource, make_tagger
from tests.support.waiting import wait_until

RATE = 16_000
SMALL = 0.06
"""Seconds of a ring that soon overflows: 1024 samples at 16 kHz."""


class Ramp(ScriptedSource):
    """Delivers samples that are their own number (float32 counts to 2**24), at times that are given."""

    def __init__(self, seconds: float = SMALL) -> None:
        super().__init__()
        self._seconds = seconds
        self.now = 100.0
        self.rings: list[tuple[RingBuffer, int]] = []
        """Each ring, and the number of the first sample that was offered to it."""
        self.come_back()

    def come_back(self, rate: int = RATE) -> None:
        self.recovering = None
        ring = RingBuffer(rate, self._seconds)
        self.rings.append((ring, self.position))
        if len(self.rings) > 1:
            self.ring.successor = ring
        self.ring = ring

    def deliver(self, samples: int, captured: float | None = None) -> None:
        block = np.arange(self.position, self.position + samples, dtype=np.float32)[:, None]
        self.position += samples
        self.now += samples / self.ring.samplerate
        self.ring.write_stamped(block, self.now - samples / self.ring.samplerate, captured or self.now)


class Taking:
    """An intake, and all events that it gave."""

    def __init__(self, source: Ramp) -> None:
        self.intake = Intake(source)
        self.heard: list[Heard] = []

    def take(self, *, idle: bool = True) -> list[Heard]:
        events = self.intake.take(idle=idle)
        self.heard += events
        return events

    def drain(self) -> None:
        self.heard += self.intake.drain()

    @property
    def gaps(self) -> list[NewStream]:
        return [event for event in self.heard if isinstance(event, NewStream)]


def assert_nothing_is_missing(source: Ramp, intake: Intake, heard: Sequence[Event]) -> None:
    """Samples count up, ring by ring; what is left out of a ring lies in a gap of so many, or after its last."""
    used = [(ring, first) for ring, first in source.rings if ring.written]
    rings = iter([*used, (None, source.position)])
    ring, wanted = next(rings, (None, 0))
    missing = 0
    fed = 0
    for event in heard:
        match event:
            case Lost(count, samplerate):
                assert ring is not None
                assert ring.samplerate == samplerate
                wanted += count
                missing += count
            case NewStream():
                ring, wanted, missing = follow(ring, wanted, missing, rings)
            case Samples(part, samplerate):
                assert ring is not None
                assert ring.samplerate == samplerate
                np.testing.assert_array_equal(part, np.arange(wanted, wanted + len(part)))
                wanted += len(part)
                fed += len(part)
    follow(ring, wanted, missing, rings)
    gaps = [event for event in heard if isinstance(event, NewStream)]
    assert intake.counters.offered == source.position == fed + intake.counters.lost
    assert intake.counters.lost == sum(ring.lost for ring, _ in source.rings)
    assert intake.gaps == len(gaps)
    assert intake.gap_seconds == pytest.approx(sum(event.gap / event.samplerate for event in gaps))


def follow(ring, wanted, missing, rings):
    """From the end of one ring, where what was lost last has no sample after it, to the beginning of the next."""
    following, first = next(rings, (None, wanted))
    if ring is not None:
        assert first - wanted == ring.lost - missing
    return following, first, 0


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.one_of(st.integers(0, 60), st.integers(0, 2500))),
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.just("come back"), st.sampled_from([16_000, 44_100, 48_000])),
        st.tuples(st.just("pass"), st.integers(0, 3000)),
    ),
    min_size=1,
    max_size=30,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(actions=ACTIONS)
@example([("deliver", 900), ("deliver", 900), ("come back", 48_000), ("deliver", 900), ("deliver", 5000), ("take", 3)])
@example([("deliver", 900), ("come back", 48_000), ("come back", 16_000), ("take", 4), ("deliver", 30), ("take", 3)])
def test_every_sample_comes_once_and_in_order_or_lies_in_a_gap_of_that_many(actions: list[tuple[str, int]]) -> None:
    source = Ramp()
    taking = Taking(source)
    for action, number in actions:
        if action == "deliver":
            source.deliver(number)
        elif action == "take":
            for _ in range(number):
                taking.take()
        elif action == "pass":
            source.now += number / 1000
        else:
            # a source looks for its device for longer than the engine takes to hear of the ring before
            while taking.take():
                pass
            source.come_back(number)
    taking.drain()
    assert_nothing_is_missing(source, taking.intake, taking.heard)
    assert not taking.intake.waiting


@settings(max_examples=40, deadline=None, derandomize=True)
@given(blocks=st.lists(st.integers(1, 700), min_size=2, max_size=20), away=st.floats(0.01, 30))
def test_a_gap_lasts_from_the_last_sample_before_to_the_first_after(blocks: list[int], away: float) -> None:
    source = Ramp(1.0)
    taking = Taking(source)
    for half in (0, 1):
        for block in blocks[half::2]:
            source.deliver(block)
            taking.take()
        if not half:
            source.come_back(48_000)
            source.now += away
    (began,) = taking.gaps
    assert began.samplerate == 48_000
    lasted = began.gap / 48_000
    assert lasted == pytest.approx(max(away, SHORTEST_GAP_SECONDS), abs=1 / 48_000)
    assert taking.intake.gap_seconds == lasted
    # where the music is, is when it was captured
    heard = sum(blocks[::2]) / RATE + lasted
    for at in (heard, heard + sum(blocks[1::2]) / 48_000):
        late = lasted - away  # 0, but for a gap that was too short for the frames before it to end
        assert taking.intake.times(at)[0] == pytest.approx(100 + at - late, abs=1e-6)


def test_what_was_heard_before_a_gap_is_done_with_before_another_stream_begins() -> None:
    source = Ramp(1.0)
    taking = Taking(source)
    source.deliver(500)
    source.come_back(48_000)
    source.deliver(300)
    (event,) = taking.take(idle=False)
    assert isinstance(event, Samples)
    assert taking.take(idle=False) == []
    assert taking.intake.waiting
    began, event = taking.take(idle=True)
    assert isinstance(began, NewStream)
    assert isinstance(event, Samples)


def test_the_input_is_gone_once_what_it_left_was_read_and_the_end_is_told_once() -> None:
    source = Ramp(1.0)
    taking = Taking(source)
    source.deliver(500)
    source.go()
    assert [type(event) for event in taking.take()] == [Samples]
    (gone,) = taking.take()
    assert isinstance(gone, Gone)
    assert gone.time >= 500 / RATE
    assert taking.take() == []
    source.come_back()
    assert [type(event) for event in taking.take()] == [Back]
    unplugged = DeviceError("unplugged for good")
    source.deliver(10)
    source.end(unplugged)
    assert [type(event) for event in taking.take()] == [NewStream, Samples]
    assert taking.take(idle=False) == []
    assert taking.take() == [Ended(unplugged)]
    assert taking.take() == []


def test_times_are_those_of_the_sample_that_is_asked_for() -> None:
    source = Ramp(1.0)
    intake = Intake(source)
    for late in (0.003, 0.008, 0.001):
        source.deliver(1600, captured=source.now + 0.1 + late)
        intake.take()
    for at, late in ((0.05, 0.003), (0.1, 0.003), (0.101, 0.008), (0.3, 0.001)):
        captured, arrived = intake.times(at)
        assert captured == pytest.approx(100 + at, abs=1e-3)
        block = -(-at // 0.1) if at != 0.3 else 3
        assert arrived == pytest.approx(100 + block * 0.1 + late, abs=1e-6)
    assert intake.times(99) == intake.times(0.3), "nothing is later than the newest sample"


@pytest.mark.parametrize("changed", [False, True])
def test_the_resamplers_needs_count_as_arrival(changed: bool) -> None:
    source = Ramp(1.0)
    intake = Intake(source) if changed else None
    source.come_back(48_000)
    intake = intake or Intake(source)
    intake.take()
    needed = lookahead(48_000)
    assert needed > 100
    source.deliver(4800)
    source.deliver(4800)
    intake.take()
    arrivals = [intake.times((4800 - needed + more) / 48_000)[1] for more in (0, 1)]
    assert arrivals == pytest.approx([100.1, 100.2])


def test_now_goes_on_where_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Ramp(1.0)
    intake = Intake(source)
    assert intake.now() == 0
    source.deliver(1600)
    intake.take()
    monkeypatch.setattr(time, "monotonic", lambda: source.now + 2.5)
    assert intake.now() == pytest.approx(2.6)
    source.come_back(48_000)
    intake.take()
    assert intake.now() == pytest.approx(2.6), "also when the next ring is there, and nothing in it"
    source.now += 7.0
    source.deliver(4800)
    intake.take()
    monkeypatch.setattr(time, "monotonic", lambda: source.now)
    assert intake.now() == pytest.approx(0.1 + 7.0 + 0.1)


def test_a_ring_that_brought_nothing_leaves_no_trace() -> None:
    source = Ramp(1.0)
    taking = Taking(source)
    source.deliver(500)
    taking.take()
    source.come_back(48_000)
    taking.take()
    source.now += 1.0
    source.come_back(44_100)
    taking.take()
    source.now += 1.0
    source.deliver(500)
    taking.take()
    assert taking.gaps == [NewStream(44_100, 2 * 44_100)]
    assert (taking.intake.gaps, taking.intake.counters.offered) == (1, 1000)


def test_what_comes_into_a_ring_after_it_was_read_is_heard_before_the_next() -> None:
    source = Ramp(1.0)
    taking = Taking(source)
    source.deliver(100)
    first = source.ring
    read = first.read

    def late() -> list[Piece]:
        pieces = read()
        if source.position == 100:  # the ring has been read
            source.deliver(50)
            source.come_back()
        return pieces

    first.read = late  # type: ignore[method-assign] # it writes in between
    taking.take()
    source.deliver(30)
    for _ in range(4):
        taking.take()
    assert_nothing_is_missing(source, taking.intake, taking.heard)
    assert taking.intake.counters.offered == 180


def test_counters_are_those_of_all_rings() -> None:
    source = Ramp()
    intake = Intake(source)
    for _ in range(3):
        block = np.full((1500, 1), np.nan, np.float32)
        source.ring.write_stamped(block, 100.0, 100.1, overflowed=True)
        intake.take()
        source.come_back()
        intake.take()
    assert intake.counters[:4] == (4500, 3 * 476, 3, 3 * 1024)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_session_whose_engine_is_slow_and_stands_still_loses_nothing_uncounted(seed: int) -> None:
    """On its thread, with the source on another: rings overflow while the judge thinks."""
    chance = random.Random(seed)
    source, tagger = Ramp(0.12), make_tagger(Judge(cost=0.004))
    session = Session(source, tagger)

    def play() -> None:
        for turn in range(150):
            source.deliver(chance.choice([chance.randrange(1, 80), chance.randrange(1, 1500)]))
            time.sleep(chance.choice([0, 0.001, 0.003]))
            if turn % 40 == 39:
                source.go()
                wait_until(lambda: session.stats.state is State.RECOVERING, "the engine to have heard all")
                source.now += chance.uniform(0.1, 3)
                source.come_back(chance.choice([16_000, 48_000]))
        source.end()

    player = threading.Thread(target=play)
    with session:
        player.start()
        assert session.wait(60)
    player.join()
    assert session.stats.samples_lost > 0, "else nothing was tried"
    assert session.stats.gaps == 3
    stats = session.stats
    assert stats.samples_captured == source.position == stats.samples_in + stats.samples_lost
    passed = tagger.next_index
    assert stats.hops + stats.hops_gated + stats.hops_skipped + stats.hops_lost == passed
