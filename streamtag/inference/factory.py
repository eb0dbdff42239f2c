"""Which predictor a model and a user's choice of engine mean."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from streamtag.errors import OptionError
from streamtag.inference.base import Engine, Predictor
from streamtag.inference.networks.catalogue import (
    WeightsState,
    find_spec,
    find_weights,
    load_weights,
    onnx_model,
    weights_state,
)
from streamtag.inference.networks.specs import OTHERS, WEIGHTED, ModelSpec, check_window
from streamtag.inference.patches import PatchPredictor, StatefulPredictor

if TYPE_CHECKING:
    from streamtag.inference.networks.embedder import Embedder
    from streamtag.inference.sliding.attention.prepared import PreparedWeighted
    from streamtag.inference.sliding.musicnn.prepared import Prepared
    from streamtag.inference.sliding.vgg.prepared import PreparedVgg

COARSE_HOP = 4
"""Frames between results, where none are asked for and each of musicnn's windows is predicted whole."""
OTHERS_HOP_SECONDS = 0.1
"""The least of other networks whose published code does not say."""
ENGINES: tuple[Engine, ...] = ("auto", "sliding", "tensorflow")


def make_predictor(
    model: str, window_frames: int, hop_frames: int, engine: Engine = "auto", *, pools: bool = False
) -> Predictor:
    """The predictor for a model. Weights are read and networks built once a process, and shared.

    Parameters
    ----------
    model : str
        Name of the model, as musicnn calls it.
    window_frames, hop_frames : int
        Frames of a window, and from one to the next.
    engine : {'auto', 'sliding', 'tensorflow'}
        `sliding`: on the CPU, computing once what windows share (`ModelSpec.slides` says of what). `tensorflow`: each
        window whole, through Keras, on a GPU where there is one (`KERAS_BACKEND` may name another backend). `auto`:
        sliding where that can be, which is the quicker on a CPU at every hop (docs/sliding.md); both give the same
        numbers.
    pools : bool
        Whether predictions of musicnn models hold `max_pool` and `mean_pool` (sliding: they always do).

    Returns
    -------
    Predictor
        The predictor of one stream.

    Raises
    ------
    OptionError
        A window or an engine that the model cannot take.
    ModelError
        No such model, or something is wrong with its weights.
    """
    spec = find_spec(model)
    check_window(spec, window_frames)
    if spec.family == "onnx":
        return _onnx_predictor(model, hop_frames, engine)
    if spec.family in OTHERS:
        slides(model, engine)  # refuses an engine that cannot evaluate it
        return PatchPredictor(_embedder(model, weights_state(model)), hop_frames, name="NumPy")
    if not slides(model, engine):
        from streamtag.inference.networks.network import shared_network

        network = shared_network(model, window_frames)
        return PatchPredictor(network, hop_frames, name=network.backend, pools=pools)
    if spec.family == "vgg":
        from streamtag.inference.sliding.vgg.predictor import SlidingVggPredictor

        return SlidingVggPredictor(_prepared_vgg(model, weights_state(model)), hop_frames)
    if spec.family in WEIGHTED:
        from streamtag.inference.sliding.attention.predictor import WeightedPredictor

        return WeightedPredictor(_prepared_weighted(model, weights_state(model)), window_frames, hop_frames)
    from streamtag.inference.sliding.musicnn.predictor import SlidingPredictor

    return SlidingPredictor(_prepared(model, weights_state(model)), window_frames, hop_frames)


def slides(model: str, engine: Engine) -> bool:
    """Whether the sliding engine is what `engine` means for a model.

    Raises
    ------
    UnknownModelError
        No such model.
    OptionError
        No such engine, or one that cannot evaluate the model.
    """
    spec = find_spec(model)
    if engine not in ENGINES:
        raise OptionError(f"the engine {engine!r}: {', '.join(ENGINES)} are known")
    if engine != "auto" and spec.family in OTHERS:
        raise OptionError(f"{model} is evaluated in one way only: leave the engine {engine} out")
    if engine == "sliding" and not spec.slides:
        raise OptionError(
            f"{model}, a network of the kind {spec.family}, is evaluated window by window, which is the engine "
            "tensorflow; those of the kinds musicnn, residual, attention, autopool and vgg, with 96 bands, slide"
        )
    return engine != "tensorflow" and spec.slides


def _onnx_predictor(model: str, hop_frames: int, engine: Engine) -> Predictor:
    from streamtag.inference.networks.onnx_network import OnnxNetwork

    slides(model, engine)  # refuses an engine that cannot evaluate it
    path = find_weights(model)
    assert path is not None
    network = OnnxNetwork(onnx_model(model, path))
    return StatefulPredictor(network, hop_frames, name=network.backend)


def default_hop(spec: ModelSpec, engine: Engine) -> int:
    """Frames between results where none are asked for.

    Every frame where windows slide. Other networks predict each window whole: as often as their published code does
    where that has windows overlap, else four times a window, and at most ten times a second.
    """
    if spec.family in OTHERS:
        return spec.step or max(1, spec.frames // 4, round(OTHERS_HOP_SECONDS / spec.front_end.frame_seconds))
    return 1 if slides(spec.name, engine) else COARSE_HOP


@lru_cache(maxsize=2)
def _embedder(model: str, state: WeightsState) -> Embedder:
    from streamtag.inference.networks.openl3 import Openl3Network
    from streamtag.inference.networks.vggish import VggishNetwork

    weights = load_weights(model)
    return VggishNetwork(weights) if weights.spec.family == "vggish" else Openl3Network(weights)


@lru_cache(maxsize=4)
def _prepared(model: str, state: WeightsState) -> Prepared:
    from streamtag.inference.sliding.musicnn.prepared import prepare

    return prepare(load_weights(model))


@lru_cache(maxsize=4)
def _prepared_vgg(model: str, state: WeightsState) -> PreparedVgg:
    from streamtag.inference.sliding.vgg.prepared import prepare_vgg

    return prepare_vgg(load_weights(model))


@lru_cache(maxsize=4)
def _prepared_weighted(model: str, state: WeightsState) -> PreparedWeighted:
    from streamtag.inference.sliding.attention.prepared import prepare_weighted

    return prepare_weighted(load_weights(model))
