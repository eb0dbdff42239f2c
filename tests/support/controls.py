"""What a session lets others change, as far as a test of who asks for it needs it."""

from __future__ import annotations

from streamtag.dsp.front_end import MUSICNN
from streamtag.errors import OptionError
from streamtag.tagging import calibration
from streamtag.tagging.smoothing import Rolling


class Recorder:
    """Notes what is asked, and refuses what a session refuses."""

    def __init__(self) -> None:
        self.calls: list[tuple[str | float, ...]] = []

    def pause(self) -> None:
        self.calls.append(("pause",))

    def resume(self) -> None:
        self.calls.append(("resume",))

    def reset(self) -> None:
        self.calls.append(("reset",))

    def set_hop(self, seconds: float) -> None:
        assert isinstance(seconds, float)
        MUSICNN.hop_frames(seconds)
        self.calls.append(("hop", round(seconds, 6)))

    def set_top(self, count: int) -> None:
        assert isinstance(count, int)
        Rolling(["rock"], top=count)
        self.calls.append(("top", count))

    def set_threshold(self, threshold: float | str) -> None:
        if (level := calibration.place(threshold)) is not None:
            self.calls.append(("threshold", f"{level:g} of its scale"))
            return
        assert isinstance(threshold, float)
        Rolling(["rock"], threshold=threshold)
        self.calls.append(("threshold", round(threshold, 6)))

    def set_head_threshold(self, score: float) -> None:
        assert isinstance(score, float)
        Rolling(["drop"], threshold=score)
        self.calls.append(("head threshold", round(score, 6)))

    def correct(self, label: str, seconds: float = 3.0) -> None:
        assert isinstance(label, str)
        assert isinstance(seconds, float)
        if label != "drop":
            raise OptionError(f"no class {label[:40]!r} (cues: drop)")
        self.calls.append(("correct", label, round(seconds, 6)))
