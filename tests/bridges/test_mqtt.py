"""MQTT at a real broker: what it keeps, what it says when we are gone, and what happens when it is."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamtag.bridges.broker import PASSWORD, USER, Login, find_login, parse_broker
from streamtag.bridges.home_assistant import discovery
from streamtag.bridges.mqtt import MqttSink, state
from streamtag.errors import OptionError
from streamtag.results import State
from streamtag.rules.sink import RulesSink
from streamtag.rules.ways import MqttAccess
from streamtag.sinks.base import HeadInfo
from tests.support.mosquitto import Mosquitto
from tests.support.program import Running
from tests.support.shows import HEADED, heard
from tests.support.values import INFO, make_frame, make_head, make_stats
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

Start = Callable[..., Running]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    yield broker
    broker.end(signal.SIGKILL)


def sink_to(broker: Mosquitto, *, discovery: bool = False) -> MqttSink:
    sink = MqttSink(parse_broker(f"127.0.0.1:{broker.port}/hall"), discovery=discovery)
    sink.open(HEADED)
    wait_until(lambda: sink.trouble is None, "the connection")
    sink.status(make_stats())
    return sink


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port", "prefix", "tls"),
    [
        ("desk.local", "desk.local", 1883, "streamtag", False),
        ("10.0.0.1:1884", "10.0.0.1", 1884, "streamtag", False),
        ("10.0.0.1/hall/left/", "10.0.0.1", 1883, "hall/left", False),
        ("mqtt://desk:1", "desk", 1, "streamtag", False),
        ("mqtts://desk/hall", "desk", 8883, "hall", True),
        ("[::1]:1884", "::1", 1884, "streamtag", False),
    ],
)
def test_brokers_are_written_as_people_do(text: str, host: str, port: int, prefix: str, tls: bool) -> None:
    found = parse_broker(text)
    assert (found.host, found.port, found.prefix, found.tls) == (host, port, prefix, tls)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected HOST"),
        ("a b", "expected HOST"),
        ("desk:0", "port 0 does not exist"),
        ("desk:99999", "port 99999 does not exist"),
        ("http://desk", "http:// is no MQTT"),
        ("desk/a/#", "the prefix 'a/#'"),
        (f"{'a' * 70}.local", "cannot be a name"),
    ],
)
def test_what_is_no_broker_is_refused(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_broker(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(OptionError, match=f"give them in {USER} and {PASSWORD}") as caught:
        parse_broker("mqtt://me:secret@desk")
    assert "secret" not in str(caught.value)


def test_who_logs_in_stands_in_a_file_or_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_login() is None
    monkeypatch.setenv(USER, "me")
    monkeypatch.setenv(PASSWORD, "secret")
    assert find_login() == Login("me", "secret")
    assert "secret" not in repr(find_login())
    path = tmp_path / "login"
    path.write_text("you\npass word \n")
    assert find_login(path) == Login("you", "pass word ")
    path.write_text("\n")
    with pytest.raises(OptionError, match="expected the user on the first line"):
        find_login(path)
    with pytest.raises(OptionError, match="cannot be read: No such file"):
        find_login(tmp_path / "none")
    monkeypatch.delenv(USER)
    with pytest.raises(OptionError, match=f"{USER} is not"):
        find_login()


# --- what is said -------------------------------------------------------------------------------------------------


def test_a_state_is_what_json_lines_say_too() -> None:
    frame = make_frame(music=0.75, heads=(make_head(),))
    said = state(frame, make_stats(sink_trouble={"osc": "deaf"}), "Scarlett")
    assert said == {
        "state": "running",
        "trouble": ["osc: deaf"],
        "t": 3.008,
        "top": [["rock", 0.432], ["female vocalists", 0.3], ["pop", 0.05]],
        "on": ["rock"],
        "level_dbfs": -18.2,
        "rested": False,
        "music": 0.75,
        "heads": {"mood": [["calm", 0.8], ["wild", 0.2]]},
        "heads_on": {"mood": ["calm"]},
    }


def test_the_broker_keeps_the_state_and_what_is_on(broker: Mosquitto) -> None:
    sink = sink_to(broker)
    sink.frame(make_frame(switched=(("Hip-Hop", True),), heads=(make_head(switched=(("calm", True),)),)))
    wait_until(lambda: "hall/on/hip-hop" in broker.retained(), "the switch")
    kept = broker.retained()
    assert kept["hall/status"] == "online"
    assert (kept["hall/on/hip-hop"], kept["hall/head/mood/on/calm"]) == ("ON", "ON")
    assert json.loads(kept["hall/state"])["top"][0] == ["rock", 0.432]
    sink.close()
    kept = broker.retained()
    assert (kept["hall/status"], kept["hall/on/hip-hop"], kept["hall/head/mood/on/calm"]) == ("offline", "OFF", "OFF")


def test_it_is_said_once_a_second_or_when_it_changes(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = sink_to(broker)
    said: list[float] = []
    monkeypatch.setattr(sink, "_publish_state", lambda: said.append(sink._frame.time if sink._frame else 0))
    for place in range(40):
        sink.frame(make_frame(time=0.1 * place, on=frozenset({"rock"} if place >= 15 else ())))
    assert said == pytest.approx([0, 1, 1.5, 2.5, 3.5])
    sink.close()


def test_the_last_will_is_told_when_the_program_is_killed(broker: Mosquitto, start: Start) -> None:
    to = f"127.0.0.1:{broker.port}"
    running = start("live", "--input", "demo", "--loop", "--format", "text", "--mqtt", to)
    running.wait_for_lines(1)
    wait_until(lambda: "top" in broker.retained().get("streamtag/state", ""), "a state")
    assert broker.retained()["streamtag/status"] == "online"
    running.process.kill()
    wait_until(lambda: broker.retained()["streamtag/status"] == "offline", "the last will")


# --- what goes wrong ----------------------------------------------------------------------------------------------


def test_a_broker_that_was_killed_is_told_all_when_it_is_back(broker: Mosquitto) -> None:
    sink = sink_to(broker, discovery=True)
    sink.frame(make_frame(switched=(("rock", True),)))
    broker.end(signal.SIGKILL)
    wait_until(lambda: sink.trouble, "the trouble")
    before = sink.drops
    sink.frame(make_frame(9, switched=(("pop", True),)))
    assert sink.drops > before, "what is lost is counted"
    assert sink.trouble is not None
    broker.start()
    wait_until(lambda: sink.trouble is None, "the connection")
    sink.status(make_stats())
    wait_until(lambda: "hall/on/pop" in broker.retained(), "what is on")
    kept = broker.retained()
    assert (kept["hall/on/rock"], kept["hall/status"]) == ("ON", "online")
    assert "homeassistant/sensor/streamtag_hall/top/config" in kept
    sink.close()


def test_a_broker_that_is_not_there_delays_nobody_and_is_told() -> None:
    sink = MqttSink(parse_broker("127.0.0.1:1"))
    sink.open(INFO)
    sink.frame(make_frame())
    sink.status(make_stats(state=State.RECOVERING))
    wait_until(lambda: "cannot be reached (Connection refused)" in (sink.trouble or ""), "the reason")
    sink.close()
    assert sink.trouble is None


def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, password="right")
    address = parse_broker(f"127.0.0.1:{broker.port}")
    wrong, right = MqttSink(address, Login("show", "wr0ng")), MqttSink(address, Login("show", "right"))
    for sink in (wrong, right):
        sink.open(INFO)
    wait_until(lambda: "refuses the connection" in (wrong.trouble or ""), "the refusal")
    assert wrong.trouble is not None
    assert "wr0ng" not in wrong.trouble
    assert "--mqtt-login" in wrong.trouble
    wait_until(lambda: right.trouble is None, "the connection")
    for sink in (wrong, right):
        sink.close()
    broker.end()


def test_rules_publish_to_topics_of_others(broker: Mosquitto, tmp_path: Path) -> None:
    path = tmp_path / "show.toml"
    path.write_text('[[rule]]\nwhen = "tag/rock"\nabove = 0.5\nsend = { mqtt = "lights/1", retain = true }\n')
    sink = RulesSink(path, mqtt=MqttAccess(parse_broker(f"127.0.0.1:{broker.port}")))
    sink.open(HEADED)
    wait_until(lambda: sink.trouble is None, "the connection")
    sink.frame(heard(0, rock=1))
    wait_until(lambda: broker.retained() == {"lights/1": "1"}, "the message")
    broker.end(signal.SIGKILL)
    wait_until(lambda: sink.trouble, "the trouble")
    broker.start()
    wait_until(lambda: sink.trouble is None, "the connection")
    sink.status(make_stats())
    wait_until(lambda: broker.retained() == {"lights/1": "1"}, "how it stands")
    sink.close()
    wait_until(lambda: broker.retained() == {"lights/1": "0"}, "the end")


# --- Home Assistant -----------------------------------------------------------------------------------------------


def test_home_assistant_is_told_of_each_entity_once() -> None:
    jinja2 = pytest.importorskip("jinja2")
    info = replace(INFO, heads=(HeadInfo("mood", ("calm", 'say "wild"')),))
    found = discovery("hall", info)
    ids = [config["unique_id"] for config in found.values()]
    assert len(set(ids)) == len(ids)
    assert len([topic for topic in found if topic.startswith("binary_sensor/")]) == 1 + 2 + len(INFO.labels)
    frame = make_frame(music=0.9, heads=(make_head(top=(('say "wild"', 0.8),), on=frozenset({'say "wild"'})),))
    shown: dict[str, list[str]] = {}
    for said in (state(frame, make_stats(), "x"), state(None, None, "x")):
        for topic, config in found.items():
            value = jinja2.Template(config["value_template"]).render(value_json=said)
            shown.setdefault(topic.split("/")[2], []).append(value)
            if "unit_of_measurement" in config and value != "None":
                float(value)
    assert shown["top"] == ["rock", ""]
    assert shown["level"] == ["-18.2", "None"]
    assert shown["music"] == ["ON", "OFF"]
    assert shown["tag_rock"] == ["ON", "OFF"]
    assert shown["tag_pop"] == ["OFF", "OFF"]
    assert shown["head_mood"] == ['say "wild"', ""]
    assert [value for key, value in shown.items() if key.startswith("head_mood_")] == [["OFF", "OFF"], ["ON", "OFF"]]
