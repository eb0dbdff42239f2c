"""Parts of files: a binary file like any other."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamtag.decoding.part import Part

DATA = bytes(range(200))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("part") / "x"
    made.write_bytes(DATA)
    return made


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, 150),
    stop=st.one_of(st.none(), st.integers(150, 300)),
    patch=st.integers(0, 195),
    steps=st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(-50, 50), st.integers(-1, 60)), max_size=8),
)
def test_as_if_it_were_a_file_of_its_own(
    path: Path, start: int, stop: int | None, patch: int, steps: list[tuple[int, int, int]]
) -> None:
    shown = DATA[:patch] + b"patch" + DATA[patch + 5 :]
    twin = io.BytesIO(shown[:200][start:stop])
    with Part(path, start, stop, {patch: b"patch"}).open() as file:
        assert file.size == len(twin.getvalue())
        for whence, offset, count in steps:
            where = max(0, {0: 0, 1: twin.tell(), 2: file.size}[whence] + offset)
            twin.seek(where)
            assert file.seek(offset, whence) == where == file.tell()
            assert file.read(count) == twin.read(count)
            buffer = bytearray(7)
            assert file.readinto(buffer) == len(twin.read(7))


def test_whole(path: Path) -> None:
    assert Part(path).is_whole
    assert not Part(path, 1).is_whole
    assert not Part(path, 0, 5).is_whole
    assert not Part(path, patches={0: b"x"}).is_whole
