"""Several inputs of `streamtag live`: what they are called, and what is said of each."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
import soundfile

from streamtag.commands.inputs import NamedInput, parse_inputs
from streamtag.errors import OptionError
from streamtag.takes.file import Take
from tests.support.osc import Receiver
from tests.support.ports import free_tcp_port
from tests.support.program import Running, run_cli
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, [NamedInput("", "default", (2,))]),
        (["Scarlett:1,2"], [NamedInput("", "Scarlett:1,2", (2,))]),  # alone, it is a name like any other
        (["http://radio.example/?a=b"], [NamedInput("", "http://radio.example/?a=b", (2,))]),
    ],
)
def test_one_input_is_as_it_is(given: list[str] | None, found: list[NamedInput]) -> None:
    assert parse_inputs(given, (2,)) == found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("stage=Scarlett", NamedInput("stage", "Scarlett")),
        ("stage=Scarlett:1,2", NamedInput("stage", "Scarlett", (1, 2))),
        ("deck-2=USB (hw:1,0):12", NamedInput("deck-2", "USB (hw:1,0)", (12,))),
        ("USB=hw:1,0 Mixer", NamedInput("USB", "hw:1,0 Mixer")),
        ("r=https://radio.example:8000/a=b:1", NamedInput("r", "https://radio.example:8000/a=b:1")),
        ("song=./a:b.wav", NamedInput("song", "./a:b.wav")),
    ],
)
def test_a_name_and_channels(given: str, found: NamedInput) -> None:
    assert parse_inputs([given], None) == [found]
    assert parse_inputs([given, "other=demo"], None) == [found, NamedInput("other", "demo")]


def test_no_message_repeats_a_password() -> None:
    address = "https://ann:geheim@radio.example/x?token=abc"
    for given, channels in (
        ([address, "b=demo"], None),
        ([f"a={address}"], (1,)),
        (["x://geheim:abc", "b=demo"], None),
    ):
        with pytest.raises(OptionError) as caught:
            parse_inputs(given, channels)
        assert "geheim" not in str(caught.value)
        assert "abc" not in str(caught.value)


def test_a_file_with_an_equals_sign_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.wav").touch()
    (tmp_path / "mix:1").touch()
    assert parse_inputs(["a=b.wav"], None) == [NamedInput("", "a=b.wav")]
    assert parse_inputs(["m=mix:1"], None) == [NamedInput("m", "mix:1")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["demo", "b=demo"], "several inputs need names, for example --input stage=demo"),
        (["a=demo", "A=demo"], "two inputs are called 'a'"),
        (["a=Scarlett:0"], "channels are counted from 1"),
    ],
)
def test_what_cannot_be_told_apart(given: list[str], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_inputs(given, None)
    with pytest.raises(OptionError, match="write a=Scarlett:3,4"):
        parse_inputs(["a=Scarlett", "b=demo"], (3, 4))


@pytest.mark.parametrize("option", [("--midi", "virtual"), ("--save-head", "x.head")])
def test_what_is_for_one_input_says_so(option: tuple[str, str]) -> None:
    outcome = run_cli("live", "--input", "a=demo", "--input", "b=demo", *option)
    assert outcome.status == 2
    assert f"{option[0]} is for one input without a name" in outcome.message


@pytest.mark.slow
def test_two_inputs_one_of_which_ends_early(
    start: Callable[..., Running], music: Path, tmp_path: Path, compiled: None
) -> None:
    samples, rate = soundfile.read(music, frames=5 * 44_100)
    soundfile.write(tmp_path / "long.wav", samples, rate)
    soundfile.write(tmp_path / "short.wav", samples[: 2 * rate], rate)
    (tmp_path / "show.toml").write_text(
        'host = "127.0.0.1:PORT"\n'
        '[[rule]]\nwhen = "level"\nsend = { osc = "/any" }\n'
        '[[rule]]\ninput = "long"\nwhen = "level"\nsend = { osc = "/long" }\n'
    )
    receiver = Receiver()
    show = tmp_path / "show.toml"
    show.write_text(show.read_text().replace("PORT", str(receiver.port)))
    inputs = [f"--input={name}={tmp_path / name}.wav" for name in ("long", "short")]
    port = free_tcp_port()
    outputs = ["--window", "1", "--format", "json", "--rules", show, "--web", port, "--record", tmp_path / "take.npz"]
    running = start("live", *inputs, *outputs, stdout=subprocess.PIPE)

    def summary() -> list[dict[str, object]]:
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/v1/inputs", timeout=10) as reply:
            found: list[dict[str, object]] = json.load(reply)
            return found
        return []

    wait_until(lambda: [one["state"] for one in summary()] == ["running", "finished"], "the end of one")
    assert [one["input"] for one in summary()] == ["long", "short"]
    outcome = running.end(60)
    assert outcome.status == 0
    for name in ("long", "short"):
        assert Take(tmp_path / f"take-{name}.npz").info.input == name
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    last = {line["input"]: line["t"] for line in lines}
    assert last["short"] == pytest.approx(2, abs=0.3)
    assert last["long"] == pytest.approx(5, abs=0.3)
    said = outcome.stderr.splitlines()
    assert [line.partition(":")[0] for line in said if "s heard" in line] == ["long", "short"]
    assert {address for address, *_ in receiver.messages()} == {"/any", "/long"}
    receiver.socket.close()


@pytest.mark.slow
def test_a_rule_for_an_input_that_there_is_not(tmp_path: Path) -> None:
    show = tmp_path / "show.toml"
    show.write_text('host = "127.0.0.1:9"\n[[rule]]\ninput = "desk"\nwhen = "level"\nsend = { osc = "/a" }\n')
    outcome = run_cli("live", "--input", "stage=demo", "--rules", show)
    assert outcome.status == 2
    assert "no input is called 'desk': there are stage" in outcome.message
    assert "there is one, without a name" in run_cli("live", "--input", "demo", "--rules", show).message
