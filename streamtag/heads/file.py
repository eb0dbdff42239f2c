"""Heads on disk: one safetensors file, arrays and JSON. Reading one executes nothing, whoever made it.

Everything read is checked before it is used: the checksum, the names and widths of the features against the model, the
shape and finiteness of every array, that labels are printable and distinct.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from safetensors import SafetensorError, safe_open

from streamtag.decoding.regular import unopenable
from streamtag.dsp.params import LevelOption
from streamtag.errors import HeadError
from streamtag.heads.examples import PREFIX, TrainingSet
from streamtag.heads.head import Decision, PlainHead
from streamtag.inference.base import feature_sizes
from streamtag.inference.networks.catalogue import is_file_name, known_spec, weights_sha256
from streamtag.inference.networks.specs import SPECS, ModelSpec
from streamtag.inference.networks.weights import save_whole

FORMAT = "streamtag-head-1"
LARGEST_FILE = 1 << 30
LARGEST_NUMBER = 1e60
"""In any array: products of them, as many as a decision takes, stay finite."""
LONGEST_NAME = 100
JOINERS = {0x200C: None, 0x200D: None}
"""Part of words in Persian and Hindi, and of emoji, though not printable for themselves."""
MOST_CLASSES = 1000
COMMON = {"projection", "offset", "slope", "intercept"}
ARRAYS = {
    "svm": COMMON | {"vectors", "weights", "bias", "gamma"},
    "linear": COMMON | {"weights", "bias"},
    "knn": COMMON | {"vectors", "targets", "neighbours"},
    "mlp": COMMON | {"weights", "bias", "weights_out", "bias_out"},
}


def check_names(name: str, labels: tuple[str, ...]) -> None:
    """Refuse names that cannot be shown or sent.

    Raises
    ------
    HeadError
        Empty, too long, not printable, or two labels that are the same.
    """
    for text in (name, *labels):
        seen = text.translate(JOINERS)
        if not (seen.strip() and seen.isprintable() and len(text) <= LONGEST_NAME):
            raise HeadError(f"the name {text[:LONGEST_NAME]!r}: expected 1 to {LONGEST_NAME} printable characters")
    if twice := next((label for place, label in enumerate(labels) if label in labels[:place]), None):
        raise HeadError(f"two classes are called {twice!r}: rename one of them")


def write_head(path: str | Path, head: PlainHead) -> Path:
    """Write a head, beside and renamed, so that a full disk leaves no half file under the real name.

    Raises
    ------
    HeadError
        Names that cannot be used, or a file that cannot be written.
    """
    path = Path(path)
    _check(head)
    arrays: dict[str, Any] = {
        key: np.ascontiguousarray(value, np.float64) for key, value in head.decision.arrays.items()
    }
    if head.examples is not None:
        arrays |= head.examples.arrays()
    about = json.dumps(
        {
            "name": head.name,
            "model": head.model,
            "model_sha256": head.model_sha256,
            "features": head.features,
            "statistic": head.statistic,
            "window_frames": head.window_frames,
            "labels": head.labels,
            "level": head.level,
            "kind": head.decision.kind,
            "exclusive": head.decision.exclusive,
            "facts": dict(head.facts),
        }
    )
    try:
        save_whole(arrays, path, {"format": FORMAT, "head": about, "sha256": arrays_sha256(about, arrays)})
    except (OSError, SafetensorError) as error:
        raise HeadError(f"cannot write {path}: {error}") from error
    return path


def load_head(path: str | Path) -> PlainHead:
    """Read a head. Nothing in the file is executed.

    Raises
    ------
    HeadError
        Not a head, damaged, changed after it was written, or not for a model known here.
    """
    path = Path(path)
    why = unopenable(path)
    if why == "no such file":
        raise HeadError(f"{path}: no such file; `streamtag learn DATA --out {path}` makes one")
    if why is not None:
        raise HeadError(f"{path}: {why}; a head is a file that `streamtag learn` writes")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise HeadError(f"{path}: larger than any head ({LARGEST_FILE >> 20} MiB)")
        with safe_open(path, framework="np") as file:
            metadata: dict[str, str] = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise HeadError(f"{path}: a safetensors file, but not a head of streamtag's ({FORMAT})")
            arrays = {key: file.get_tensor(key) for key in sorted(file.keys())}
    except (SafetensorError, OSError, struct.error, ValueError, TypeError) as error:
        raise HeadError(
            f"{path}: not a head, or one that was cut or damaged ({error}); a head is what `streamtag learn` writes, "
            "one safetensors file"
        ) from error
    about = metadata.get("head", "")
    if metadata.get("sha256") != arrays_sha256(about, arrays):
        raise HeadError(f"{path}: not as it was written (checksum): get it again, or learn it again")
    try:
        head = _parse(json.loads(about), arrays)
        _check(head)
    except HeadError as error:
        raise HeadError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise HeadError(f"{path}: a head whose description cannot be used ({type(error).__name__}: {error})") from error
    return head


def load_heads(paths: Sequence[str | Path]) -> list[PlainHead]:
    """Read several heads that are to play together.

    Raises
    ------
    HeadError
        One that cannot be read, or two that cannot play together.
    """
    heads = [load_head(path) for path in paths]
    models = {head.model for head in heads}
    if len(models) > 1:
        told = ", ".join(f"{head.name} on {head.model}" for head in heads)
        raise HeadError(f"heads learned on different models cannot play together ({told}): learn them on one model")
    return heads


def check_heads(heads: Sequence[PlainHead], spec: ModelSpec) -> None:
    """Refuse heads that do not fit a model, or each other.

    Raises
    ------
    HeadError
        Learned on another model or other weights of it, or two of one name.
    """
    names: set[str] = set()
    for head in heads:
        same_weights = head.model_sha256 == weights_sha256(spec.name)
        if head.model != spec.name and not (same_weights and spec.trained):  # a file may have another name now
            raise HeadError(
                f"the head {head.name} was learned on {head.model}, not on {spec.name}: give --model {head.model}, "
                f"or learn it again with --model {spec.name}"
            )
        if head.model_sha256 and not same_weights:
            raise HeadError(
                f"the head {head.name} was learned on other weights of {spec.name} than those installed: learn it again"
            )
        _check_features(head, spec)
        if head.name in names:
            raise HeadError(f"two heads are called {head.name}: learn one of them again with another --name")
        names.add(head.name)


def _parse(about: Any, arrays: dict[str, Any]) -> PlainHead:
    examples = {key: arrays.pop(key) for key in tuple(arrays) if key.startswith(PREFIX)}
    kind, exclusive = about["kind"], about["exclusive"]
    level = about.get("level", "off")  # of heads that were learned before there were levels
    texts = (kind, level, about["name"], about["model"], about["model_sha256"], about["statistic"])
    lists = (about["labels"], about["features"])
    sound = (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(items, list) and all(isinstance(item, str) for item in items) for items in lists)
        and isinstance(exclusive, bool)
        and isinstance(about["facts"], dict)
        and type(about["window_frames"]) is int
    )
    if not sound:
        raise HeadError("a value of the wrong type in its description")
    return PlainHead(
        name=about["name"],
        model=about["model"],
        model_sha256=about["model_sha256"],
        features=tuple(about["features"]),
        statistic=about["statistic"],
        window_frames=about["window_frames"],
        labels=tuple(about["labels"]),
        decision=Decision(kind, exclusive, arrays),
        facts=about["facts"],
        level=level,
        examples=TrainingSet.from_arrays(
            examples, _width(about["model"], about["features"], arrays), len(about["labels"])
        ),
    )


def _check(head: PlainHead) -> None:
    """Refuse a head that would fail, or lie, when it is used."""
    check_names(head.name, head.labels)
    spec = known_spec(head.model)
    if spec is not None:
        _check_features(head, spec)
    elif not is_file_name(head.model):  # a file may be elsewhere: `check_heads` looks at the one that is to play
        raise HeadError(f"learned on {head.model!r}, which is not among the models here: {', '.join(SPECS)}")
    if head.statistic not in ("mean", "patches"):
        raise HeadError(f"an unknown statistic, {head.statistic!r}")
    if head.level not in get_args(LevelOption):
        raise HeadError(f"an unknown level, {head.level!r}")
    if not 1 <= head.window_frames <= 1 << 20:
        raise HeadError(f"a window of {head.window_frames} frames")
    if not 1 <= len(head.labels) <= MOST_CLASSES or (head.decision.exclusive and len(head.labels) < 2):
        raise HeadError(f"{len(head.labels)} classes")
    _check_arrays(head.decision, _width(head.model, head.features, head.decision.arrays), len(head.labels))


def _check_features(head: PlainHead, spec: ModelSpec) -> None:
    sizes = feature_sizes(spec)
    if not head.features or not set(head.features) <= set(sizes):
        raise HeadError(f"uses {'+'.join(head.features) or 'nothing'}; {head.model} has {', '.join(sizes)}")
    _check_arrays(head.decision, sum(sizes[name] for name in head.features), len(head.labels))


def _width(model: str, features: Sequence[str], arrays: Mapping[str, Any]) -> int:
    """How many numbers these features have; of a model that is not here, how many the head takes."""
    spec = known_spec(model)
    if spec is None:
        projection = arrays.get("projection")
        return len(projection) if projection is not None and projection.ndim else 0
    sizes = feature_sizes(spec)
    return sum(sizes.get(name, 0) for name in features)  # 0 for what there is not, which `_check` names


def _check_arrays(decision: Decision, width: int, classes: int) -> None:
    arrays = decision.arrays
    if decision.kind not in ARRAYS or set(arrays) != ARRAYS[decision.kind]:
        raise HeadError(f"an unknown kind of classifier: {decision.kind!r} with {', '.join(sorted(arrays))}")
    for key, value in arrays.items():
        if value.dtype != np.float64 or not (np.abs(value) <= LARGEST_NUMBER).all():
            raise HeadError(f"the array {key} holds what is no number, or one that is too large")
    units = arrays["offset"].size
    examples = len(arrays["vectors"]) if "vectors" in arrays and arrays["vectors"].ndim else 0
    hidden = arrays["bias"].size if decision.kind == "mlp" else classes
    rows = {"svm": examples, "linear": units, "mlp": units}.get(decision.kind, 0)
    wanted = {
        "projection": (width, units),
        "offset": (units,),
        "slope": (classes,),
        "intercept": (classes,),
        "vectors": (examples, units),
        "targets": (examples, classes),
        "weights": (rows, hidden),
        "bias": (hidden,),
        "gamma": (1,),
        "weights_out": (hidden, classes),
        "bias_out": (classes,),
        "neighbours": (1,),
    }
    for key, value in arrays.items():
        if value.shape != wanted[key]:
            raise HeadError(f"the array {key} has shape {value.shape}, and {wanted[key]} is needed")
    if decision.kind == "svm" and arrays["gamma"][0] < 0:
        raise HeadError("a negative gamma")
    if decision.kind == "knn" and not 1 <= arrays["neighbours"][0] <= examples:
        raise HeadError(f"{arrays['neighbours'][0]:g} neighbours among {examples}")


def arrays_sha256(about: str, arrays: Mapping[str, Any]) -> str:
    """Checksum of arrays, with their names, types and shapes, and of what is said about them."""
    digest = hashlib.sha256(about.encode())
    for key in sorted(arrays):
        value = np.ascontiguousarray(arrays[key])
        digest.update(f"\n{key} {value.dtype.str} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
