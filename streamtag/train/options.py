"""How a network is trained: musicnn-training's recipe unless told otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from streamtag.dsp.params import PATCH_FRAMES
from streamtag.errors import OptionError
from streamtag.inference.networks.architectures import find_architecture

Freeze = Literal["none", "front-end", "all-but-head"]
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The recipe of one run. What is None gets its value by `resolved`.

    Attributes
    ----------
    architecture : str
        Name or number in musicnn-training. With `base`, it is the base's.
    base : str or None
        The model at whose weights training starts, with a new output for the new tags.
    freeze : {'none', 'front-end', 'all-but-head'} or None
        Which layers keep the base's weights. None: 'front-end' with a base, else 'none'.
    epochs : int
        At most so many; the first only validates the network as it starts, as published.
    batch_size : int
        Patches that make a step.
    learning_rate : float or None
        Of the first epochs. None: 1e-3, or 3e-5 with a base.
    head_rate : float
        What the rate is multiplied by for the new output of a base.
    optimizer : {'adam', 'sgd', 'sgd-clip'}
        As published.
    weight_decay : float
        Of all kernels.
    patience : int
        See `Schedule`.
    stop_after : int or None
        Epochs without improvement after which the run ends; 0: never. None: 10 with a base, else never, as published.
    frames : int
        Of a patch.
    patches_per_track : int
        Of each epoch.
    balance : bool
        Whether tags that are rare count more.
    precision : {'float32', 'bfloat16', 'float16'}
        Of the computation; weights are float32.
    seed : int
        Of all that is random.
    """

    architecture: str = "musicnn"
    base: str | None = None
    freeze: Freeze | None = None
    epochs: int = 600
    batch_size: int = 32
    learning_rate: float | None = None
    head_rate: float = 1.0
    optimizer: str = "adam"
    weight_decay: float = 1e-5
    patience: int = 75
    stop_after: int | None = None
    frames: int = PATCH_FRAMES
    patches_per_track: int = 1
    balance: bool = False
    precision: Precision = "float32"
    seed: int = 0

    def resolved(self) -> TrainOptions:
        """These options with a value for each.

        Returns
        -------
        TrainOptions
            Checked.

        Raises
        ------
        OptionError
            A value that cannot be.
        """
        further = self.base is not None
        chosen = replace(
            self,
            architecture=find_architecture(self.architecture).name,
            freeze=self.freeze or ("front-end" if further else "none"),
            learning_rate=self.learning_rate if self.learning_rate is not None else (3e-5 if further else 1e-3),
            stop_after=self.stop_after if self.stop_after is not None else (10 if further else 0),
        )
        chosen._check()
        return chosen

    def _check(self) -> None:
        if self.freeze != "none" and self.base is None:
            raise OptionError(f"--freeze {self.freeze} keeps the weights of a model: name it with --from MODEL")
        counts = {
            "epochs": self.epochs,
            "batch size": self.batch_size,
            "frames": self.frames,
            "patches per track": self.patches_per_track,
        }
        for name, count in counts.items():
            if count < 1:
                raise OptionError(f"{name} {count}: expected at least 1")
        rates = {"learning rate": self.learning_rate or 0, "rate of the head": self.head_rate}
        for name, rate in rates.items():
            if not (math.isfinite(rate) and rate > 0):
                raise OptionError(f"{name} {rate:g}: expected a number above 0")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise OptionError(f"weight decay {self.weight_decay:g}: expected 0 or more")
        if self.patience < 0:
            raise OptionError(f"patience {self.patience}: expected 0 or more")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed}: expected 0 or more")
