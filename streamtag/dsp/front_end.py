"""What a network hears: samples to frames, as a value.

Published networks differ here before they differ anywhere else, and one that is given other frames than it learned from
says other things, and says them with confidence. So a front-end is described whole, in the units of those who publish
one: samples of its own rate, Hz and bands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from streamtag.dsp.params import MAX_HOP_SECONDS, MAX_SAMPLERATE, MIN_SAMPLERATE, is_number, is_whole
from streamtag.errors import OptionError

Kind = Literal["mel", "spectrum", "samples"]
Taper = Literal["hann", "hann-symmetric", "hamming", "hamming-symmetric", "rectangular"]
Magnitude = Literal["power", "magnitude"]
MelScale = Literal["slaney", "htk"]
Slopes = Literal["hz", "mel"]
Norm = Literal["area", "none"]
Log = Literal["log10", "ln", "db", "none"]
Padding = Literal["none", "reflect", "zeros"]
Tail = Literal["drop", "silence"]

MOST_SAMPLES = 2**20
"""Of a frame, of an FFT, and of what is put before the first sample: 22 s at 48 kHz."""
MOST_BANDS = 4096


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """How samples become the frames that a network hears. The defaults are musicnn's.

    Each frame is ``(factor * log(max(multiply * x + offset, floor)) - mean) / std`` of its bands x, where factor is 10
    for decibels and 1 otherwise; of kind `samples` it is `hop` samples as they are, less `mean`, over `std`.

    Attributes
    ----------
    kind : {'mel', 'spectrum', 'samples'}
        Mel bands, the bins of the FFT, or plain samples.
    rate : int
        Hz at which the network hears; other inputs are resampled.
    window : int
        Samples of a frame.
    hop : int
        Samples from one frame to the next; of kind `samples`, also those of a frame.
    fft : int
        Samples of the transform; where it is longer than the window, zeros follow.
    taper : {'hann', 'hann-symmetric', 'hamming', 'hamming-symmetric', 'rectangular'}
        Shape of the window; periodic, where it does not say symmetric.
    spectrum : {'power', 'magnitude'}
        What of the transform is summed up.
    bands : int
        Mel bands.
    scale : {'slaney', 'htk'}
        Mel of a frequency: Slaney's (linear below 1 kHz), or ``2595 log10(1 + f / 700)``.
    slopes : {'hz', 'mel'}
        On which axis the filters are triangles.
    norm : {'area', 'none'}
        area: each filter over its width, so that its area in Hz is 1 (Slaney); none: its peak is 1.
    low, high : float
        Hz, where the first filter begins and the last ends.
    log : {'log10', 'ln', 'db', 'none'}
        db: ``10 log10``, whatever is summed up.
    multiply, offset, floor : float
        See above.
    mean, std : float
        See above.
    padding : {'none', 'reflect', 'zeros'}
        What published code puts at both ends of a file, half an FFT of it, so that frame k is centred at ``k * hop``.
        A live stream has no end, and gets none.
    lead : int
        Samples of silence that published code puts before the first, of a file and of a stream.
    tail : {'drop', 'silence'}
        What becomes of an end that fills no frame, or no patch: left out, or completed with silence.

    Raises
    ------
    OptionError
        A value that cannot be used; the message names it.
    """

    kind: Kind = "mel"
    rate: int = 16_000
    window: int = 512
    hop: int = 256
    fft: int = 512
    taper: Taper = "hann"
    spectrum: Magnitude = "power"
    bands: int = 96
    scale: MelScale = "slaney"
    slopes: Slopes = "hz"
    norm: Norm = "area"
    low: float = 0.0
    high: float = 8000.0
    log: Log = "log10"
    multiply: float = 10_000.0
    offset: float = 1.0
    floor: float = 0.0
    mean: float = 0.0
    std: float = 1.0
    padding: Padding = "reflect"
    lead: int = 0
    tail: Tail = "drop"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise OptionError(f"{name} = {getattr(self, name)!r}: expected {', '.join(choices)}")
        for name, (least, most) in WHOLE.items():
            value = getattr(self, name)
            if not (is_whole(value) and not isinstance(value, bool) and least <= value <= most):
                raise OptionError(f"{name} = {value!r}: expected a whole number from {least} to {most}")
        for name in NUMBERS:
            value = getattr(self, name)
            if not is_number(value) or isinstance(value, bool):
                raise OptionError(f"{name} = {value!r}: expected a number")
            object.__setattr__(self, name, float(value))
        if self.std <= 0:
            raise OptionError(f"std = {self.std:g}: expected more than 0")
        if self.kind == "samples":
            if self.padding != "none":
                raise OptionError(f"padding = {self.padding!r}: plain samples have none; see lead")
            return
        if self.fft < self.window:
            raise OptionError(f"fft = {self.fft}: expected at least the window, {self.window} samples")
        if self.hop > self.window:
            raise OptionError(f"hop = {self.hop}: expected at most the window, {self.window} samples")
        if self.kind == "mel" and not 0 <= self.low < self.high <= self.rate / 2:
            raise OptionError(
                f"low = {self.low:g}, high = {self.high:g}: expected 0 <= low < high <= {self.rate / 2:g} Hz, half the "
                "rate"
            )
        if self.padding != "none" and self.lead:
            raise OptionError(f"lead = {self.lead}: where a file is padded, nothing leads")
        if self.log != "none" and self.multiply < 0:
            raise OptionError(f"multiply = {self.multiply:g}: expected 0 or more, or there is no logarithm")
        if self.log != "none" and max(self.offset, self.floor) <= 0:
            raise OptionError(
                f"offset = {self.offset:g}, floor = {self.floor:g}: one of them must be above 0, or silence has no "
                "logarithm"
            )

    @property
    def width(self) -> int:
        """Values of a frame."""
        return {"mel": self.bands, "spectrum": self.fft // 2 + 1, "samples": self.hop}[self.kind]

    @property
    def span(self) -> int:
        """Samples that a frame hears."""
        return self.hop if self.kind == "samples" else self.window

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop / self.rate

    @property
    def silence(self) -> float:
        """Each value of a frame of silence."""
        if self.kind == "samples":
            return (0.0 - self.mean) / self.std
        lowest = max(self.offset, self.floor)
        factor, log = {"log10": (1.0, math.log10), "ln": (1.0, math.log), "db": (10.0, math.log10)}.get(
            self.log, (1.0, float)
        )
        return (factor * log(lowest) - self.mean) / self.std

    @property
    def counts_centred(self) -> bool:
        """Whether seconds are counted in frames as librosa does of centred ones, and so musicnn."""
        return self.padding == "reflect"

    def frames_in(self, seconds: float) -> int:
        """Frames of a patch that is `seconds` long.

        Of centred frames as musicnn counts them, by librosa 0.7's ``time_to_frames(seconds, n_fft=512) + 1``:
        ``floor((int(seconds * rate) - fft / 2) / hop) + 1``, so that its 3 seconds are 187 frames. Of others the
        nearest whole number.

        Raises
        ------
        OptionError
            Shorter than one frame, or no number.
        """
        frames = self.frames_between(seconds) + self.counts_centred
        if frames < 1:
            raise OptionError(f"a patch of {seconds:g} s is shorter than one frame ({self.frame_seconds:.3g} s)")
        return frames

    def frames_between(self, seconds: float) -> int:
        """Frames between two patches whose starts are `seconds` apart, of centred frames as musicnn counts them.

        Raises
        ------
        OptionError
            Not a number, or infinite.
        """
        if not is_number(seconds):
            raise OptionError(f"{seconds!r} s: expected a number of seconds")
        if self.counts_centred:
            return (int(seconds * self.rate) - self.fft // 2) // self.hop
        return round(seconds / self.frame_seconds)

    def hop_frames(self, seconds: float) -> int:
        """Seconds to the nearest whole number of frames.

        Raises
        ------
        OptionError
            Shorter than a frame, or longer than an hour.
        """
        if not is_number(seconds):
            raise OptionError(f"a hop of {seconds!r} s: expected a number of seconds")
        if seconds > MAX_HOP_SECONDS:
            raise OptionError(f"a hop of {seconds:g} s: expected at most {MAX_HOP_SECONDS:g} s")
        frames = round(seconds / self.frame_seconds)
        if frames < 1:
            raise OptionError(f"a hop of {seconds:g} s: expected at least one frame ({self.frame_seconds:g} s)")
        return frames


CHOICES: dict[str, tuple[str, ...]] = {
    "kind": get_args(Kind),
    "taper": get_args(Taper),
    "spectrum": get_args(Magnitude),
    "scale": get_args(MelScale),
    "slopes": get_args(Slopes),
    "norm": get_args(Norm),
    "log": get_args(Log),
    "padding": get_args(Padding),
    "tail": get_args(Tail),
}
WHOLE: dict[str, tuple[int, int]] = {
    "rate": (MIN_SAMPLERATE, MAX_SAMPLERATE),
    "window": (1, MOST_SAMPLES),
    "hop": (1, MOST_SAMPLES),
    "fft": (1, MOST_SAMPLES),
    "bands": (1, MOST_BANDS),
    "lead": (0, MOST_SAMPLES),
}
NUMBERS = ("low", "high", "multiply", "offset", "floor", "mean", "std")


def plain_samples(rate: int, frame: int, *, lead: int = 0, tail: Tail = "drop") -> FrontEnd:
    """Plain samples, `frame` of them a frame."""
    return FrontEnd("samples", rate, window=frame, hop=frame, fft=frame, padding="none", lead=lead, tail=tail)


MUSICNN = FrontEnd()
"""Pons & Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging" (2019); its extractor's
call of librosa 0.7.2."""

MEL_POWER = replace(MUSICNN, log="none", multiply=1.0, offset=0.0)
"""musicnn's before the logarithm, as musicnn-training stores it."""
