"""docs/library.md, run as it is written, from a folder to a search, and what it says of other tools."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_from_a_folder_to_a_search(tmp_path: Path) -> None:
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("python", ""), ("streamtag", " -m streamtag")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
        (programs / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    clips, tag, ask, copies, words = BLOCKS

    def run(block: str) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

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
