"""Tags that are allowed, denied, renamed, and their thresholds: one choice for all that is shown and sent."""

from __future__ import annotations

import numpy as np
import pytest

from streamtag.errors import OptionError
from streamtag.tagging.calibration_file import shipped_calibration
from streamtag.tagging.selection import TagSelection, selected
from tests.support.sessions import SOUND, make_tagger

LABELS = ("rock", "pop", "Hip-Hop", "female vocalists")


def test_what_is_left_keeps_its_order_and_takes_its_names() -> None:
    wanted = TagSelection(allow=("Hip-Hop", "ROCK", "female_vocalists"), deny=("rock",), rename={"hip-hop": "rap"})
    found = selected(wanted, LABELS)
    assert found.labels == ("rap", "female vocalists")
    assert found.columns.tolist() == [2, 3]
    assert selected(TagSelection(), LABELS).labels == LABELS


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (TagSelection(deny=("rokc",)), "no tag is called 'rokc': did you mean rock?"),
        (TagSelection(allow=("zzz",)), "no tag is called 'zzz': expected one of rock, pop"),
        (TagSelection(allow=("rock",), deny=("rock",)), "no tag is left"),
        (TagSelection(rename={"rock": "pop"}), "two tags are called 'pop'"),
        (TagSelection(rename={"rock": "\x1b[2J"}), "expected 1 to 100 printable"),
        (TagSelection(deny=("rock",), thresholds={"rock": 0.3}), "a threshold of 'rock', which is not among"),
    ],
)
def test_what_cannot_be_is_refused(wanted: TagSelection, said: str) -> None:
    with pytest.raises(OptionError, match=said.replace("?", r"\?")):
        selected(wanted, LABELS)


def test_the_scores_are_the_models_own_whatever_is_left_out() -> None:
    plain, chosen = make_tagger(), make_tagger(tags=TagSelection(deny=("rock",), rename={"pop": "Schlager"}))
    assert chosen.labels == ("Schlager", *plain.labels[2:])
    for every, some in zip(plain.push(SOUND, 16_000), chosen.push(SOUND, 16_000), strict=True):
        np.testing.assert_array_equal(every.scores[1:], some.scores)
        np.testing.assert_array_equal(every.raw[1:], some.raw)
        np.testing.assert_array_equal(every.embedding, some.embedding)
        assert some.on == {"Schlager" if tag == "pop" else tag for tag in every.on if tag != "rock"}
        assert len(some.top) == 5
        assert "rock" not in dict(some.top)


def test_single_tags_switch_where_they_are_told_to() -> None:
    (frame, *_) = make_tagger().push(SOUND, 16_000)
    scores = dict(zip(make_tagger().labels, frame.scores.tolist(), strict=True))
    thresholds = {"rock": scores["rock"] * 1.01, "Pop": scores["pop"] * 0.99}
    (chosen, *_) = make_tagger(tags=TagSelection(thresholds=thresholds), threshold=1.0).push(SOUND, 16_000)
    assert chosen.on == {"pop"}
    for wrong in (0, 2, "95%"):
        with pytest.raises(OptionError, match="threshold"):
            make_tagger(tags=TagSelection(thresholds={"rock": wrong}))


def test_scales_follow_their_tags() -> None:
    calibration = shipped_calibration("MSD_musicnn")
    assert calibration is not None
    columns = np.array([3, 7])
    scores = np.linspace(0, 0.5, 50, dtype=np.float32)
    np.testing.assert_array_equal(
        calibration.only(columns).calibrated(scores[columns]), calibration.calibrated(scores)[columns]
    )
