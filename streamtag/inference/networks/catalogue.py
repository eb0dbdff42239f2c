"""Which models there are: the published ones, and one's own, by file or by the name under which they were imported.

Files are read by `weights`, which is imported when there is one to read: the command line starts without NumPy.
"""

from __future__ import annotations

import difflib
import os
import shutil
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from streamtag._system.places import user_data
from streamtag.errors import ModelError, StreamtagError, UnknownModelError, WeightsDamagedError, WeightsMissingError
from streamtag.inference.networks.published import PUBLISHED
from streamtag.inference.networks.specs import OTHERS, SPECS, ModelSpec

if TYPE_CHECKING:
    from streamtag.inference.networks.onnx_network import OnnxModel
    from streamtag.inference.networks.weights import Weights

SUFFIX, ONNX = ".safetensors", ".onnx"
WeightsState = tuple[str, int, int]
"""Which state of which file: its path, time of change (ns) and size (bytes)."""


def model_folders() -> list[Path]:
    """Where weights are looked for: the user's folder first, then what ships with streamtag."""
    shipped = Path(str(files("streamtag"))) / "models"
    if not shipped.is_dir():  # in a source checkout they lie beside the package
        shipped = Path(str(files("streamtag"))).parent / "models"
    own = user_models_folder()
    return [shipped] if own is None else [own, shipped]


def user_models_folder() -> Path | None:
    """Where `streamtag models import` writes: $STREAMTAG_MODELS, or the user's data folder; None if there is none."""
    chosen = os.environ.get("STREAMTAG_MODELS")
    if chosen:
        return Path(chosen)
    data = user_data()
    return None if data is None else data / "models"


def find_spec(name: str) -> ModelSpec:
    """Look a model up: a published one by musicnn's name, one's own by its file or imported name.

    Raises
    ------
    UnknownModelError
        No such model; the message names the nearest and lists all.
    WeightsDamagedError
        A file that is no model, or a damaged one.
    """
    given: object = name
    if not isinstance(given, str):  # one of `models()` itself, or a path
        raise UnknownModelError(f"a model is chosen by its name, not by a {type(given).__name__}: {', '.join(SPECS)}")
    if name in PUBLISHED:
        return PUBLISHED[name]
    path = find_weights(name)
    if path is not None and path.suffix == ONNX:
        return onnx_model(name, path).spec
    if path is not None:
        return _stored_spec(name, *weights_state(name))
    if is_file_name(name):
        raise UnknownModelError(f"{name}: there is no such file of a model")
    known = [*SPECS, *other_models(), *own_models()]
    folded = {each.lower(): each for each in known}
    near = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=2, cutoff=0.5)]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise UnknownModelError(f"no model is called {name!r}.{hint} The models are {', '.join(known)}.")


def known_spec(name: str) -> ModelSpec | None:
    """A model, or None where there is none of this name here."""
    try:
        return find_spec(name)
    except ModelError:
        return None


def is_file_name(name: str) -> bool:
    """Whether a model's name is meant as that of a file."""
    return name.endswith((SUFFIX, ONNX))


def find_weights(name: str) -> Path | None:
    """Path of a model's installed weights, or of the file that the name is; None if there are none."""
    if is_file_name(name):
        return Path(name) if os.path.isfile(name) else None  # noqa: PTH113 - as below
    for folder in model_folders() if Path(name).name == name else []:
        for suffix in (SUFFIX, ONNX):
            path = folder / f"{name}{suffix}"
            if os.path.isfile(path):  # noqa: PTH113 - false, too, for a folder that this user may not look into
                return path
    return None


def installed_models() -> dict[str, Path]:
    """The published models whose weights are installed, by name."""
    return {name: path for name in SPECS if (path := find_weights(name)) is not None}


def other_models() -> list[str]:
    """Published models of others whose weights are installed."""
    return [name for name in PUBLISHED if name not in SPECS and find_weights(name) is not None]


def own_models() -> dict[str, Path]:
    """The models of one's own that were imported, by name: files in the folders of models that are no published one."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        with suppress(OSError):  # none there, or not for this user
            for path in sorted(folder.iterdir()):
                if path.suffix in (SUFFIX, ONNX) and path.stem not in PUBLISHED and not path.name.startswith("."):
                    found.setdefault(path.stem, path)
    return found


def import_own(path: Path, folder: Path) -> Path:
    """Install a model of one's own, so that it is known by name.

    Parameters
    ----------
    path : Path
        Its file; the name is the file's, without ``.safetensors``.
    folder : Path
        Where it goes; made if it is not there.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ModelError
        No model of one's own, a damaged one, one with the name of a published model, or it cannot be written.
    """
    from streamtag.inference.networks.weights import write_model

    weights = load_weights(str(path))
    if not weights.spec.trained:
        raise ModelError(f"{path}: holds {weights.metadata['model']}, a published model, which is known already")
    if path.stem in PUBLISHED:
        raise ModelError(f"{path}: {path.stem} is a published model's name: call the file otherwise")
    kept = {key: value for key, value in weights.metadata.items() if key in ("source", "source_sha256", "licence")}
    kept |= {key: weights.metadata[key] for key in ("training", "dataset") if key in weights.metadata}
    target = folder / path.name
    write_model(target, weights.spec, weights.tensors, kept | {"model": path.stem})
    return target


def published_file(spec: ModelSpec) -> str:
    """The file of somebody else's published weights."""
    if spec.family == "vggish":
        return "vggish_model.ckpt"
    content, representation = spec.name.split("_")[1:3]
    return f"openl3_audio_{representation}_{content}.h5"


def import_onnx(path: Path, folder: Path) -> Path:
    """Install a network in ONNX with its description, so that it is known by name.

    Parameters
    ----------
    path : Path
        Its file; the name is the file's, without ``.onnx``. What is beside it and belongs to it goes with it: the
        description, and its file of labels.
    folder : Path
        Where it goes; made if it is not there.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ModelError
        It cannot be used, has the name of a published model, or cannot be written.
    OptionError
        Something is wrong with its description.
    """
    from streamtag.inference.networks.onnx_description import beside

    if path.stem in PUBLISHED:
        raise ModelError(f"{path}: {path.stem} is a published model's name: call the file otherwise")
    labels = onnx_model(str(path), path).description.labels_file
    target = folder / path.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in (beside(path), *([path.with_name(labels)] if labels else []), path):  # the network last
            if each.is_file():
                _copy_whole(each, folder / each.name)
    except OSError as error:
        raise ModelError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _copy_whole(source: Path, target: Path) -> None:
    """Copy beside, and rename: nobody meets half a file."""
    if target.exists() and target.samefile(source):
        return
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(source, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def models() -> tuple[ModelSpec, ...]:
    """The models that can be used here: those whose weights are installed, and one's own that were imported.

    Returns
    -------
    tuple of ModelSpec
        With `name`, `labels`, `dataset` and what else is known of each.
    """
    published = tuple(spec for name, spec in PUBLISHED.items() if find_weights(name) is not None)
    own = []
    for name in own_models():
        with suppress(StreamtagError):  # `streamtag models` says so
            own.append(find_spec(name))
    return (*published, *own)


def load_weights(name: str) -> Weights:
    """Read a model's weights.

    Raises
    ------
    UnknownModelError
        No model of that name.
    WeightsMissingError
        Not installed; the message says how to import them.
    WeightsDamagedError
        If the file does not read, or not as it was written.
    """
    from streamtag.inference.networks.weights import read_weights

    spec = find_spec(name)
    path = find_weights(name)
    if path is None and spec.family in OTHERS:
        raise WeightsMissingError(
            f"the weights of {name} are not installed. Get {published_file(spec)} from {spec.origin}, and run: "
            f"streamtag models import PATH/TO/{published_file(spec)}"
        )
    if path is None:
        raise WeightsMissingError(
            f"the weights of {name} are not installed (looked in {', '.join(map(str, model_folders()))}). "
            f"Get musicnn's source, which has them in musicnn/{name}/, and run: "
            f"streamtag models import PATH/TO/musicnn/{name} — or use one of {', '.join(installed_models())}"
        )
    if path.suffix == ONNX:
        raise ModelError(f"{name}: a network in ONNX is heard with as it is; its weights are not read")
    return read_weights(path, spec)


def weights_sha256(model: str) -> str:
    """Checksum of a model's installed weights.

    Raises
    ------
    ModelError
        Not installed, or damaged.
    """
    from streamtag.inference.networks.weights import read_metadata

    path = find_weights(model)
    if path is not None and path.suffix == ONNX:
        return onnx_model(model, path).sha256
    return (read_metadata(path) if path else load_weights(model).metadata)["tensors_sha256"]


def onnx_model(name: str, path: Path) -> OnnxModel:
    """A network in ONNX, read once a process as long as its files stay as they are.

    Raises
    ------
    ModelError
        Something is wrong with the file.
    OptionError
        Something is wrong with its description.
    """
    from streamtag.inference.networks.onnx_network import onnx_state, read_onnx

    return read_onnx(name, str(path), onnx_state(path))


def weights_state(model: str) -> WeightsState:
    """Which state of which file a model's weights are, for what is kept of them: a file may be written anew.

    Raises
    ------
    ModelError
        Not installed.
    """
    path = find_weights(model)
    if path is None:
        load_weights(model)  # says why
        raise WeightsMissingError(f"the weights of {model} are gone")
    try:
        status = path.stat()
    except OSError as error:
        raise WeightsDamagedError(f"{path}: {error.strerror}") from error
    return str(path), status.st_mtime_ns, status.st_size


@lru_cache(maxsize=64)
def _stored_spec(name: str, path: str, modified: int, size: int) -> ModelSpec:
    """What a file says of its model; `modified` and `size` say which state of the file."""
    from streamtag.inference.networks.weights import read_metadata, stored_spec

    return stored_spec(name, Path(path), read_metadata(Path(path)))
