"""`streamtag live --config show.toml`: a show in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.program import run_cli, summary

pytestmark = pytest.mark.slow


@pytest.fixture
def show(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "quiet.wav", np.zeros((20_000, 2)), 16_000)
    path = tmp_path / "show.toml"
    path.write_text(
        "[live]\n"
        'input = "quiet.wav"\n'
        'format = "json"\n'
        "window = 1\n"
        "hop = 0.2\n"
        "top = 3\n"
        'gate = "off"\n'
        "channels = [1, 2]\n"
        "embeddings = true\n"
        'osc = ["127.0.0.1:9", "127.0.0.1:10"]\n'
        "[tags]\n"
        'allow = ["rock", "Hip-Hop", "jazz"]\n'
        'rename = { "Hip-Hop" = "rap" }\n'
    )
    return path


def test_options_and_tags_are_those_of_the_file(show: Path) -> None:
    outcome = run_cli("live", "--config", show)
    assert outcome.status == 0, outcome.stderr
    for line in outcome.json:
        assert {tag for tag, _ in line["top"]} == {"rock", "rap", "jazz"}
        assert len(line["embedding"]) == 200
    assert summary(outcome.message.splitlines()[-1])["hops"] == len(outcome.json) > 0
    assert "messages not taken by osc 127.0.0.1:10" in outcome.message


def test_the_command_line_comes_first(show: Path) -> None:
    outcome = run_cli("live", "--config", show, "--top", 1, "--hop", "0.4")
    assert outcome.status == 0, outcome.stderr
    assert all(len(line["top"]) == 1 for line in outcome.json)


WRONG = [
    ("hopp = 1", "[live] has no option 'hopp': did you mean hop?"),
    ("config = 'a'", "[live] has no option 'config'"),
    ("hop = 'fast'", "hop: "),
    ("react = 'fast'", "react: 'fast' is not one of"),
    ("loop = 1", "loop = 1: expected true or false"),
    ("top = true", "top = true: expected a text or a number"),
    ("top = [1, 2]", "top = [1, 2]: expected one value"),
    ("osc = [{}]", "osc = [{}]: expected a text or a number, or a list of them"),
    ("duration = inf", "duration: inf"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[case[0] for case in WRONG])
def test_what_is_wrong_with_an_option_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "show.toml"
    path.write_text(f"# a show\n\n[live]\n{text}\n")
    outcome = run_cli("live", "--config", path)
    assert outcome.status == 2
    assert outcome.message.startswith(f"streamtag: {path}:4: ")
    assert said in outcome.message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[tags]\ndeny = ['rokc']\n", 2, "no tag is called 'rokc': did you mean rock?"),
        ("[tags]\nalow = []\n", 2, "[tags] has no key 'alow': did you mean allow?"),
        ("[tags.rename]\nrock = 'pop'\n", 1, "two tags are called 'pop'"),
        ('[tags.rename]\nrock = "a\\u0007"\n', 2, "expected 1 to 100 printable characters"),
        ("[tags.thresholds]\nrock = 3\n", 2, "rock = 3: expected a number"),
        ("[tags.thresholds]\nrock = '3'\n", 2, "threshold '3': expected"),
        ("[[rule]]\nwhen = 'tag/rokc'\nsend = { osc = '/a', host = 'localhost:9' }\n", 1, "did you mean rock?"),
        ("[[rule]]\nwhen = 'on/rock'\nsend = { note = 1 }\n", 3, "to which MIDI port? Give --midi PORT"),
        ("[[rule]]\nwhen = 'on/rock'\nsend = { mqtt = 'a' }\n", 3, "to which broker? Give --mqtt HOST"),
    ],
)
def test_what_the_session_will_not_have_is_told_before_it_starts(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = tmp_path / "show.toml"
    path.write_text(text)
    outcome = run_cli("live", "--config", path, "--model", "MSD_musicnn")
    assert outcome.status == 2
    assert outcome.message.startswith(f"streamtag: {path}:{line}: "), outcome.message
    assert said in outcome.message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mqtt-discovery"], "add --mqtt HOST"),
        (["--mqtt", "http://desk"], "http:// is no MQTT"),
        (["--mqtt", "me:secret@desk"], "give them in STREAMTAG_MQTT_USER"),
        (["--midi", ""], "expected a port's name"),
        (["--rules", "none.toml"], "none.toml: no such file"),
        (["--config", "none.toml"], "none.toml: no such file"),
    ],
)
def test_outputs_that_cannot_be_are_refused(arguments: list[str], said: str) -> None:
    outcome = run_cli("live", "--input", "demo", *arguments)
    assert outcome.status == 2
    assert said in outcome.message
    assert "secret" not in outcome.message
