"""When which tag holds in a file: what live says, in a table, as CSV, as JSON and as a picture."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from streamtag.decoding.decode import open_audio
from streamtag.errors import OptionError
from streamtag.files.timeline import FileTimeline, Span, check_format, clock, timeline, write_timelines
from streamtag.heads.file import load_head
from streamtag.tagging.options import TaggingOptions
from streamtag.tagging.tagger import Tagger
from tests.support.program import run_cli

BARS = ".//{http://www.w3.org/2000/svg}g/{http://www.w3.org/2000/svg}rect"


@pytest.fixture(scope="module")
def head(clips: Path) -> Path:
    path = clips.parent / "cues.head"
    if not path.exists():
        assert run_cli("learn", clips, "--out", path, "--features", "penultimate").status == 0
    return path


def test_spans_are_the_switches_of_live(clips: Path, head: Path) -> None:
    new, heads = clips.parent / "new.flac", (load_head(head),)
    options = TaggingOptions(heads=heads, smooth=0.5, head_threshold=0.6)
    spans = timeline(new, options)
    with open_audio(new) as reader:
        sound, rate = np.concatenate(list(reader.blocks())), reader.samplerate
    tagger = Tagger(heads=heads, smooth=0.5, head_threshold=0.6, hop=0.128, gate=-60.0)
    frames = tagger.push(sound, rate)
    starts, ends = set(), set()
    scores: dict[tuple[float, str | None, str], float] = {}
    for frame in frames:
        (own,) = frame.heads
        for name, labels in ((None, tagger.labels), ("cues", heads[0].labels)):
            switched, on = (frame.switched, frame.on) if name is None else (own.switched, own.on)
            starts |= {(frame.time, name, tag) for tag, is_on in switched if is_on}
            ends |= {(frame.time, name, tag) for tag, is_on in switched if not is_on}
            values = frame.scores if name is None else own.scores
            scores |= {(frame.time, name, tag): float(values[labels.index(tag)]) for tag in on}
    assert {(span.start, span.head, span.tag) for span in spans} == starts
    assert {(span.end, span.head, span.tag) for span in spans if span.end < len(sound) / rate} == ends
    for span in spans:
        held = [s for (t, *of), s in scores.items() if of == [span.head, span.tag] and span.start <= t < span.end]
        assert span.score == pytest.approx(np.mean(held), abs=1e-6)
    cues = [span.tag for span in spans if span.head == "cues"]
    assert cues[0] == "breakdown"
    assert cues[-1] == "drop"


def test_what_is_printed_and_written_is_the_same(clips: Path, head: Path, tmp_path: Path) -> None:
    new = clips.parent / "new.flac"
    for ending in ("csv", "json", "svg"):
        done = run_cli("file", new, "--head", head, "--timeline-to", tmp_path / f"t.{ending}")
        assert done.status == 0, done.stderr
        assert "timeline" not in done.stdout
    (file,) = json.loads((tmp_path / "t.json").read_text())
    spans = file["timeline"]
    with (tmp_path / "t.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [(row["file"], row["head"] or None, row["tag"]) for row in rows] == [
        (str(new), span["head"], span["tag"]) for span in spans
    ]
    assert [float(row["start"]) for row in rows] == [span["start"] for span in spans]
    assert len(ElementTree.parse(tmp_path / "t.svg").findall(BARS)) == len(spans) > 2
    done = run_cli("file", new, "--head", head, "--timeline", "--format", "json")
    assert done.json[0]["timeline"] == spans
    lines = run_cli("file", new, "--head", head, "--timeline").stdout.splitlines()
    told = lines[next(i for i, line in enumerate(lines) if "timeline" in line) + 1 :][: len(spans)]
    first = spans[0]
    assert told[0].split()[:3] == [clock(first["start"]), "to", clock(first["end"])]
    assert all(span["tag"] in line for span, line in zip(spans, told, strict=True))


def test_without_it_nothing_changes(clips: Path) -> None:
    plain, beside = (run_cli("file", clips.parent / "new.flac", *more) for more in ((), ("--timeline",)))
    assert "timeline" not in plain.stdout
    assert [line for line in plain.stdout.splitlines() if line] == beside.stdout.splitlines()[
        : len(plain.stdout.split("\n")) - 2
    ]


def test_silence_and_what_is_shorter_than_the_window_have_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "short.wav", 0.3 * rng.uniform(-1, 1, 32_000), 16_000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(160_000), 16_000)
    done = run_cli(
        "file", tmp_path / "short.wav", tmp_path / "silent.wav", "--timeline", "--timeline-to", tmp_path / "t.svg"
    )
    assert done.status == 0, done.stderr
    assert done.stdout.count("timeline, as live says it: nothing") == 2
    assert not ElementTree.parse(tmp_path / "t.svg").findall(BARS)


@pytest.mark.parametrize("name", ["a\x01b\x1b[2J.wav", '<&>".wav', "a\udce9.wav", "ÿ\u202e.wav"])
def test_no_name_breaks_the_picture(tmp_path: Path, name: str) -> None:
    spans = (Span(3.0, 4.0, "cues & <b>", "drop", 0.9), Span(0.5, 9.0, None, "rock", 0.3))
    for ending in ("svg", "csv", "json"):
        write_timelines(tmp_path / f"t.{ending}", [FileTimeline(name, 9.0, spans), FileTimeline("b", 0.0, ())])
    assert len(ElementTree.parse(tmp_path / "t.svg").findall(BARS)) == 2
    assert len(json.loads((tmp_path / "t.json").read_text())) == 2


def test_what_cannot_be_is_said_before_anything_is_heard(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.csv, \.json, \.svg"):
        check_format(tmp_path / "t.png")
    for arguments, message in (
        (("--timeline-to", tmp_path / "t.png"), ".svg"),
        (("--timeline-to", tmp_path / "nowhere" / "t.csv"), "does not exist"),
        (("--timeline", "--threshold", "2"), "threshold 2.0"),
        (("--timeline", "--head-threshold", "0"), "threshold 0.0"),
    ):
        done = run_cli("file", clips.parent / "new.flac", *arguments)
        assert done.status == 2
        assert message in done.message
        assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_clock_reads_as_one() -> None:
    assert [clock(seconds) for seconds in (0, 59.96, 83.25, 3600)] == ["0:00.0", "1:00.0", "1:23.2", "60:00.0"]
    assert clock(90, 0) == "1:30"
