"""Libraries heard with a model that has no tags, or no embedding: no column of either, and what wants one says so."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.libraries import write_music
from tests.support.onnx_files import MEL, three_bands, write
from tests.support.program import run_cli

TAGS, EMBEDDING = MEL[MEL.index("[tags]") : MEL.index("[embedding]")], MEL[MEL.index("[embedding]") :]
ONLY = {"tags": MEL.replace(EMBEDDING, ""), "embedding": MEL.replace(TAGS, "")}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ONLY)
def test_it_is_tagged_searched_and_kept(kind: str, tmp_path: Path, compiled: None) -> None:
    music = write_music(tmp_path / "music", 6)
    network = write(tmp_path, three_bands(), ONLY[kind])
    store = tmp_path / "store"
    tag = ("library", "tag", music, "--model", network, "--windows", "--out", store)
    assert run_cli(*tag).stdout.startswith(f"{store}: 6 tagged")
    assert "6 kept from before" in run_cli(*tag).stdout
    table = pq.read_table(store / "tracks")
    assert ("tags" in table.column_names) == (kind == "tags")
    assert ("embedding" in table.column_names) == (kind == "embedding")
    windows = table["windows"].type.value_type
    assert {windows.field(place).name for place in range(windows.num_fields)} == {"start", kind}
    song = next(path for path in sorted(music.iterdir()) if not path.is_dir())
    found = run_cli("library", "search", store, "--like", song, "--top", 2)
    assert found.status == 0, found.stderr
    assert len(found.stdout.splitlines()) >= 1
    asked = run_cli("library", "search", store, "--where", "middle > 0")
    words = run_cli("library", "write-tags", store)
    if kind == "tags":
        assert (asked.status, words.status) == (0, 0)
    else:
        assert "no column 'middle'" in asked.message
        assert "has no tags, so that there are no words to write" in words.message
    assert run_cli("library", "duplicates", store).status == 0
