"""What an ONNX file does not say of its network: its front-end, its patches, which output is what, and the labels.

It stands in a small TOML file beside it (``FILE.toml``), or in its own metadata under the key ``streamtag``.
docs/models.md says what each key means.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from streamtag._toml.document import Document
from streamtag._toml.tables import Table, meant, shown
from streamtag.dsp.front_end import FrontEnd
from streamtag.dsp.front_ends import described
from streamtag.errors import ModelError, OptionError

Activation = Literal["none", "sigmoid", "softmax"]
OverTime = Literal["none", "mean", "max", "last"]
Axis = str | int
METADATA_KEY = "streamtag"
MOST_FRAMES = 2**20
MOST_BATCH = 64
MOST_LABELS = 100_000
AXES = ("batch", "time", "bands", "samples")
TOP = (
    *("name", "licence", "origin", "dataset", "batch"),
    *("front_end", "patch", "input", "constants", "state", "tags", "embedding"),
)


@dataclass(frozen=True, slots=True)
class Output:
    """One of the network's outputs, as a row a patch.

    Attributes
    ----------
    name : str or None
        What the file calls it; None for its first.
    axis : int
        Which axis the units lie on.
    over_time : {'none', 'mean', 'max', 'last'}
        What becomes of an output that has several rows a patch.
    activation : {'none', 'sigmoid', 'softmax'}
        What is still to be done to make scores of it.
    labels : tuple of str
        Tags, in its order; none of an embedding.
    """

    name: str | None = None
    axis: int = -1
    over_time: OverTime = "none"
    activation: Activation = "none"
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """All that is said of a network.

    Attributes
    ----------
    name : str
        What it is called.
    licence, origin, dataset : str
        As the model's.
    front_end : FrontEnd
        What it hears.
    frames : int
        Frames of a patch.
    step : int or None
        Frames from one patch to the next; None: side by side.
    batch : int
        Patches at a time.
    input : str or None
        The input that gets the patches; None: the only one that is neither constant nor state.
    layout : tuple of (str or int), or None
        Its axes: batch, time, bands, samples (time and bands in one), or a number for an axis of that length.
    constants : mapping of {str: number}
        Inputs that are always the same.
    state : mapping of {str: str}
        Inputs that get, for a patch, what an output gave for the patch before.
    shapes : mapping of {str: tuple of int}
        Those of states whose shape the file leaves open.
    tags, embedding : Output or None
        What is of use.
    labels_file : str or None
        The file beside it that the labels were read from.
    """

    name: str
    front_end: FrontEnd
    frames: int
    step: int | None = None
    batch: int = 1
    licence: str = ""
    origin: str = ""
    dataset: str = ""
    input: str | None = None
    layout: tuple[Axis, ...] | None = None
    constants: Mapping[str, float | int | bool] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tags: Output | None = None
    embedding: Output | None = None
    labels_file: str | None = None


def beside(path: Path) -> Path:
    """The description that belongs to an ONNX file."""
    return path.with_suffix(".toml")


def read_description(path: Path, metadata: Mapping[str, str]) -> Description:
    """The description of an ONNX file, out of the file beside it, or of its metadata.

    Parameters
    ----------
    path : Path
        The ONNX file.
    metadata : mapping of {str: str}
        Its own metadata.

    Returns
    -------
    Description
        What is said.

    Raises
    ------
    ModelError
        There is none.
    OptionError
        What is wrong with it, with its line.
    """
    said = beside(path)
    if said.is_file():
        return _read(Document(said), path)
    if METADATA_KEY in metadata:
        return _read(Document(Path(f"{path} (its metadata {METADATA_KEY})"), metadata[METADATA_KEY]), path)
    raise ModelError(
        f"{path}: nothing says what this network hears: {said.name} is missing beside it (or metadata with the key "
        f"{METADATA_KEY}). `streamtag models describe {path}` writes a beginning; docs/models.md says what goes in"
    )


def _read(document: Document, path: Path) -> Description:
    top = Table(document, document.data)
    top.only(TOP, "the description of a network")
    front_end = _front_end(top)
    patch = top.table("patch")
    if patch is None:
        top.fail(None, "[patch] is missing: how many frames the network hears at a time, frames = ...")
    patch.only(("frames", "step"), "[patch]")
    if "frames" not in patch:
        patch.fail(None, "frames is missing: how many frames the network hears at a time")
    given, constants = top.table("input"), top.table("constants")
    if given is not None:
        given.only(("name", "layout"), "[input]")
    state, shapes = _states(top.table("state"))
    tags, embedding = _output(top.table("tags"), path), _output(top.table("embedding"), path, labelled=False)
    if tags is None and embedding is None:
        top.fail(None, "neither [tags] nor [embedding]: say which output is what")
    return Description(
        name=top.text("name") or path.stem,
        front_end=front_end,
        frames=patch.whole("frames", 1, 1, MOST_FRAMES),
        step=patch.whole("step", 1, 1, MOST_FRAMES) if "step" in patch else None,
        batch=top.whole("batch", 1, 1, MOST_BATCH),
        licence=top.text("licence"),
        origin=top.text("origin"),
        dataset=top.text("dataset"),
        input=(given.text("name") or None) if given else None,
        layout=_layout(given, front_end) if given and "layout" in given else None,
        constants=_constants(constants) if constants else {},
        state=state,
        shapes=shapes,
        tags=tags,
        embedding=embedding,
        labels_file=(said.text("labels_file") or None) if (said := top.table("tags")) else None,
    )


def _front_end(top: Table) -> FrontEnd:
    table = top.table("front_end")
    if table is None:
        top.fail(None, "[front_end] is missing: what the network hears")
    try:
        return described(table.data)
    except OptionError as error:
        words = str(error)
        name = words.split(":")[0].split(" ")[0].rstrip(",")
        table.fail(name if name in table else None, words)
    except TypeError as error:  # what is no number where one is wanted
        table.fail(None, str(error))


def _layout(table: Table, front_end: FrontEnd) -> tuple[Axis, ...]:
    axes = table.data["layout"]
    proper = isinstance(axes, list) and all(
        axis in AXES if isinstance(axis, str) else axis == 1 and not isinstance(axis, bool) for axis in axes
    )
    if not proper:
        table.fail("layout", f"layout = {shown(axes)}: expected a list of {', '.join(AXES)} and 1")
    named = [axis for axis in axes if axis != 1]
    heard = sorted(axis for axis in named if axis != "batch")
    if len(set(named)) < len(named) or heard not in (["bands", "time"], ["samples"]):
        table.fail("layout", f"layout = {shown(axes)}: expected time and bands, or samples, each once, and batch")
    if "batch" in named and axes[0] != "batch":
        table.fail("layout", f"layout = {shown(axes)}: batch comes first")
    return tuple(axes)


def _constants(table: Table) -> dict[str, float | int | bool]:
    for name, value in table.data.items():
        if not (isinstance(value, int | float) and math.isfinite(value)):
            table.fail(name, f"{name} = {shown(value)}: expected a number, true or false")
    return dict(table.data)


def _states(table: Table | None) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    states: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in ({} if table is None else table.data).items():
        assert table is not None
        if isinstance(value, str):
            states[name] = value
            continue
        one = table.within(name, value, (*table.keys, name))
        one.only(("output", "shape"), f"the state {name}")
        if not one.text("output"):
            one.fail(None, f"the state {name}: output is missing, whose value it gets for the next patch")
        states[name] = one.text("output")
        if "shape" in one:
            shape = one.data["shape"]
            if not (isinstance(shape, list) and all(type(n) is int and 0 < n < MOST_FRAMES for n in shape)):
                one.fail("shape", f"shape = {shown(shape)}: expected whole numbers, for example [2, 1, 128]")
            shapes[name] = tuple(shape)
    return states, shapes


def _output(table: Table | None, path: Path, *, labelled: bool = True) -> Output | None:
    if table is None:
        return None
    common = ("output", "axis", "over_time")
    table.only((*common, "labels", "labels_file", "activation") if labelled else common, f"[{table.keys[-1]}]")
    over_time = _choice(table, "over_time", get_args(OverTime))
    activation = _choice(table, "activation", get_args(Activation))
    labels = _labels(table, path) if labelled else ()
    return Output(
        name=table.text("output") or None,
        axis=table.whole("axis", -1, -8, 8),
        over_time=over_time,  # type: ignore[arg-type] # one of them, as was checked
        activation=activation,  # type: ignore[arg-type] # the same
        labels=labels,
    )


def _choice(table: Table, key: str, known: Sequence[str]) -> str:
    value = table.text(key) or "none"
    if value not in known:
        table.fail(key, f"{key} = {value!r}: {meant(value, known)}")
    return value


def _labels(table: Table, path: Path) -> tuple[str, ...]:
    if ("labels" in table) == ("labels_file" in table):
        table.fail(None, 'expected labels = ["...", ...], or labels_file = "FILE" beside the network')
    if "labels" in table:
        key, labels = "labels", table.texts("labels")
    else:
        key, name = "labels_file", table.text("labels_file")
        if Path(name).name != name:
            table.fail(key, f"labels_file = {name!r}: expected the name of a file in the same folder")
        try:
            labels = tuple(read_labels(path.with_name(name)))
        except (OSError, ValueError, KeyError, RecursionError) as error:
            why = getattr(error, "strerror", None) or error
            table.fail(key, f"labels_file = {name!r}: cannot be read: {why}")
    labels = tuple(label.strip() for label in labels)
    if not 0 < len(labels) <= MOST_LABELS:
        table.fail(key, f"{len(labels)} labels: expected 1 to {MOST_LABELS}")
    if bad := next((label for label in labels if not (label and label.isprintable())), None):
        table.fail(key, f"the label {bad!r}: expected printable characters")
    seen: set[str] = set()
    for label in labels:
        if label in seen:
            table.fail(key, f"two labels are {label!r}: each needs a name of its own")
        seen.add(label)
    return labels


def read_labels(path: Path) -> list[str]:
    """Labels out of a file, in the network's order.

    Parameters
    ----------
    path : Path
        One a line; or JSON, a list or what Essentia publishes (``classes``); or CSV with a column ``display_name``, as
        AudioSet's.

    Returns
    -------
    list of str
        The labels.

    Raises
    ------
    OSError, ValueError, KeyError
        It cannot be read, or is none of these.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        text = file.read(1 << 24)
    if path.suffix == ".json":
        data: Any = json.loads(text)
        labels = data["classes"] if isinstance(data, dict) else data
        if not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
            raise ValueError("expected a list of texts, or an object with classes")
        return labels
    if path.suffix == ".csv":
        return [row["display_name"] for row in csv.DictReader(text.splitlines())]
    return [line for line in text.splitlines() if line.strip()]
