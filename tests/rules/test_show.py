"""What is wrong with a show file is told with its line, and what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamtag.errors import OptionError
from streamtag.rules.reading import read_show
from tests.support.shows import show, written

GOOD = '[[rule]]\nwhen = "tag/rock"\nsend = { osc = "/a" }\n'


def test_a_show_without_anything_has_no_rules(tmp_path: Path) -> None:
    assert show(tmp_path, "").rules == ()
    assert (show(tmp_path, "").live, show(tmp_path, "").tags) == ({}, None)


def test_rules_know_their_lines(tmp_path: Path) -> None:
    text = f"# a show\n\n[live]\ngate = -50\n\n{GOOD}\n{GOOD}"
    assert [rule.line for rule in show(tmp_path, text).rules] == [7, 11]


def rule(line: str, send: str = '{ osc = "/a" }') -> str:
    return f'[[rule]]\nwhen = "tag/rock"\n{line}\nsend = {send}\n'


WRONG = [
    # syntax
    ("x = = 1", 2, "no TOML: invalid value"),
    ("[[rule]]\nwhen = tag/rock", 3, "no TOML: invalid value"),
    ("[live", 2, "no TOML: "),
    ("a = 1\na = 2", 3, "no TOML: cannot overwrite a value"),
    ('text = "', 2, "no TOML: "),
    (rule("", "{\n cc = 1 }"), 5, "what stands in { } has to be on one line"),
    # keys
    ("[lvie]", 2, "a show has no key 'lvie': did you mean live?"),
    ("[[rules]]", 2, "a show has no key 'rules': did you mean rule?"),
    ("[tags]\nalow = []", 3, "[tags] has no key 'alow': did you mean allow?"),
    (rule("hysterisis = 1"), 4, "a rule has no key 'hysterisis': did you mean hysteresis?"),
    (rule("", '{ osc = "/a", args = [] }'), 5, "an OSC message has no key 'args': did you mean arguments?"),
    (rule("", "{ cc = 1, velocity = 2 }"), 5, "a MIDI message with cc has no key 'velocity': expected one of"),
    ("live = 3", 2, "live = 3: expected a table"),
    ("rule = [3]", 2, "rule = 3: expected a table"),
    # when
    ('[[rule]]\nsend = { osc = "/a" }', 2, "a rule without when"),
    ('[[rule]]\nwhen = "level"', 2, "a rule without send"),
    (rule("").replace("tag/rock", "tags/rock"), 3, "nothing is called 'tags': did you mean tag?"),
    (rule("").replace("tag/rock", "rock"), 3, "when = 'rock': nothing is called so"),
    (rule("").replace("tag/rock", "tag/"), 3, "expected a name after the stroke"),
    (rule("").replace('"tag/rock"', "3"), 3, "when = 3: expected a text in quotes"),
    # what counts
    (rule("above = '0.5'"), 4, "above = '0.5': expected a number"),
    (rule("above = true"), 4, "above = true: expected a number"),
    (rule("above = nan"), 4, "above = nan: expected a number"),
    (rule("above = 0.5\nbelow = 0.2"), 5, "above and below: expected one of them"),
    (rule('is = "x"'), 4, "is does not go with tag/rock: a number has above or below"),
    (rule("above = 1").replace("tag/rock", "top"), 4, 'above does not go with top: a text has is = "..."'),
    (rule("above = 1").replace("tag/rock", "on/rock"), 4, "above does not go with on/rock: it is on or off by itself"),
    (rule("hysteresis = 0.1"), 4, "hysteresis belongs to a threshold"),
    (rule("hold = 1"), 4, "hold belongs to a switch"),
    (rule("debounce = -1"), 4, "debounce = -1: expected a number from 0 to 3600 of seconds"),
    # how it is mapped
    (rule("from = [0.5, 0.5]"), 4, "from: two different numbers"),
    (rule("from = [1]"), 4, "from = [1]: expected two numbers"),
    (rule("above = 0.5\nfrom = [0, 1]"), 5, "from: a switch is 0 or 1 already"),
    (rule("to = [0, 1]").replace("tag/rock", "top"), 4, "to is for numbers, and top is a text"),
    (rule("curve = 0"), 4, "curve = 0: expected a number from 0.01 to 100"),
    (rule("rate = 0"), 4, "rate = 0: expected a number from 0.001 to 1000"),
    (rule('type = "double"'), 4, "type = 'double': expected one of float, int, bool, text"),
    (rule("changes_only = 1"), 4, "changes_only = 1: expected true or false"),
    (rule('send_off = { osc = "/a" }'), 4, "send_off belongs to a switch"),
    # what is sent
    (rule("", "{}"), 5, "no message: expected one of osc = ADDRESS"),
    (rule("", '{ tobic = "/a" }'), 5, "'tobic' is no message"),
    (rule("", '{ osc = "/a", cc = 3 }'), 5, "osc and cc in one message: expected one of"),
    (rule("", '{ osc = "a" }'), 5, "osc = 'a': expected an address that begins with /"),
    (rule("", '{ osc = "/a b" }'), 5, "osc = '/a b': expected an address"),
    (rule("", '{ osc = "/a", host = "localhost" }'), 5, "the OSC destination 'localhost': expected HOST:PORT"),
    (rule("", '{ osc = "/a", arguments = "$value" }'), 5, "arguments = '$value': expected a list"),
    (rule("", '{ osc = "/a", arguments = ["$velue"] }'), 5, "$velue stands for nothing: did you mean value?"),
    (rule("", '{ osc = "/a", arguments = ["5 $"] }'), 5, "a $ without a name"),
    (rule("", '{ osc = "/a", arguments = [[1]] }'), 5, "the argument [1]: expected a text, a number, true or false"),
    (rule("", '{ osc = "/a", arguments = [1] }'), 5, "always the same is sent, whatever is heard"),
    (rule("", "{ cc = 128 }"), 5, "cc = 128: expected a whole number from 0 to 127"),
    (rule("", "{ cc = 1, channel = 0 }"), 5, "channel = 0: expected a whole number from 1 to 16"),
    (rule("", "{ note = 60 }"), 5, "a note is a matter of on and off"),
    (rule("", "{ cc = 1 }").replace("tag/rock", "top"), 5, "top is a text, and a cc a number"),
    (rule("", '{ mqtt = "a/#" }'), 5, "mqtt = 'a/#': expected a topic"),
    (rule("", '{ mqtt = "a", qos = 3 }'), 5, "qos = 3: expected a whole number from 0 to 2"),
    (rule("", '[\n{ osc = "/a" },\n{ osc = "/b", host = "x" },\n]'), 7, "the OSC destination 'x'"),
    (
        f'{GOOD}[[rule]]\nwhen = "top"\n[rule.send]\nmqtt = "a"\npayload = """\nwhen = [3]\n"""\nqos = 9\n',
        12,
        "qos = 9: expected a whole number",
    ),
]


@pytest.mark.parametrize(("text", "line", "said"), WRONG, ids=[case[2][:50] for case in WRONG])
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "show.toml"
    with pytest.raises(OptionError) as caught:
        show(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: "), message
    assert said in message
    assert len(message.splitlines()) == 1


def test_where_messages_go_has_to_be_said(tmp_path: Path) -> None:
    path = tmp_path / "show.toml"
    path.write_text(GOOD)
    with pytest.raises(OptionError, match=r'show.toml:3: where to\? Add host = "127.0.0.1:9000"'):
        read_show(path)
    for send, said in (("cc = 1", "to which MIDI port"), ('mqtt = "a"', "to which broker")):
        with pytest.raises(OptionError, match=f"show.toml:5: {said}"):
            read_show(written(tmp_path, rule("", f"{{ {send} }}")))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.toml", "no such file"), (tmp_path, "no file")):
        with pytest.raises(OptionError, match=f"{path}: {said}"):
            read_show(path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes("# a\n# café\n".encode("latin-1"))
    with pytest.raises(OptionError, match=r"latin\.toml:2: not UTF-8"):
        read_show(latin)


def test_files_from_other_editors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "show.toml"
    path.write_bytes(b"\xef\xbb\xbf" + f'host = "localhost:9000"\n{GOOD}'.replace("\n", "\r\n").encode())
    assert [rule.line for rule in read_show(path).rules] == [2]
