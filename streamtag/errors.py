"""Everything that streamtag raises on purpose, as one tree.

StreamtagError
├── OptionError            a value that was asked for cannot be used (also a ValueError)
│   └── MissingExtraError  what was asked for needs a package that is not installed
├── ModelError
│   ├── UnknownModelError  no model of that name (also a ValueError)
│   ├── WeightsMissingError  the architecture is known, its weights are not installed
│   ├── WeightsDamagedError  a weights file that does not read, or does not fit
│   └── CheckpointError    a published checkpoint that cannot be imported
├── HeadError              a head that cannot be read, does not fit, or cannot be learned from what was given
├── DataError              labelled files, tables or predictions that cannot be read or used
├── TrainingError          a network that cannot be trained on what was given, or whose training cannot go on
├── CalibrationError       a calibration that cannot be read or written, or does not fit
├── AudioFileError         a file that cannot be read as sound
│   └── TooShortError      shorter than one patch, and asked not to repeat it
├── DeviceError            no device, no sound system, or a device that failed
├── SinkError              an output that cannot be opened or written
└── FeedError              push after the end, or samples in a shape or rate that does not fit

The message of each says what was wrong, with what, and what to do about it.
"""

from __future__ import annotations

from pathlib import Path


class StreamtagError(Exception):
    """Base of all errors that streamtag raises on purpose."""


class OptionError(StreamtagError, ValueError):
    """A value that was asked for cannot be used."""


class MissingExtraError(OptionError):
    """What was asked for needs an optional part that is not installed.

    Parameters
    ----------
    what : str
        What was asked for.
    extra : str
        The extra that brings it: ``pip install 'streamtag[extra]'``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs a part that is not installed; get it with: pip install 'streamtag[{extra}]'")
        self.extra = extra


class ModelError(StreamtagError):
    """Something is wrong with a model or its weights."""


class UnknownModelError(ModelError, ValueError):
    """No model of that name."""


class WeightsMissingError(ModelError):
    """The architecture is known, but its weights are not installed."""


class WeightsDamagedError(ModelError):
    """A weights file that does not read, or does not fit its architecture."""


class CheckpointError(ModelError):
    """A published checkpoint that cannot be imported."""


class HeadError(StreamtagError):
    """A head (your own tags) that cannot be read, does not fit the model, or cannot be learned from what was given."""


class DataError(StreamtagError):
    """Labelled files, a table, a store of features or predictions that cannot be read, or do not fit each other."""


class TrainingError(StreamtagError):
    """A network that cannot be trained on what was given, or whose training cannot go on."""


class CalibrationError(StreamtagError):
    """A calibration that cannot be read or written, does not fit the model, or cannot be made from what was given."""


class AudioFileError(StreamtagError):
    """A file that cannot be read as sound.

    Parameters
    ----------
    path : str or Path
        The file.
    reason : str
        What is wrong with it, without the file's name.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason


class TooShortError(AudioFileError):
    """A file shorter than one patch, where repeating it was not wanted."""


class DeviceError(StreamtagError):
    """No device, no sound system, or a device that failed."""


class SinkError(StreamtagError):
    """An output that cannot be opened or written."""


class FeedError(StreamtagError, ValueError):
    """Samples that cannot be taken: after the end, or of a shape that does not fit."""
