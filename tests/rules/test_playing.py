"""Rules at work: what is sent at which frame, by the time of the frames alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamtag.results import State
from streamtag.rules.messages import OscMessage
from streamtag.rules.playing import Rules, UnboundError
from tests.support.shows import HEADED, HOST, every, heard, rules, sent, show
from tests.support.values import INFO, make_head, make_stats


def rule(when: str, more: str = "", send: str = '{ osc = "/a" }') -> str:
    return f'[[rule]]\nwhen = "{when}"\n{more}\nsend = {send}\n'


# --- numbers ------------------------------------------------------------------------------------------------------


def test_a_score_is_sent_as_it_is(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock"))
    assert playing.step(heard(1, rock=0.25)) == [OscMessage(HOST, "/a", (0.25,))]
    assert playing.step(heard(2, rock=0.25)) == [], "changes only"
    assert playing.step(heard(3, rock=0.5)) == [OscMessage(HOST, "/a", (0.5,))]


def test_a_range_is_mapped_to_another_and_not_left(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "from = [0.25, 0.75]\nto = [100, 50]"))
    assert sent(playing, every(1, 0, 0.25, 0.375, 0.75, 0.9)) == [
        (0, (100,)),
        (2, (87.5,)),
        (3, (50,)),
    ]


def test_levels_and_coordinates_have_ranges_of_their_own(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("level") + rule("y"))
    assert sent(playing, [heard(0, level_dbfs=-15.0, xyz=(0.0, -0.5, 1.0))]) == [(0, (0.75,)), (0, (0.25,))]


def test_a_curve_bends_the_middle(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "curve = 2\nto = [0, 8]"))
    assert sent(playing, every(1, 0, 0.5, 1)) == [(0, (0,)), (1, (2,)), (2, (8,))]


@pytest.mark.parametrize(
    ("kind", "value"), [("float", 63.5), ("int", 64), ("bool", True), ("text", "63.5")], ids=lambda value: str(value)
)
def test_a_value_is_of_the_type_that_is_asked_for(tmp_path: Path, kind: str, value: object) -> None:
    playing = rules(tmp_path, rule("tag/rock", f'type = "{kind}"\nto = [0, 127]'))
    ((_, (argument,)),) = sent(playing, every(1, 0.5))
    assert argument == value
    assert type(argument) is type(value)


def test_arguments_are_constants_and_what_is_heard(tmp_path: Path) -> None:
    arguments = '[3, 0.5, true, "on", "$value", "$name: $input", "$$"]'
    playing = rules(
        tmp_path, rule("tag/female vocalists", "to = [0, 10]", f'{{ osc = "/a", arguments = {arguments} }}')
    )
    frames = every(1, 0.25, tag="female vocalists")
    assert sent(playing, frames) == [(0, (3, 0.5, True, "on", 2.5, "female vocalists: 0.25", "$"))]


def test_a_number_is_smoothed_in_time_of_the_audio(tmp_path: Path) -> None:
    for hop in (0.5, 0.25):
        playing = rules(tmp_path, rule("tag/rock", "smooth = 2.0"))
        values = dict(sent(playing, every(hop, 0, *[1] * round(4 / hop))))
        assert values[4.0][0] == pytest.approx(1 - np.exp(-2))


def test_so_many_a_second_are_sent_at_the_most_and_the_newest_last(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "rate = 2"))
    found = sent(playing, every(0.064, *np.linspace(0, 1, 63), 1.0))
    assert len(found) == 9
    assert np.diff([time for time, _ in found]) == pytest.approx(0.5, abs=0.064)
    frames = [heard(5, rock=0.5), heard(5.1, rock=0.25), heard(5.5, rock=0.25)]
    assert sent(playing, frames) == [(5, (0.5,)), (5.5, (0.25,))], "the newest, when it is time again"


def test_at_thirty_a_second_what_comes_thirty_times_a_second_is_all_sent(tmp_path: Path) -> None:
    playing = Rules(show(tmp_path, rule("tag/rock")).rules, replace(HEADED, hop=0.032))
    assert len(sent(playing, every(0.032, *np.linspace(0, 1, 100)))) >= 95


def test_what_does_not_change_is_repeated_where_that_is_asked_for(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "changes_only = false\nrate = 1"))
    assert [time for time, _ in sent(playing, every(0.25, *[0.5] * 9))] == [0, 1, 2]


# --- on and off ---------------------------------------------------------------------------------------------------


def test_a_threshold_has_hysteresis(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "above = 0.5"))
    assert sent(playing, every(1, 0.4, 0.5, 0.41, 0.39, 0.49, 0.6)) == [(1, (1,)), (3, (0,)), (5, (1,))]
    playing = rules(tmp_path, rule("tag/rock", "above = 0.5\nhysteresis = 0.3"))
    assert sent(playing, every(1, 0.5, 0.21, 0.19)) == [(0, (1,)), (2, (0,))]


def test_a_threshold_from_below(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("level", "below = -40"))
    levels = [heard(place, level_dbfs=level) for place, level in enumerate((-20.0, -41.0, -38.0, -36.0))]
    assert sent(playing, levels) == [(1, (1,)), (3, (0,))]


def test_what_flickers_is_debounced(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "above = 0.5\ndebounce = 0.3"))
    scores = [0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0]
    assert sent(playing, every(0.1, *scores)) == [(0.6, (1,)), (1.2, (0,))]


def test_what_is_on_is_held(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "above = 0.5\nhold = 0.5"))
    assert sent(playing, every(0.1, 1, 0, 0, 0, 0, 0, 0, 1)) == [(0, (1,)), (0.5, (0,)), (0.7, (1,))]


def test_the_same_audio_sends_the_same_however_often_time_passes(tmp_path: Path) -> None:
    text = rule("tag/rock", "above = 0.5\ndebounce = 0.2\nhold = 0.4")
    scores = (np.sin(np.arange(400) / 9) + 1) / 2
    frames = every(0.016, *scores)
    plain, busy = rules(tmp_path, text), rules(tmp_path, text)
    expected = sent(plain, frames)
    found = []
    for frame in frames:
        found += sent(busy, [frame])
        busy.status(make_stats(seconds=frame.time))
    assert found == expected
    assert len(expected) > 4


def test_a_trigger_is_sent_when_it_switches_on_and_another_when_off(tmp_path: Path) -> None:
    more = 'above = 0.5\nsend_off = { osc = "/off", arguments = [] }'
    playing = rules(tmp_path, rule("tag/rock", more, '{ osc = "/on", arguments = [3] }'))
    assert playing.step(heard(0, rock=1)) == [OscMessage(HOST, "/on", (3,))]
    assert playing.step(heard(1, rock=0)) == [OscMessage(HOST, "/off", ())]


def test_what_a_switch_sends_can_be_mapped(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "above = 0.5\nto = [0.1, 0.8]"))
    assert sent(playing, every(1, 1, 0)) == [(0, (0.8,)), (1, (0.1,))]


def test_tags_and_classes_switch_where_the_session_says(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("on/rock") + rule("head/mood/on/calm") + rule("rest"))
    frames = [
        heard(0, on=frozenset(), heads=(make_head(on=frozenset()),)),
        heard(1, on=frozenset({"rock"}), heads=(make_head(),)),
        heard(2, on=frozenset(), heads=(make_head(on=frozenset()),), gated=True),
    ]
    assert sent(playing, frames) == [(1, (1,)), (1, (1,)), (2, (0,)), (2, (0,)), (2, (1,))]


def test_a_section_is_a_flash(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("section", send='{ osc = "/a", arguments = ["$value", "$input"] }'))
    frames = [heard(0.05 * place, section=2.25 if place == 2 else None) for place in range(6)]
    assert sent(playing, frames) == [(0.1, (1, 2.25)), (0.2, (0, 0.0))]


# --- texts --------------------------------------------------------------------------------------------------------


def test_the_top_tag_is_told_when_it_changes(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("top", "debounce = 1"))
    tops = ["rock", "rock", "pop", "rock", "pop", "pop", ""]
    frames = [heard(place, top=((top, 0.5),) if top else ()) for place, top in enumerate(tops)]
    assert sent(playing, [*frames, heard(8, top=())]) == [(1, ("rock",)), (5, ("pop",)), (8, ("",))]


def test_a_text_switches_where_it_is_one_of_these(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("head/mood", 'is = ["wild", "mad"]'))
    tops = ["calm", "wild", "calm"]
    frames = [heard(place, heads=(make_head(top=((top, 0.5),)),)) for place, top in enumerate(tops)]
    assert sent(playing, frames) == [(1, (1,)), (2, (0,))]


def test_the_state_is_told_without_a_frame(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("state") + rule("state", 'is = "recovering"'))
    assert [message.arguments for message in playing.status(make_stats())] == [("running",)]  # type: ignore[union-attr]
    gone = playing.status(make_stats(state=State.RECOVERING))
    assert [message.arguments for message in gone] == [("recovering",), (1,)]  # type: ignore[union-attr]


# --- other messages -----------------------------------------------------------------------------------------------


def test_controllers_follow_and_notes_switch(tmp_path: Path) -> None:
    sends = "[{ cc = 20 }, { cc = 21, channel = 16, value = 5 }]"
    following, switching = rule("tag/rock", send="{ cc = 20 }"), rule("tag/rock", "above = 0.5", sends)
    note = rule("tag/rock", "above = 0.5", "[{ note = 60, channel = 10 }, { program = 3 }]")
    assert sent(rules(tmp_path, following), every(1, 0, 0.5, 1)) == [
        (0, (0xB0, 20, 0)),
        (1, (0xB0, 20, 64)),
        (2, (0xB0, 20, 127)),
    ]
    assert sent(rules(tmp_path, switching), every(1, 1, 0)) == [
        (0, (0xB0, 20, 127)),
        (0, (0xBF, 21, 5)),
        (1, (0xB0, 20, 0)),
    ]
    assert sent(rules(tmp_path, note), every(1, 1, 0)) == [
        (0, (0x99, 60, 100)),
        (0, (0xC0, 3)),
        (1, (0x89, 60, 0)),
    ]


def test_a_controller_is_sent_when_its_seven_bits_change(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "to = [10, 20]", "{ cc = 20 }"))
    assert sent(playing, every(1, 0.5, 0.501, 0.6)) == [(0, (0xB0, 20, 15)), (2, (0xB0, 20, 16))]


def test_payloads_are_texts(tmp_path: Path) -> None:
    send = """{ mqtt = "hall/rock", payload = '{"tag": "$name", "score": $value}', retain = true }"""
    playing = rules(tmp_path, rule("tag/rock", send=send))
    assert sent(playing, every(0.25, 0.12345, 0.2, 0.3, 0.4, 0.5)) == [
        (0, '{"tag": "rock", "score": 0.123}'),
        (1, '{"tag": "rock", "score": 0.5}'),
    ]


# --- beginnings and ends ------------------------------------------------------------------------------------------


def test_what_is_on_is_switched_off_at_the_end(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "above = 0.5\nhold = 60", "{ note = 60 }") + rule("tag/pop"))
    playing.step(heard(0, rock=1))
    assert [bytes(message.data) for message in playing.release()] == [bytes([0x80, 60, 0])]  # type: ignore[union-attr]
    assert playing.release() == []


def test_what_is_held_while_the_input_is_gone_ends_in_time(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("tag/rock", "above = 0.5\nhold = 4"))
    playing.step(heard(10, rock=1))
    playing.step(heard(11, gated=True))
    assert playing.status(make_stats(state=State.RECOVERING, seconds=11, gap_seconds=2)) == []
    (off,) = playing.status(make_stats(state=State.RECOVERING, seconds=11, gap_seconds=3))
    assert off == OscMessage(HOST, "/a", (0,))


def test_who_comes_late_is_told_how_it_stands_and_no_trigger(tmp_path: Path) -> None:
    text = rule("tag/rock", "above = 0.5", '[{ osc = "/a" }, { osc = "/go", arguments = [1] }]') + rule("tag/pop")
    playing = rules(tmp_path, text)
    playing.step(heard(0, rock=1, pop=0.25))
    assert [message.arguments for message in playing.standing()] == [(1,), (0.25,)]  # type: ignore[union-attr]


def test_rules_that_are_changed_go_on_where_they_are_the_same(tmp_path: Path) -> None:
    kept = rule("tag/rock", "above = 0.5")
    before = rules(tmp_path, kept + rule("tag/pop", "above = 0.5", '{ osc = "/b" }'))
    before.step(heard(0, rock=1, pop=1))
    after = rules(tmp_path, rule("tag/jazz", "above = 0.5", '{ osc = "/c" }') + kept)
    assert after.succeed(before) == [OscMessage(HOST, "/b", (0,))]
    assert after.step(heard(1, rock=1, jazz=1)) == [OscMessage(HOST, "/c", (1,))], "rock is on already"


# --- what is not there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("tag/rokc", "no tag is called 'rokc': did you mean rock?"),
        ("on/xyzzy", "no tag is called 'xyzzy': expected one of rock, pop"),
        ("head/mod/calm", "no head is called 'mod': did you mean mood?"),
        ("head/mood/clam", "the head mood has no class 'clam': did you mean calm?"),
    ],
)
def test_names_are_looked_up_in_the_session(tmp_path: Path, when: str, said: str) -> None:
    with pytest.raises(UnboundError, match=r"^line 2: ") as caught:
        rules(tmp_path, rule(when))
    assert said in str(caught.value)


def test_without_a_head_a_rule_on_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnboundError, match="line 2: there are no heads in this session: give --head"):
        Rules(show(tmp_path, rule("head/mood/calm")).rules, INFO)


@pytest.mark.parametrize("when", ["tag/Hip-Hop", "tag/hip-hop", "tag/HIP-HOP"])
def test_tags_are_named_as_they_are_or_as_in_addresses(tmp_path: Path, when: str) -> None:
    assert sent(rules(tmp_path, rule(when)), every(1, 0.5, tag="Hip-Hop")) == [(0, (0.5,))]


def test_what_the_session_does_not_say_is_told(tmp_path: Path) -> None:
    playing = rules(tmp_path, rule("music"))
    assert playing.step(heard(0, gated=True)) == []
    assert playing.lacking is None, "at rest much is not said"
    assert playing.step(heard(1)) == []
    assert playing.lacking == "line 2: music says nothing without --music gate or tell"
    playing.step(heard(2, music=0.5))
    assert playing.lacking is None
