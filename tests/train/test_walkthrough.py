"""docs/train.md, run as it is written, from clips to a model that plays live."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamtag.inference.networks.catalogue import find_spec
from streamtag.train.store import Store
from streamtag.train.truth import read_truth
from tests.support.walkthrough import Shell, blocks_of

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

TAGS = ("bass", "drums", "pad", "whistle")


def test_from_clips_to_a_model_that_plays(tmp_path: Path) -> None:
    clips, prepare, split, further, new, evaluate, play = blocks_of("train.md")
    shell = Shell(tmp_path, "scripts")
    for block in (clips, prepare, split):
        assert shell(block).stderr == ""
    store = Store.open(tmp_path / "data")
    assert len(store.ids) == 60
    assert {store.frames(name) for name in store.ids} == {501}
    parts = [read_truth(tmp_path / "music" / f"{name}.csv", TAGS) for name in ("train", "validation", "test")]
    assert sorted(name for part in parts for name in part.ids) == sorted(store.ids)
    for part in parts:
        assert part.targets.any(axis=0).all()
        assert not part.targets.all(axis=0).any()

    for block, model in ((further, "my"), (new, "new")):
        assert f"written to {model}.safetensors" in shell(block).stdout
        assert find_spec(str(tmp_path / f"{model}.safetensors")).labels == TAGS
        score = re.search(r"these \d+ tracks, .*? tags +([\d.]+)", shell(evaluate.replace("my", model)).stdout)
        assert score is not None
        assert float(score[1]) >= 0.95, model

    heard = shell(play).stdout
    assert all(tag in heard for tag in TAGS)
