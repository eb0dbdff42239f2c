"""docs/models.md, run as it is written; and its recipes, as far as they can be without the networks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from streamtag.dsp.front_end import CHOICES, FrontEnd
from streamtag.dsp.front_ends import FRONT_ENDS
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.onnx_description import AXES, TOP
from tests.support.onnx_files import graph, write
from tests.support.walkthrough import ROOT, Shell, blocks_of

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_a_network_of_your_own_in_ten_minutes(tmp_path: Path, compiled: None) -> None:
    get, begin, describe, hear, keep = blocks_of("models.md")
    shell = Shell(tmp_path)
    shell(get.partition("\n")[2])  # what it installs is here, or nothing of this would run
    shell(begin)
    assert "#   input: float ? x ?" in (tmp_path / "voice.toml").read_text()
    shell(describe)
    heard = shell(hear)
    assert re.search(r" s  +-[\d.]+ dBFS  speech 0\.\d\d", heard.stdout)
    names = {json.loads(line)["input"] for line in (tmp_path / "both.jsonl").read_text().splitlines()}
    assert names == {"voice", "MSD_musicnn"}
    listed = shell(keep).stdout
    assert "voice: written to models-of-mine" in listed
    assert re.search(r"voice +1 tag, .*ONNX\n  hears:   16000 Hz, plain samples.*\n.*\n.*MIT\n.*\n  cost:", listed)


def test_the_tables_name_all_there_is() -> None:
    named = set(re.findall(r"`([\w-]+)`", PAGE))
    assert named >= set(FRONT_ENDS)
    assert named >= {field for field in FrontEnd.__dataclass_fields__ if field != "span"}
    for name, choices in CHOICES.items():
        assert named >= set(choices), name
    for key in (*TOP, *AXES):
        assert re.search(rf"\b{key}\b", PAGE), key


@pytest.mark.parametrize(("recipe", "labels"), list(zip(RECIPES, (400, 521, 527), strict=True)))
def test_a_recipe_fits_a_network_of_that_form(recipe: str, labels: int, tmp_path: Path) -> None:
    """With inputs and outputs of the names and shapes that the recipe gives, and made-up weights."""
    names = [f"tag {place}" for place in range(labels)]
    (file,) = re.findall(r'labels_file = "(.*)"', recipe)
    rows = "\n".join(f'{place},/m/{place},"{name}"' for place, name in enumerate(names))
    text = json.dumps({"classes": names}) if file.endswith("json") else f"index,mid,display_name\n{rows}\n"
    (tmp_path / file).write_text(text)
    tags, embedding = re.findall(r'output = "(.*)"', recipe)
    plain = 'layout = ["samples"]' in recipe
    shape: list[int | str] = ["n", 128, 96] if "essentia" in recipe else ["n"] if plain else ["n", "samples"]
    given = re.search(r'name = "(.*)"', recipe)
    source = given[1] if given else "waveform"
    axes = [] if plain else list(range(1, len(shape)))
    nodes = [
        helper.make_node("ReduceMean", [source], ["mean"], keepdims=0, **({"axes": axes} if axes else {})),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        *(
            helper.make_node("Expand", ["column", size], [output])
            for output, size in ((tags, "labels"), (embedding, "units"))
        ),
    ]
    rows_of = 3 if plain else 1
    weights = {
        "last": np.array([0, 1] if plain else [1], np.int64),
        "labels": np.array([rows_of, labels], np.int64),
        "units": np.array([rows_of, 64], np.int64),
    }
    model = graph(nodes, {source: shape}, {tags: ["m", labels], embedding: ["m", 64]}, weights)
    spec = find_spec(str(write(tmp_path, model, recipe)))
    assert (len(spec.labels), spec.embedding_size) == (labels, 64)
