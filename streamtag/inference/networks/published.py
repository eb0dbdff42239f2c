"""What is known of published networks of others, whose weights are the user's to import; and all that have names."""

from __future__ import annotations

from streamtag.dsp.front_ends import OPENL3, VGGISH
from streamtag.inference.networks.specs import SPECS, ModelSpec

VGGISH_SPEC = ModelSpec(
    "VGGish",
    "vggish",
    "YouTube-8M",
    (),
    72_141_184,
    64,
    128,
    frames=96,
    bands=64,
    front_end=VGGISH,
    licence="Apache-2.0, Google",
    origin="https://github.com/tensorflow/models/tree/master/research/audioset/vggish",
)
"""Its weights are the user's to import: 280 MB."""


OPENL3_BLOCKS = ((1, 64), (64, 128), (128, 256), (256, 512))
"""Channels in and out of each pair of convolutions."""


def openl3_name(representation: str, content: str, size: int) -> str:
    """What a network of OpenL3 is called here."""
    return f"OpenL3_{content}_{representation}_{size}"


def openl3_representation(name: str) -> str:
    """Which spectrogram a network of OpenL3 hears."""
    return name.split("_")[2]


def _openl3(representation: str, content: str, size: int) -> ModelSpec:
    parameters = 4 + sum(
        9 * before * after + after + 9 * after * after + after + 8 * after for before, after in OPENL3_BLOCKS
    )
    return ModelSpec(
        openl3_name(representation, content, size),
        "openl3",
        "AudioSet, " + ("music" if content == "music" else "environmental sound"),
        (),
        parameters - 4 * 512,  # no norm behind the last
        64,
        size,
        frames=100,
        bands=OPENL3.width,
        front_end=OPENL3,
        step=100,
        licence="MIT (code), CC BY 4.0 (weights), Cramer, Wu, Salamon, Bello",
        origin="https://github.com/marl/openl3/tree/models",
    )


OPENL3_SPECS: dict[str, ModelSpec] = {
    spec.name: spec
    for content in ("music", "env")
    for representation in ("linear", "mel128", "mel256")
    for spec in (_openl3(representation, content, size) for size in (6144, 512))
}
"""Their weights are the user's to import: 19 MB each."""
PUBLISHED: dict[str, ModelSpec] = {**SPECS, VGGISH_SPEC.name: VGGISH_SPEC, **OPENL3_SPECS}
"""musicnn's models, and others that are known by name."""
