"""What the README says and could say wrongly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamtag.commands.options import DEMO_MODEL, FILE_MODEL
from streamtag.inference.networks.specs import SPECS
from streamtag.tagging.options import LIVE_MODEL

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
VOCABULARIES = re.findall(r"<details>\n<summary>(.*?)</summary>\n\n(.*?)\n\n</details>", README, re.DOTALL)


def test_every_model_has_its_vocabulary() -> None:
    named = [name for summary, _ in VOCABULARIES for name in re.findall(r"M[TS]\w+", summary)]
    assert set(named) == set(SPECS)
    (mtt, _), (msd, _) = VOCABULARIES
    assert "default for files, libraries and the demo" in mtt
    assert {FILE_MODEL, DEMO_MODEL} == {"MTT_musicnn"}
    assert f"{LIVE_MODEL} is the default for live input" in msd


@pytest.mark.parametrize("model", SPECS)
def test_all_labels_are_listed_in_order(model: str) -> None:
    (listed,) = (text for summary, text in VOCABULARIES if model in re.findall(r"\w+", summary))
    assert tuple(" ".join(listed.split()).split(", ")) == SPECS[model].labels
