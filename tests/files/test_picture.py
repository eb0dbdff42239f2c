"""Taggrams as pictures: what is in them, and under which name."""

from __future__ import annotations

import base64
import io
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamtag.errors import MissingExtraError, OptionError
from streamtag.files.offline import FileTags
from streamtag.files.picture import MOST_COLUMNS, check_picture, draw, picture_names, write_picture
from tests.support.program import run_cli

LABELS = ("rock", "drum & bass", "<b>")


def tags_of(taggram: np.ndarray, name: str = "song.mp3", hop: float = 3.0) -> FileTags:
    starts = hop * np.arange(len(taggram), dtype=np.float64)
    return FileTags(
        path=Path(name),
        labels=LABELS,
        taggram=taggram.astype(np.float32),
        embeddings=np.zeros((len(taggram), 2), np.float32),
        starts=starts,
        seconds=float(starts[-1]) + hop,
        samplerate=16_000,
        channels=1,
        decoder="av",
        notes=(),
    )


def image_in(svg: Path) -> np.ndarray:
    """The pixels of the taggram in an SVG, as Pillow reads them."""
    found = re.search(r'href="data:image/png;base64,([^"]+)"', svg.read_text())
    assert found
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))


def test_a_picture_holds_each_score_of_each_tag(tmp_path: Path) -> None:
    taggram = np.array([[0.0, 1.0, 0.5], [0.2, 0.4, 0.8]])
    target = tmp_path / "song.svg"
    write_picture(target, tags_of(taggram))
    pixels = image_in(target).astype(int)
    assert pixels.shape == (3, 2, 3)
    brightness = pixels.sum(axis=2).T
    assert (np.argsort(brightness.ravel()) == np.argsort(taggram.ravel())).all(), "brighter is more"
    assert pixels[0, 0].tolist() == [0, 0, 4]
    assert pixels[1, 0].tolist() == [252, 253, 191]


def test_names_of_files_and_tags_are_text_whatever_is_in_them(tmp_path: Path) -> None:
    target = tmp_path / "song.svg"
    write_picture(target, tags_of(np.full((2, 3), 0.5), "a<b>&\x07\udcff.mp3"))
    texts = [element.text for element in ET.parse(target).iter("{http://www.w3.org/2000/svg}text")]
    assert {*LABELS, r"a<b>&\x07\udcff.mp3"} <= set(texts)


def test_time_is_marked_as_long_as_the_file_lasts() -> None:
    texts = [text.text for text in draw(tags_of(np.zeros((80, 3)))).texts]
    assert [text for text in texts if re.fullmatch(r"\d:\d\d", text)] == [
        f"{second // 60}:{second % 60:02d}" for second in range(0, 241, 15)
    ]


def test_a_long_file_is_drawn_by_means() -> None:
    rising = np.repeat(np.linspace(0, 1, 100_001)[:, None], 3, axis=1)
    pixels = draw(tags_of(rising, hop=0.016)).pixels.astype(int)
    assert pixels.shape == (3, MOST_COLUMNS, 3)
    assert (np.diff(pixels[0].sum(axis=1)) >= -3).all(), "but for rounding, it goes on rising"


def test_a_png_is_the_same_picture(tmp_path: Path) -> None:
    target = tmp_path / "song.png"
    write_picture(target, tags_of(np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])))
    pixels = np.asarray(Image.open(target))
    assert pixels.shape[1] == 2400
    middle = pixels[2 * 44 + 15, [2 * 170 + 500, 2 * 170 + 1500]]
    assert middle.tolist() == [[252, 253, 191], [0, 0, 4]]
    assert (pixels[: 2 * 40] < 128).any(), "something is written"


def test_each_of_several_files_has_a_picture() -> None:
    files = [Path("a/x.mp3"), Path("b/x.flac"), Path("b/X.wav"), Path("y.mp3")]
    names = [path.name for path in picture_names(Path("out.svg"), files)]
    assert names == ["out-x.svg", "out-x-2.svg", "out-X-3.svg", "out-y.svg"]
    assert picture_names(Path("out.svg"), files[:1]) == [Path("out.svg")]


def test_what_cannot_be_drawn_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"cannot write song\.pdf: a picture is \.svg or \.png"):
        check_picture(Path("song.pdf"))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'streamtag\[plot\]'"):
        check_picture(Path("song.png"))
    check_picture(Path("song.svg"))


def test_pictures_from_the_command_line(tmp_path: Path) -> None:
    clip = Path("tests/golden/clip16.flac")
    done = run_cli("file", clip, clip.with_name("clip44.flac"), "--hop", "0.5", "--plot", tmp_path / "out.svg")
    assert done.status == 0, done.message
    assert {path.name for path in tmp_path.iterdir()} == {"out-clip16.svg", "out-clip44.svg"}
    assert len(image_in(tmp_path / "out-clip16.svg")) == 50
    done = run_cli("file", clip, "--plot", tmp_path / "nowhere" / "out.svg")
    assert done.status != 0
    assert "does not exist" in done.message
    (tmp_path / "out-clip44.svg").unlink()
    (tmp_path / "out-clip44.svg").mkdir()
    done = run_cli("file", clip, clip.with_name("clip44.flac"), "--plot", tmp_path / "out.svg")
    assert done.status == 1
    assert "cannot write" in done.message
    assert done.stdout.count("clip"), "the tags are printed all the same"
