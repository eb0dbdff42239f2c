"""`streamtag train split`: as much of each tag in each part, and an artist in one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.errors import DataError, OptionError
from streamtag.train.split import split, write_part
from streamtag.train.truth import Truth, read_truth
from tests.support.program import run_cli


def made_up(tracks: int, tags: int, seed: int, groups: int = 0) -> Truth:
    rng = np.random.default_rng(seed)
    targets = (rng.random((tracks, tags)) < rng.uniform(0.02, 0.5, tags)).astype(np.float32)
    names = tuple(f"t{track}" for track in range(tracks))
    owners = tuple(f"artist {number}" for number in rng.integers(0, groups, tracks)) if groups else None
    return Truth(names, tuple(f"tag {tag}" for tag in range(tags)), targets, owners)


def test_each_part_has_its_share_of_each_tag() -> None:
    truth = made_up(1000, 20, 0)
    parts = split(truth, (0.8, 0.1, 0.1), 0)
    assert sorted(name for part in parts for name in part.ids) == sorted(truth.ids)
    for part, share in zip(parts, (0.8, 0.1, 0.1), strict=True):
        assert abs(len(part.ids) - share * 1000) <= 15
        expected = share * truth.targets.sum(axis=0)
        assert (np.abs(part.targets.sum(axis=0) - expected) <= np.maximum(3, 0.25 * expected)).all()


@given(st.integers(0, 60), st.integers(1, 5), st.integers(0, 9), st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_no_track_is_lost_and_no_artist_is_in_two_parts(tracks: int, tags: int, seed: int, groups: int) -> None:
    truth = made_up(tracks, tags, seed, groups)
    parts = split(truth, (0.6, 0.4, 0), seed)
    assert sorted(name for part in parts for name in part.ids) == sorted(truth.ids)
    assert parts[2].ids == ()
    if groups:
        first, second = (set(part.groups or ()) for part in parts[:2])
        assert not first & second
    again = split(truth, (0.6, 0.4, 0), seed)
    assert [part.ids for part in again] == [part.ids for part in parts]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    labels = ("a;b", "c|d", "['e", "plain", "ünï, cödé")
    truth = Truth(("x,1", "y", "z"), labels, np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0] * 5], np.float32))
    write_part(tmp_path / "t.csv", truth)
    read = read_truth(tmp_path / "t.csv", labels)
    assert read.ids == truth.ids
    np.testing.assert_array_equal(read.targets, truth.targets)
    with pytest.raises(DataError, match="between 0 and 1"):
        write_part(tmp_path / "t.csv", Truth(("x",), ("a",), np.full((1, 1), 0.5, np.float32)))
    with pytest.raises(OptionError, match="sum to 1"):
        split(truth, (0.5, 0.1), 0)


@pytest.mark.slow
def test_the_command_writes_three_tables(tmp_path: Path) -> None:
    rows = "".join(f"{track}.wav,{'drums' if track % 2 else 'bass|drums'},{track // 4}\n" for track in range(40))
    (tmp_path / "clips.csv").write_text(f"path,tags,artist\n{rows}")
    done = run_cli("train", "split", tmp_path / "clips.csv", "--out", tmp_path, "--validation", "0.2", "--test", "0.2")
    assert (done.status, done.message) == (0, "")
    parts = [read_truth(tmp_path / f"{name}.csv", ("bass", "drums")) for name in ("train", "validation", "test")]
    assert [len(part.ids) for part in parts] == [24, 8, 8]
    assert [set(part.groups or ()) & set(parts[0].groups or ()) for part in parts[1:]] == [set(), set()]
    assert f"{tmp_path / 'train.csv'}: 24 tracks" in done.stdout
    done = run_cli("train", "split", tmp_path / "train.csv", "--out", tmp_path)
    assert done.status == 2
    assert "it is read, too" in done.message
    done = run_cli("train", "split", tmp_path / "clips.csv", "--out", tmp_path, "--validation", "0.7", "--test", "0.7")
    assert "sum to 1" in done.message
