"""The front-ends of published networks, and any other from a description."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from streamtag.dsp.front_end import CHOICES, MUSICNN, FrontEnd, plain_samples
from streamtag.errors import OptionError

VGGISH = FrontEnd(
    rate=16_000,
    window=400,
    hop=160,
    fft=512,
    spectrum="magnitude",
    bands=64,
    scale="htk",
    slopes="mel",
    norm="none",
    low=125.0,
    high=7500.0,
    log="ln",
    multiply=1.0,
    offset=0.01,
    padding="none",
)
"""Hershey et al., "CNN architectures for large-scale audio classification" (ICASSP 2017); constants of the published
vggish_params.py, triangles on the mel axis as in mel_features.py."""

YAMNET = replace(VGGISH, offset=0.001)
"""The published params.py of YAMNet: VGGish's, with another offset."""

ESSENTIA_MUSICNN = replace(MUSICNN, taper="hann-symmetric", padding="none")
"""Essentia's TensorflowInputMusiCNN, which its musicnn, EffNet and MAEST models hear: Alonso-Jiménez et al.,
"TensorFlow audio models in Essentia" (ICASSP 2020). Its window ends where it begins."""

ESSENTIA_VGGISH = replace(VGGISH, taper="hann-symmetric")
"""Essentia's TensorflowInputVGGish, of the same."""

ESSENTIA_TEMPOCNN = FrontEnd(
    rate=11_025,
    window=1024,
    hop=512,
    fft=1024,
    taper="hann-symmetric",
    spectrum="magnitude",
    bands=40,
    low=20.0,
    high=5000.0,
    log="none",
    multiply=1.0,
    offset=0.0,
    padding="none",
)
"""Essentia's TensorflowInputTempoCNN, of the same."""

PANNS = FrontEnd(
    rate=32_000,
    window=1024,
    hop=320,
    fft=1024,
    bands=64,
    low=50.0,
    high=14_000.0,
    log="db",
    multiply=1.0,
    offset=0.0,
    floor=1e-10,
)
"""Kong et al., "PANNs: Large-scale pretrained audio neural networks" (2020): torchlibrosa's frames, for networks that
were exported without them."""

OPENL3 = plain_samples(48_000, 480, lead=24_000, tail="silence")
"""Cramer et al., "Look, listen and learn more" (ICASSP 2019): a patch is 1 s of samples, 100 frames here; its spectrum
is taken by the network's first layer, patch by patch. A file begins in the middle of the first patch."""

FRONT_ENDS: dict[str, FrontEnd] = {
    "musicnn": MUSICNN,
    "vggish": VGGISH,
    "yamnet": YAMNET,
    "panns": PANNS,
    "essentia-musicnn": ESSENTIA_MUSICNN,
    "essentia-vggish": ESSENTIA_VGGISH,
    "essentia-tempocnn": ESSENTIA_TEMPOCNN,
    "openl3": OPENL3,
}
"""Those of published networks, by the name that files give (`like`)."""


def described(values: dict[str, Any]) -> FrontEnd:
    """A front-end from names and values, as a file has them: one of `FRONT_ENDS` (`like`), and what differs from it.

    Raises
    ------
    OptionError
        A name or a value that cannot be used.
    """
    given = dict(values)
    base = given.pop("like", None)
    if base is not None and base not in FRONT_ENDS:
        raise OptionError(f"like = {base!r}: expected {', '.join(FRONT_ENDS)}")
    known = [each.name for each in fields(FrontEnd)]
    for name in given:
        if name not in known:
            raise OptionError(f"{name}: expected like, {', '.join(known)}")
    if base is not None:
        start = FRONT_ENDS[base]
        if given.get("kind", start.kind) != start.kind:
            raise OptionError(f"kind = {given['kind']!r}: {base} is of the kind {start.kind}; leave one of them out")
        return FrontEnd(**({name: getattr(start, name) for name in known} | given))
    if "kind" not in given:
        raise OptionError(f"kind is missing: {', '.join(CHOICES['kind'])}; or like, one of {', '.join(FRONT_ENDS)}")
    if "rate" not in given:
        raise OptionError("rate is missing: Hz at which the network hears")
    if given["kind"] == "samples":
        if "hop" not in given:
            raise OptionError("hop is missing: the samples of a frame")
        if extra := [name for name in given if name not in PLAIN]:
            raise OptionError(f"{extra[0]}: plain samples have {', '.join(PLAIN)} only")
        return FrontEnd(**({"window": given["hop"], "fft": given["hop"], "padding": "none"} | given))
    missing = [name for name in REQUIRED[given["kind"]] if name not in given] if given["kind"] in REQUIRED else []
    if missing:
        raise OptionError(f"{missing[0]} is missing (nothing is taken for granted where like is not given)")
    if given["kind"] == "spectrum" and (mel := [name for name in MEL_ONLY if name in given]):
        raise OptionError(f"{mel[0]}: only mel bands have it")
    defaults = {"fft": given["window"], "padding": "none", "multiply": 1.0, "offset": 0.0}
    return FrontEnd(**(defaults | given))


PLAIN = ("kind", "rate", "hop", "lead", "tail", "mean", "std")
MEL_ONLY = ("bands", "scale", "slopes", "norm", "low", "high")
REQUIRED: dict[str, tuple[str, ...]] = {
    "mel": ("window", "hop", "taper", "spectrum", "bands", "scale", "norm", "low", "high", "log"),
    "spectrum": ("window", "hop", "taper", "spectrum", "log"),
}
"""What a front-end must say where it is like no other."""
