"""The nine architectures of musicnn-training, by readable names and by its numbers."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from math import prod

from streamtag.dsp.params import N_MELS, PATCH_FRAMES
from streamtag.errors import OptionError
from streamtag.inference.networks.specs import VGG_POOLS, Family, ModelSpec


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture, and what its authors published of it.

    Attributes
    ----------
    number : int
        ``model_number`` of musicnn-training.
    name : str
        Name for people.
    family : str
        How it is built.
    filters, units : int
        Mid-end filters (or those of every layer), and the width of the layer before the tags.
    parameters : int
        Of the network for 50 tags and patches of 187 frames: those that are trained.
    roc_auc, pr_auc, cost : float
        As published for MagnaTagATune: on the test set, and the cost on the validation set (comments in ``models.py``).
    """

    number: int
    name: str
    family: Family
    filters: int
    units: int
    parameters: int
    roc_auc: float
    pr_auc: float
    cost: float

    def spec(
        self, labels: tuple[str, ...], name: str = "", frames: int = PATCH_FRAMES, bands: int = N_MELS
    ) -> ModelSpec:
        """A model of this architecture that is yet to be trained.

        Parameters
        ----------
        labels : tuple of str
            Its tags.
        name : str
            How it is called.
        frames, bands : int
            Of its patches.

        Returns
        -------
        ModelSpec
            `parameters` is 0: not counted yet.

        Raises
        ------
        OptionError
            Patches that are too short, or have too few bands.
        """
        units = self.units if self.family != "vgg" else self.filters * _after_pools(frames, bands)
        shortest, fewest = SMALLEST.get(self.family, (1, 8))
        if frames < shortest or bands < fewest or not units:
            raise OptionError(f"{self.name} needs patches of {shortest} frames and {fewest} bands at least")
        return ModelSpec(
            name=name,
            family=self.family,
            dataset="",
            labels=labels,
            parameters=0,
            filters=self.filters,
            embedding_size=units,
            frames=frames,
            bands=bands,
            residuals="convolution",
            trained=True,
        )


SMALLEST: dict[Family, tuple[int, int]] = {"dieleman": (56, 8), "timbre": (11, 8), "vgg": (94, 64)}
"""Frames and bands that leave something of a patch after all poolings."""

ARCHITECTURES: dict[str, Architecture] = {
    each.name: each
    for each in (
        Architecture(0, "dieleman", "dieleman", 32, 100, 66_784, 0.8861, 0.3413, 0.1390),
        Architecture(1, "vgg32", "vgg", 32, 64, 40_884, 0.8885, 0.3485, 0.1373),
        Architecture(2, "vgg128", "vgg", 128, 256, 605_748, 0.9026, 0.3819, 0.1343),
        Architecture(3, "timbre", "timbre", 32, 100, 185_856, 0.8928, 0.3538, 0.1368),
        Architecture(10, "residual", "residual", 64, 200, 508_803, 0.9061, 0.3833, 0.1304),
        Architecture(11, "musicnn", "musicnn", 64, 200, 787_159, 0.9069, 0.3844, 0.1304),
        Architecture(12, "attention", "attention", 64, 200, 2_406_940, 0.9077, 0.3861, 0.1304),
        Architecture(13, "autopool", "autopool", 64, 200, 636_701, 0.9067, 0.3853, 0.1297),
        Architecture(14, "lstm", "lstm", 64, 200, 3_871_363, 0.9021, 0.3717, 0.1341),
    )
}


def find_architecture(name: str) -> Architecture:
    """An architecture by its name or by musicnn-training's number.

    Raises
    ------
    OptionError
        No such one.
    """
    by_number = {str(each.number): each for each in ARCHITECTURES.values()}
    found = ARCHITECTURES.get(name) or by_number.get(name)
    if found is None:
        near = difflib.get_close_matches(name, ARCHITECTURES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        known = ", ".join(f"{each.name} ({each.number})" for each in ARCHITECTURES.values())
        raise OptionError(f"no architecture is called {name!r}.{hint} There are {known}.")
    return found


def _after_pools(frames: int, bands: int) -> int:
    """Values that vgg's poolings leave of a patch, for each filter."""
    sizes = [frames, bands]
    for size, stride in VGG_POOLS:
        sizes = [max(0, (length - of) // by + 1) for length, of, by in zip(sizes, size, stride, strict=True)]
    return prod(sizes)
