"""What a person asks of tracks: understood, or refused in words; never run."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamtag.errors import OptionError
from streamtag.library.where import condition

SCORES = {"ambient": 0.5, "female vocalists": 0.2, "Hip-Hop": 0.9, "90s": 0.1, "duration": 0.3}
TAGS = pa.struct([(name, pa.float32()) for name in SCORES])
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("duration", pa.float64()),
        ("channels", pa.int16()),
        ("tags", TAGS),
        ("tags_max", TAGS),
        ("penultimate", pa.list_(pa.float32(), 3)),
        ("heads", pa.struct([("my mood", pa.struct([("calm", pa.float32())]))])),
        ("error", pa.string()),
    ]
)
ROW = {
    "path": "/music/Live/song.mp3",
    "duration": 200.0,
    "channels": 2,
    "tags": SCORES,
    "tags_max": {name: score + 0.05 for name, score in SCORES.items()},
    "penultimate": [1.0, 2.0, 3.0],
    "heads": {"my mood": {"calm": 0.7}},
    "error": None,
}
TABLE = pa.Table.from_pylist([ROW], SCHEMA)


def holds(text: str) -> bool:
    return len(TABLE.filter(condition(text, SCHEMA).expression)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ambient > 0.4 and duration < 300", True),
        ("ambient > 0.4 and duration < 100", False),
        ("ambient > 0.6 or channels == 2", True),
        ("not ambient > 0.6", True),
        ("0.4 < ambient < 0.6", True),
        ("0.4 < ambient < 0.45", False),
        ('"female vocalists" > 0.1', True),
        ("female_vocalists > 0.3", False),
        ("Female_Vocalists<=0.3", True),
        ("hip-hop > 0.8", True),
        ("Hip-Hop > ambient", True),
        ("'90s' < '60s' or '90s' < 0.2", None),
        ("'90s' < 0.2", True),
        ("0.2 > '90s'", True),
        ("'90s' < 'Hip-Hop'", True),
        ("tags.duration < 0.4 and duration > 100", True),
        ("tags_max.ambient > 0.54", True),
        ("tags_max.female_vocalists > 0.3", False),
        ("heads.my_mood.calm > 0.5", True),
        ('"live" in path', True),
        ('"studio" not in path', True),
        ("path == '/music/Live/song.mp3'", True),
        ("path != 'ambient'", True),
        ("channels > -1", True),
        ("(ambient > 0.9 or duration > 1) and not (channels == 1)", True),
    ],
)
def test_conditions(text: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(OptionError, match="no tag and no column '60s'"):
            holds(text)
    else:
        assert holds(text) is expected


def test_what_is_needed_and_what_to_sort_by() -> None:
    asked = condition("duration < 300 and ambient > 0.4 and tags_max.ambient > 0.4", SCHEMA)
    assert asked.columns == ["duration", "tags", "tags_max"]
    assert asked.score == ("tags", "ambient")
    assert condition("duration < 300", SCHEMA).score is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not to be understood at its end"),
        ("ambient >", "not to be understood at its end"),
        ("ambient > 0.4 &", "not to be understood"),
        ("ambient", "'ambient' is no comparison"),
        ("ambient + 1 > 2", "no tag and no column"),
        ("ambiant > 0.4", "there is ambient"),
        ("violin > 0.4", "no tag and no column 'violin'"),
        ("penultimate > 0.4", "no tag and no column 'penultimate'"),
        ("tags > 0.4", "no tag and no column 'tags'"),
        ("1 < 2", "no tag and no column in"),
        ("path > 3", "3: expected a text"),
        ("ambient > path", "ambient is a number"),
        ("ambient > True", "True: expected a number"),
        ("ambient in path", "before `in`"),
        ('"x" in ambient', "is no text"),
        ("ambient is 3", "only <, <="),
        ("__import__('os').system('x')", "is no comparison"),
        ("open('x') > 3", "no tag and no column"),
        ("(lambda: 1)() > ambient", "no tag and no column"),
        ("[ambient > 1 for x in path]", "is no comparison"),
        ("x := 3", "not to be understood"),
        ("(" * 300 + "ambient > 1" + ")" * 300, "not to be understood"),
        ("not " * 3000 + "ambient > 1", "deeply|characters|understood"),
        ("ambient > 0.1 and " * 2000 + "ambient > 1", "characters"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        condition(text, SCHEMA)
    assert str(caught.value).startswith("--where")
    assert len(str(caught.value)) < 12_500


@given(st.text(alphabet="ambient path()'\"<>=!.0123 andornotin[]{}:\0\\", max_size=60))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        asked = condition(text, SCHEMA)
    except OptionError:
        return
    TABLE.filter(asked.expression)
