"""Several models on one input: what each is called, whose heads are whose, and that each hears all of it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from streamtag.commands.hearing import hearings
from streamtag.commands.inputs import NamedInput
from streamtag.errors import HeadError, OptionError, UnknownModelError
from streamtag.heads.file import write_head
from streamtag.inference.networks.specs import SPECS
from streamtag.tagging.music import shipped_music_head
from streamtag.tagging.tagger import Tagger
from tests.support.onnx_files import MEL, three_bands, write
from tests.support.osc import Receiver
from tests.support.program import Running, run_cli

ONE = [NamedInput("", "demo")]
TWO = [NamedInput("stage", "demo"), NamedInput("deck", "demo")]


def names(inputs: list[NamedInput], models: list[str] | None) -> list[tuple[str, str, bool]]:
    return [(one.name, one.model, one.first) for one in hearings(inputs, models, None, "MTT_musicnn", None, None)]


def test_one_model_is_called_as_its_input() -> None:
    assert names(ONE, None) == [("", "MTT_musicnn", True)]
    assert names(TWO, ["MSD_vgg", "MSD_vgg"]) == [("stage", "MSD_vgg", True), ("deck", "MSD_vgg", True)]


def test_several_are_called_by_their_names_behind_that_of_the_input() -> None:
    assert names(ONE, ["MSD_musicnn", "MTT_vgg"]) == [
        ("MSD_musicnn", "MSD_musicnn", True),
        ("MTT_vgg", "MTT_vgg", False),
    ]
    assert [name for name, *_ in names(TWO, ["MSD_musicnn", "/there/my voice.onnx"])] == [
        "stage-MSD_musicnn",
        "stage-my-voice",
        "deck-MSD_musicnn",
        "deck-my-voice",
    ]


def test_two_of_the_same_name_are_refused() -> None:
    with pytest.raises(OptionError, match="two of the models would be called 'net'"):
        names(ONE, ["a/net.onnx", "b/net.onnx"])


def test_a_model_that_is_none_is_named() -> None:
    outcome = run_cli("live", "--input", "demo", "--model", "MSD_musicnn", "--model", "MSD_musicn")
    assert outcome.status == 2
    assert "no model is called 'MSD_musicn'" in outcome.message
    with pytest.raises(UnknownModelError):
        Tagger("MSD_musicn")


def test_heads_go_to_the_model_that_they_were_learned_on(tmp_path: Path) -> None:
    head = shipped_music_head(SPECS["MSD_musicnn"])
    assert head is not None
    write_head(tmp_path / "cue.head", replace(head, name="cue"))
    paths = [str(tmp_path / "cue.head")]
    found = hearings(ONE, ["MTT_musicnn", "MSD_musicnn"], paths, "MTT_musicnn", None, None)
    assert [[head.name for head in one.heads] for one in found] == [[], ["cue"]]
    with pytest.raises(HeadError, match="not among the models here: MTT_vgg, MSD_vgg"):
        hearings(ONE, ["MTT_vgg", "MSD_vgg"], paths, "MTT_vgg", None, None)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_each_hears_all_of_the_input(
    kind: str, start: Callable[..., Running], music: Path, tmp_path: Path, compiled: None
) -> None:
    samples, rate = soundfile.read(music, frames=4 * 44_100)
    path = tmp_path / "song.wav"
    soundfile.write(path, samples, rate)
    network = write(tmp_path, three_bands(), f"{MEL}", "thirds")
    show = tmp_path / "show.toml"
    receiver = Receiver()
    show.write_text(
        f'host = "127.0.0.1:{receiver.port}"\n'
        '[[rule]]\nwhen = "tag/middle"\nsend = { osc = "/middle" }\n'
        '[[rule]]\ninput = "MSD_musicnn"\nwhen = "tag/rock"\nsend = { osc = "/rock" }\n'
    )
    models = ["--model", "MSD_musicnn", "--model", network]
    options = [*models, "--format", "json", "--rules", show, "--osc", f"127.0.0.1:{receiver.port}"]
    given = path
    if kind == "pipe":  # which can be read once only
        given = tmp_path / "fifo"
        os.mkfifo(given)
        threading.Thread(target=lambda: given.write_bytes(path.read_bytes()), daemon=True).start()
    running = start("live", "--input", given, *options, "--duration", "6", stdout=subprocess.PIPE)
    outcome = running.end(60)
    assert outcome.status == 0, outcome.stderr
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    last = {line["input"]: line for line in lines if not line.get("rested")}  # a FIFO is left and rests
    assert {name: line["t"] for name, line in last.items()} == {
        "MSD_musicnn": pytest.approx(4, abs=0.3),  # a busy machine skips some
        "thirds": pytest.approx(4, abs=0.3),
    }
    tags = {tag for line in lines if line["input"] == "thirds" for tag, _ in line["top"]}
    assert tags == {"low", "middle", "high"}
    addresses = {address for address, *_ in receiver.messages()}
    assert {"/middle", "/rock", "/streamtag/in/thirds/top", "/streamtag/in/MSD_musicnn/top"} <= addresses
    assert "/streamtag/top" not in addresses
    assert [line.partition(":")[0] for line in outcome.stderr.splitlines() if "s heard" in line] == [
        "MSD_musicnn",
        "thirds",
    ]
    receiver.socket.close()
