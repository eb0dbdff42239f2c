"""Show files in a session: what receivers get, files that change or are wrong, and the examples of the documents."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamtag.bridges.broker import parse_broker
from streamtag.errors import OptionError
from streamtag.results import State
from streamtag.rules.reading import read_show
from streamtag.rules.sink import RulesSink
from streamtag.rules.tags import check_selection
from streamtag.rules.ways import MqttAccess
from tests.support.osc import Receiver
from tests.support.program import Running
from tests.support.shows import HEADED, heard
from tests.support.values import LABELS, make_stats

ROOT = Path(__file__).parents[2]
PAGES = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("rules.md", "midi.md", "mqtt.md"))
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGES, re.MULTILINE | re.DOTALL)
SWITCH = 'when = "tag/rock"\nabove = 0.5\nsend = {{ osc = "{0}" }}\n'
Start = Callable[..., Running]
Play = Callable[[str], RulesSink]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "show.toml"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.socket.close()


@pytest.fixture
def play(path: Path, receiver: Receiver) -> Iterator[Play]:
    sinks = []

    def begin(text: str) -> RulesSink:
        write(path, receiver, text)
        sink = RulesSink(path)
        sink.open(HEADED)
        sinks.append(sink)
        return sink

    yield begin
    for sink in sinks:
        sink.close()


def write(path: Path, receiver: Receiver, text: str) -> None:
    """Write the file with another time than before."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(f'host = "127.0.0.1:{receiver.port}"\n{text}')
    os.utime(path, ns=(before + 10**9, before + 10**9))


def got(receiver: Receiver) -> list[tuple[str, tuple[object, ...]]]:
    return [(address, arguments) for address, _, arguments in receiver.messages()]


def test_what_rules_say_is_sent(play: Play, receiver: Receiver) -> None:
    sink = play(
        '[[rule]]\nwhen = "tag/rock"\nto = [0, 10]\nsend = { osc = "/fader" }\n[[rule]]\n' + SWITCH.format("/cue")
    )
    sink.frame(heard(0.0, rock=0.25))
    sink.frame(heard(1.0, rock=0.75))
    sink.frame(heard(2.0, rock=0.0))
    assert got(receiver) == [("/fader", (2.5,)), ("/fader", (7.5,)), ("/cue", (1,)), ("/fader", (0.0,)), ("/cue", (0,))]
    assert (sink.drops, sink.trouble) == (0, None)


def test_the_end_switches_off_what_is_on(play: Play, receiver: Receiver) -> None:
    sink = play("[[rule]]\n" + SWITCH.format("/cue"))
    sink.frame(heard(0.0, rock=0.75))
    sink.close()
    assert got(receiver) == [("/cue", (1,)), ("/cue", (0,))]


def test_a_file_that_changes_takes_over_and_what_is_the_same_stands(play: Play, path: Path, receiver: Receiver) -> None:
    sink = play("[[rule]]\n" + SWITCH.format("/kept") + "[[rule]]\n" + SWITCH.format("/gone"))
    sink.frame(heard(0.0, rock=0.75))
    write(path, receiver, "[[rule]]\n" + SWITCH.format("/kept") + "[[rule]]\n" + SWITCH.format("/new"))
    sink.status(make_stats(state=State.RUNNING))
    sink.frame(heard(1.0, rock=0.75))
    on = [("/kept", (1,)), ("/gone", (1,))]
    assert got(receiver) == [*on, ("/gone", (0,)), ("/new", (1,))]


@pytest.mark.parametrize("wrong", ["[[rule]", '[[rule]]\nwhen = "tag/polka"\nsend = { osc = "/a" }', None])
def test_a_wrong_file_leaves_the_old_rules_at_work(
    play: Play, path: Path, receiver: Receiver, wrong: str | None
) -> None:
    sink = play("[[rule]]\n" + SWITCH.format("/cue"))
    if wrong is None:
        path.unlink()
    else:
        write(path, receiver, wrong)
    sink.status(make_stats(state=State.RUNNING))
    assert sink.trouble is not None
    assert str(path) in sink.trouble
    assert sink.trouble.endswith("the rules stay as they were")
    sink.frame(heard(0.0, rock=0.75))
    assert got(receiver) == [("/cue", (1,))]
    write(path, receiver, "[[rule]]\n" + SWITCH.format("/cue"))
    sink.status(make_stats(state=State.RUNNING))
    assert sink.trouble is None


def test_a_tag_that_the_session_does_not_have_is_told_with_its_line(path: Path, receiver: Receiver) -> None:
    write(path, receiver, '\n[[rule]]\nwhen = "tag/rok"\nsend = { osc = "/a" }')
    with pytest.raises(OptionError, match=r"show\.toml:3: .*rok.*did you mean rock"):
        RulesSink(path).open(HEADED)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_examples_of_the_document_are_shows(path: Path, block: str) -> None:
    path.write_text(block)
    show = read_show(path, midi="any", mqtt=True)
    assert show.rules or show.tags
    check_selection(show, LABELS)


@pytest.mark.parametrize("example", sorted((ROOT / "examples" / "shows").glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_shows_of_the_default_model(example: Path) -> None:
    sink = RulesSink(example, mqtt=MqttAccess(parse_broker("127.0.0.1:1")))
    assert sink.show.rules
    sink.check(LABELS, HEADED.heads)


def test_what_holds_from_the_next_start_on_is_told(play: Play, path: Path, receiver: Receiver) -> None:
    sink = play("[[rule]]\n" + SWITCH.format("/cue"))
    write(path, receiver, "[tags]\ndeny = ['sexy']\n[[rule]]\n" + SWITCH.format("/cue"))
    sink.status(make_stats())
    assert sink.trouble == f"{path}: what has changed in [tags] holds from the next start on"
    write(path, receiver, "[[rule]]\n" + SWITCH.format("/cue"))
    sink.status(make_stats())
    assert sink.trouble is None


def test_rules_call_tags_by_their_old_names_and_by_their_new(path: Path, receiver: Receiver) -> None:
    rename = "[tags]\nrename = { 'Hip-Hop' = 'rap' }\n"
    for name in ("hip-hop", "Hip-Hop", "rap", "RAP"):
        write(path, receiver, rename + SWITCH.format("/a").join(("[[rule]]\n", "")).replace("tag/rock", f"tag/{name}"))
        RulesSink(path).check(LABELS, ())


@pytest.mark.slow
def test_the_program_plays_a_show(path: Path, receiver: Receiver, start: Start) -> None:
    write(path, receiver, '[[rule]]\nwhen = "tag/piano"\nsend = { osc = "/piano" }\n')
    running = start("live", "--input", "demo", "--format", "text", "--duration", "5", "--rules", str(path))
    assert running.end().status == 0
    values = [arguments[0] for address, arguments in got(receiver) if address == "/piano"]
    assert len(values) >= 3
    assert max(float(str(value)) for value in values) > 0.3

    path.write_text('[[rule]]\nwhen = 3\nsend = { osc = "/a" }')
    outcome = start("live", "--input", "demo", "--format", "text", "--rules", str(path)).end()
    assert outcome.status == 2
    assert f"{path}:2: when = 3: expected a text in quotes" in outcome.stderr
