"""What a session counts: hops, latency, and the share of real time that the engine works."""

from __future__ import annotations

from streamtag.session.percentiles import Percentiles

STEP_WEIGHT = 0.1
"""Of the newest hop's cost in the average."""


class Meter:
    """Counters of the engine thread; they may be read from any other.

    Attributes
    ----------
    hops : int
        Windows predicted.
    skipped : int
        Windows given up because the engine was behind.
    paused : int
        Windows not predicted because the session was paused.
    latency, added : Percentiles
        Milliseconds from capture, and from arrival, to the tags being sent.
    load : float
        Share of real time between the last two reports that was spent working, 0 to 1 and above.
    step_cost : float
        Seconds that a hop costs, averaged.
    """

    def __init__(self) -> None:
        self.hops = 0
        self.skipped = 0
        self.paused = 0
        self.latency, self.added = Percentiles(), Percentiles()
        self.load = 0.0
        self.step_cost = 0.0
        self._busy = 0.0
        self._reported = 0.0  # when, in seconds of `time.monotonic()`
        self._busy_at_report = 0.0

    def worked(self, seconds: float, *, predicted: bool) -> None:
        """Count a turn of the engine that had something to do."""
        self._busy += seconds
        if predicted:
            self.step_cost += STEP_WEIGHT * (seconds - self.step_cost)

    def sent(self, captured: float, arrived: float, now: float) -> None:
        """Count a frame's latency; all three in seconds of `time.monotonic()`."""
        self.latency.add(1e3 * (now - captured))
        self.added.add(1e3 * (now - arrived))

    def since_report(self, now: float) -> float:
        """Seconds since the last report."""
        return now - self._reported

    def report(self, now: float) -> None:
        """Begin a new span for the load."""
        if self._reported and now > self._reported:
            self.load = (self._busy - self._busy_at_report) / (now - self._reported)
        self._reported, self._busy_at_report = now, self._busy
