"""OSC as other programs receive it: read back from a socket with python-osc, and with liblo's oscdump."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from streamtag._slugs import slug
from streamtag.inference.networks.specs import SPECS
from streamtag.osc.sink import LARGEST_DATAGRAM, OscSink, message
from streamtag.osc.where import parse_destination
from streamtag.results import State
from streamtag.sinks.base import HeadInfo, SessionInfo
from tests.support.osc import Message, Receiver, parsed
from tests.support.program import LiveRun
from tests.support.values import INFO, make_frame, make_head, make_stats

IMMEDIATELY = struct.pack(">Q", 1)


def only(messages: list[Message], address: str) -> Message:
    (found,) = [item for item in messages if item[0] == address]
    return found


def info_of(model: str) -> SessionInfo:
    spec = SPECS[model]
    return SessionInfo(model, spec.labels, spec.embedding_size, "Scarlett", 48_000, 0.064, 2.992, "full patch")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.socket.close()


@pytest.fixture
def sink(receiver: Receiver) -> Iterator[OscSink]:
    sink = OscSink("127.0.0.1", receiver.port)
    sink.open(INFO)
    yield sink
    sink.close()


# --- what is sent -------------------------------------------------------------------------------------------------


def test_scores_on_their_own_scales_and_whether_it_is_music_are_sent_where_they_are_known(
    receiver: Receiver, sink: OscSink
) -> None:
    sink.frame(make_frame(1))
    addresses = {item[0] for item in receiver.messages()}
    assert "/streamtag/music" not in addresses
    assert not any(address.startswith("/streamtag/cal/") for address in addresses)
    calibrated = np.linspace(1, 0, 50, dtype=np.float32)
    sink.frame(make_frame(2, music=0.25, calibrated=calibrated))
    messages = receiver.messages()
    assert only(messages, "/streamtag/music")[1:] == ("f", (0.25,))
    sent = {item[0]: item[2] for item in messages}
    for label, place, score in zip(INFO.labels, calibrated, make_frame().scores, strict=True):
        assert sent[f"/streamtag/cal/{slug(label)}"] == (place,)
        assert sent[f"/streamtag/tag/{slug(label)}"] == (score,)


def test_the_gain_is_sent_where_there_is_one(receiver: Receiver, sink: OscSink) -> None:
    sink.frame(make_frame(1))
    assert "/streamtag/gain" not in {item[0] for item in receiver.messages()}
    sink.frame(make_frame(2, gain_db=-3.5))
    assert only(receiver.messages(), "/streamtag/gain")[1:] == ("f", (-3.5,))


def test_a_hop_is_what_the_table_says(receiver: Receiver, sink: OscSink) -> None:
    frame = make_frame(7, switched=(("Hip-Hop", True), ("female vocalists", False)))
    sink.frame(frame)
    messages = receiver.messages()

    _, tags, (index, seconds, latency, level) = only(messages, "/streamtag/frame")
    assert tags == "ifff"
    assert index == 7
    assert [seconds, latency, level] == pytest.approx([frame.time, 31.4, -18.249], rel=1e-5)

    _, tags, arguments = only(messages, "/streamtag/top")
    assert tags == "sfsfsf"
    assert arguments[::2] == ("rock", "female vocalists", "pop")
    assert arguments[1::2] == pytest.approx((0.43219, 0.3, 0.05))

    assert only(messages, "/streamtag/on/hip-hop")[1:] == ("i", (1,))
    assert only(messages, "/streamtag/on/female_vocalists")[1:] == ("i", (0,))

    scores = [item for item in messages if item[0].startswith("/streamtag/tag/")]
    assert [item[0] for item in scores] == [f"/streamtag/tag/{slug(label)}" for label in INFO.labels]
    assert {item[1] for item in scores} == {"f"}
    np.testing.assert_array_equal(np.array([item[2][0] for item in scores], np.float32), frame.scores)

    _, tags, (offset, length, *floats) = only(messages, "/streamtag/embedding")
    assert tags == "ii" + "f" * 200
    assert (offset, length) == (0, 200)
    np.testing.assert_array_equal(np.array(floats, np.float32), frame.embedding)

    said = {item[0].split("/")[2] for item in messages}
    assert said == {"frame", "seconds", "time", "top", "on", "tag", "embedding"}


def test_a_hop_says_when_on_the_clock_of_other_machines(receiver: Receiver, sink: OscSink) -> None:
    before, captured = time.time(), time.monotonic()
    sink.frame(make_frame(captured=captured - 5))
    after = time.time()
    first = parsed(receiver.datagrams()[0])
    _, tags, (seconds, micros, send_seconds, send_micros) = only(first, "/streamtag/time")
    assert tags == "iiii"
    assert 0 <= micros < 1_000_000 > send_micros >= 0
    assert before - 1e-6 <= send_seconds + send_micros / 1e6 <= after + 1e-6
    assert seconds + micros / 1e6 == pytest.approx(before - 5, abs=1e-3)
    sink.frame(make_frame(captured=None))
    assert "/streamtag/time" not in {item[0] for item in receiver.messages()}


def test_the_next_hop_carries_its_own_numbers(receiver: Receiver, sink: OscSink) -> None:
    sink.frame(make_frame(0))
    receiver.datagrams()
    scores = np.random.default_rng(2).random(50, np.float32)
    embedding = np.random.default_rng(3).normal(size=200).astype(np.float32)
    sink.frame(make_frame(1, scores=scores, embedding=embedding))
    messages = receiver.messages()
    heard = [item[2][0] for item in messages if item[0].startswith("/streamtag/tag/")]
    np.testing.assert_array_equal(np.array(heard, np.float32), scores)
    np.testing.assert_array_equal(np.array(only(messages, "/streamtag/embedding")[2][2:], np.float32), embedding)


def test_on_is_sent_at_changes_only(receiver: Receiver, sink: OscSink) -> None:
    sink.frame(make_frame(0, switched=()))
    assert not [item for item in receiver.messages() if "/on/" in item[0]]


def test_a_status_is_what_the_table_says(receiver: Receiver, sink: OscSink) -> None:
    stats = make_stats(
        state=State.FINISHED,
        load=np.float64(0.25),
        latency_p999=80.5,
        added_p50=1.5,
        added_p99=np.float64(2.5),
        added_p999=3.5,
        gaps=2,
        gap_seconds=0.75,
        hops_gated=90,
    )
    sink.status(stats)
    (datagram,) = receiver.datagrams()
    assert parsed(datagram) == [
        ("/streamtag/status", "siif", ("finished", 12, 4, 0.25)),
        ("/streamtag/latency", "fff", (31.0, 47.0, 80.5)),
        ("/streamtag/added", "fff", (1.5, 2.5, 3.5)),
        ("/streamtag/gaps", "ifi", (2, 0.75, 3)),
        ("/streamtag/rested", "i", (90,)),
        ("/streamtag/level", "f", (-20.0,)),
        ("/streamtag/trouble", "", ()),
        ("/streamtag/active", "", ()),
    ]
    assert datagram.startswith(b"#bundle\0" + IMMEDIATELY)


def test_what_is_not_always_known_is_sent_where_it_is(receiver: Receiver, sink: OscSink) -> None:
    def sent(**known: object) -> list[Message]:
        sink.status(make_stats(**known))
        return [one for one in receiver.messages() if one[0] in ("/streamtag/title", "/streamtag/clock")]

    assert sent(title="Zo\xeb - It's", clock_ppm=-12.5) == [
        ("/streamtag/title", "s", ("Zo\xeb - It's",)),
        ("/streamtag/clock", "f", (-12.5,)),
    ]
    assert sent(title="") == [("/streamtag/title", "s", ("",))]
    assert sent() == []


def test_counters_stop_at_the_largest_int32(receiver: Receiver, sink: OscSink) -> None:
    sink.status(make_stats(samples_lost=2**40, hops_skipped=2**31 - 1))
    assert receiver.messages()[0][2][1:3] == (2**31 - 1, 2**31 - 1)
    assert parsed(message("/x", 2**31).dgram) == [("/x", "i", (2**31 - 1,))]


def test_messages_are_byte_exact() -> None:
    assert message("/a", "hé", 1, 0.5).dgram == b"/a\0\0,sif\0\0\0\0h\xc3\xa9\0\0\0\0\1\x3f\0\0\0"


def test_bundles_are_to_be_acted_on_at_once(receiver: Receiver, sink: OscSink) -> None:
    sink.frame(make_frame())
    datagrams = receiver.datagrams()
    bundles = [datagram for datagram in datagrams if datagram.startswith(b"#bundle\0")]
    assert bundles
    assert {datagram[8:16] for datagram in bundles} == {IMMEDIATELY}


@pytest.mark.parametrize("model", SPECS)
def test_every_datagram_fits_and_the_embedding_comes_whole(receiver: Receiver, model: str) -> None:
    info = info_of(model)
    sink = OscSink("127.0.0.1", receiver.port)
    sink.open(info)
    embedding = np.random.default_rng(1).normal(size=info.embedding_size).astype(np.float32)
    everything = tuple((label, 0.5) for label in info.labels)
    switched = tuple((label, True) for label in info.labels)
    sink.frame(make_frame(embedding=embedding, top=everything, switched=switched))
    sink.close()
    datagrams = receiver.datagrams()
    assert max(map(len, datagrams)) <= LARGEST_DATAGRAM == 1472
    assert {len(datagram) % 4 for datagram in datagrams} == {0}
    messages = [item for datagram in datagrams for item in parsed(datagram)]
    heard = np.full(info.embedding_size, np.nan, np.float32)
    for address, tags, (offset, length, *floats) in (item for item in messages if item[0] == "/streamtag/embedding"):
        assert tags == "ii" + "f" * length, address
        heard[offset : offset + length] = floats
    np.testing.assert_array_equal(heard, embedding)
    switches = [item for item in messages if item[0].startswith("/streamtag/on/")]
    assert [item[2] for item in switches] == [(1,)] * 50 + [(0,)] * 50, "on at the frame, and off when the sink closes"
    assert {item[0] for item in switches[:50]} == {item[0] for item in switches[50:]}
    assert len(only(messages, "/streamtag/top")[2]) == 100
    assert sink.drops == 0


def test_labels_in_any_script_have_addresses_of_their_own(receiver: Receiver) -> None:
    labels = ("рок", "поп", "Rock", "rock")
    heads = (HeadInfo("жанр", labels), HeadInfo("my cues", ("a", "b")), HeadInfo("my_cues", ("a", "b")))
    sink = OscSink("127.0.0.1", receiver.port)
    sink.open(replace(INFO, heads=heads))
    scores, top = np.linspace(0.1, 0.4, 4, dtype=np.float32), tuple((label, 0.4) for label in labels)
    genre = make_head("жанр", scores=scores, raw=scores, top=top, switched=(("поп", True), ("rock", True)))
    sink.frame(make_frame(heads=(genre, make_head("my cues"), make_head("my_cues"))))
    sink.close()
    messages = receiver.messages()
    for name, score in zip(("rok", "pop", "rock", "rock_2"), scores, strict=True):
        assert only(messages, f"/streamtag/head/zhanr/{name}")[2] == (pytest.approx(score),)
    assert only(messages, "/streamtag/head/zhanr")[2][0] == "рок"
    for name in ("pop", "rock_2"):
        sent = [item[2] for item in messages if item[0] == f"/streamtag/head/zhanr/on/{name}"]
        assert sent == [(1,), (0,)]
    for name in ("my_cues", "my_cues_2"):
        assert only(messages, f"/streamtag/head/{name}/a")


def test_what_is_no_text_is_sent_in_another_way(receiver: Receiver, sink: OscSink) -> None:
    """A file's name may hold bytes of no encoding, and is what a trouble is said of."""
    sink.status(make_stats(warnings={"zeros": "caf\udce9.wav: nothing"}))
    assert only(receiver.messages(), "/streamtag/trouble")[2] == ("Scarlett: caf\\xe9.wav: nothing",)


def test_without_embeddings_none_are_sent(receiver: Receiver) -> None:
    sink = OscSink("127.0.0.1", receiver.port, embeddings=False)
    sink.open(INFO)
    sink.frame(make_frame())
    sink.close()
    assert "/streamtag/embedding" not in {item[0] for item in receiver.messages()}


# --- destinations -------------------------------------------------------------------------------------------------


def test_several_destinations_hear_the_same() -> None:
    receivers = [Receiver() for _ in range(3)]
    sinks = [OscSink("127.0.0.1", receiver.port) for receiver in receivers]
    for sink in sinks:
        sink.open(INFO)
        sink.frame(make_frame(captured=None))  # or else each says when it was sent
        sink.close()
    heard = [receiver.datagrams() for receiver in receivers]
    assert heard[0]
    assert heard[0] == heard[1] == heard[2]
    for receiver in receivers:
        receiver.socket.close()


def test_ipv6() -> None:
    try:
        receiver = Receiver("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    sink = OscSink(*parse_destination(f"[::1]:{receiver.port}"))
    sink.open(INFO)
    sink.status(make_stats())
    sink.close()
    assert only(receiver.messages(), "/streamtag/status")
    receiver.socket.close()


def test_after_the_end_nothing_is_sent(receiver: Receiver) -> None:
    sink = OscSink("127.0.0.1", receiver.port)
    sink.open(INFO)
    sink.close()
    sink.close()
    sink.frame(make_frame())
    sink.status(make_stats())
    assert receiver.datagrams() == []


# --- the whole program --------------------------------------------------------------------------------------------


def test_the_program_sends_what_the_table_says(live_run: LiveRun) -> None:
    assert live_run.outcome.status == 0, live_run.outcome.stderr
    messages = [item for packet in live_run.packets for item in parsed(packet)]
    assert max(map(len, live_run.packets)) <= LARGEST_DATAGRAM
    lines = live_run.outcome.json
    frames = [item for item in messages if item[0] == "/streamtag/frame"]
    assert [item[2][1] for item in frames] == pytest.approx([line["t"] for line in lines], abs=1e-3)
    tops = [item[2] for item in messages if item[0] == "/streamtag/top"]
    assert [list(top[::2]) for top in tops] == [[tag for tag, _ in line["top"]] for line in lines]
    embeddings = [item[2][2:] for item in messages if item[0] == "/streamtag/embedding"]
    np.testing.assert_allclose(embeddings, [line["embedding"] for line in lines], atol=1e-6)
    assert len([item for item in messages if item[0].startswith("/streamtag/tag/")]) == 50 * len(lines)
    first = next(place for place, item in enumerate(messages) if item[0] == "/streamtag/frame")
    assert any(item[0] == "/streamtag/level" for item in messages[:first]), "a level is there before the first window"
    statuses = [item[2] for item in messages[first:] if item[0] == "/streamtag/status"]
    assert [status[0] for status in statuses[:: len(statuses) - 1]] == ["running", "finished"]
    busy = sum(item[0] == "/streamtag/trouble" and bool(item[2]) for item in messages)  # comes and goes, each a change
    assert 2 <= len(statuses) <= 5 + 2 * busy, "one each second, and at each change"


def test_oscdump_hears_the_program(live_run: LiveRun, oscdump: str) -> None:
    assert live_run.dumped, f"{oscdump} heard nothing"
    hops = len(live_run.outcome.json)
    # oscdump prints: TIMETAG ADDRESS TYPES ARGUMENTS
    heard = [[*line.split(maxsplit=3), ""] for line in live_run.dumped]  # those without arguments have no types
    types: dict[str, set[str]] = {}
    for line in heard:
        types.setdefault(re.sub(r"^/streamtag/(tag|on)/.*", r"/streamtag/\1/", line[1]), set()).add(line[2])
    assert types["/streamtag/frame"] == {"ifff"}
    assert types["/streamtag/top"] == {"sf" * 5}
    assert types["/streamtag/tag/"] == {"f"}
    assert types["/streamtag/status"] == {"siif"}
    assert types["/streamtag/time"] == {"iiii"}
    assert types["/streamtag/latency"] == types["/streamtag/added"] == {"fff"}
    assert types["/streamtag/gaps"] == {"ifi"}
    assert types["/streamtag/rested"] == {"i"}
    assert types["/streamtag/seconds"] == {"ii"}
    troubles = "".join("".join(line[3:]) for line in heard if line[1] == "/streamtag/trouble")
    too_slow = r'\s*"demo: [^"]+: too slow: \d+ % of the hops are skipped; a longer hop keeps up"\s*'
    assert re.fullmatch(f"({too_slow})*", troubles), troubles
    assert {kind.strip("s") for kind in types["/streamtag/active"]} == {""}
    assert types["/streamtag/embedding"] == {"ii" + "f" * 200}
    assert types.get("/streamtag/on/", {"i"}) == {"i"}
    assert len([line for line in heard if line[1] == "/streamtag/frame"]) == hops
    assert len([line for line in heard if line[1] == "/streamtag/tag/rock"]) == hops
