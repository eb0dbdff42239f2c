"""docs/library.md, run as it is written, from a folder to a search, and what it says of other tools."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.walkthrough import ROOT, Shell, blocks_of

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "library.md").read_text()


def test_from_a_folder_to_a_search(tmp_path: Path) -> None:
    clips, tag, ask, copies, words = blocks_of("library.md")
    shell = Shell(tmp_path, "scripts")

    def run(block: str) -> str:
        return shell(block).stdout

    run(clips)
    assert run(tag).startswith("music.library: 60 tagged\n")
    assert run(tag) == "music.library: 60 kept from before\n"
    found = run(ask).splitlines()
    assert len(found) >= 5
    playlist = (tmp_path / "drums.m3u8").read_text().splitlines()
    assert playlist[0] == "#EXTM3U"
    assert all(Path(line).is_file() for line in playlist[2::2])
    run(copies)
    assert "would be written to: --write does it" in run(words)


def test_the_table_names_every_column(tmp_path: Path) -> None:
    from streamtag.library.rows import schema_of
    from tests.support.libraries import settings

    schema = schema_of(settings(features=("mean_pool", "max_pool"), windows=True))
    table = PAGE.split("| column | type |")[1].split("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == {*schema.names, "heads", "pool5"}


def test_pandas_line_for_line(tmp_path: Path) -> None:
    """Without pandas: the columns that the lines for pandas, DuckDB and Polars name are there, as they name them."""
    from tests.support.libraries import tagged, write_music

    tagged(write_music(tmp_path / "music", 2), tmp_path / "store")
    table = pq.read_table(tmp_path / "store" / "tracks")
    assert {"path", "tags", "removed", "day"} <= set(table.column_names)
    assert set(table["tags"].type.names) >= {"drums"}
