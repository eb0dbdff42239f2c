"""Corrections while it plays: what heads heard of late is kept, and a head that was wrong learns again beside.

Learning takes a second or more of a processor, and most of that time Python could do nothing else. So it is done by a
process of its own, at low priority (`streamtag.learn.corrections`, which nothing here imports); a thread waits for it,
and hands the head to the engine, which goes on with it between two results.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from streamtag._slugs import slugs
from streamtag._system.threads import start_whole
from streamtag.dsp.params import is_number
from streamtag.errors import OptionError, StreamtagError
from streamtag.heads.file import load_head, write_head
from streamtag.heads.head import PlainHead
from streamtag.results import TagFrame
from streamtag.tagging.tagger import Tagger

CORRECTED_SECONDS = 3.0
KEPT_SECONDS = 10.0
SPACING_SECONDS = 0.25
"""From one window that is kept to the next, at least: those between are nearly the same."""
LEARNER = "streamtag.learn.corrections"
NICENESS = 10
LEAVING_SECONDS = 10.0
LONGEST_TRIFLE = 40
"""Letters of what is told of something that was not understood."""


@dataclass(frozen=True, slots=True, eq=False)
class _Correction:
    head: str
    label: str
    rows: NDArray[np.float32]


class Corrections:
    """Keeps what heads heard, and has those learn again that are corrected.

    `hear` and `forget` are for the engine thread, all else for any.

    Parameters
    ----------
    tagger : Tagger
        Its heads are corrected.
    swap : callable
        Takes a head that has learned again; returns at once.
    save : mapping of {str: path}
        Where each head goes when it has, by name.

    Attributes
    ----------
    count : int
        Corrections that were learned.
    waiting : int
        Corrections that are still to be learned.
    warnings : dict of {str: str}
        What became of the last correction, if it is not as it should be, in words.
    """

    def __init__(
        self, tagger: Tagger, swap: Callable[[PlainHead], None], save: Mapping[str, str | Path] | None = None
    ) -> None:
        self.count = 0
        self.waiting = 0
        self.warnings: dict[str, str] = {}
        self.save = {name: Path(path) for name, path in (save or {}).items()}
        self._window = tagger.window
        self._swap = swap
        self._newest = {head.name: head for head in tagger.heads}  # with all corrections so far
        most = round(KEPT_SECONDS / SPACING_SECONDS) + 1
        self._kept: dict[str, deque[tuple[float, NDArray[np.float32]]]] = {
            head.name: deque(maxlen=most) for head in tagger.heads
        }
        self._now = 0.0
        self._lock = threading.Lock()  # of what was heard: held for a moment, since the engine waits for it
        self._life = threading.Lock()  # of the thread and the process
        self._queue: SimpleQueue[_Correction | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._closed = self._given_up = False
        if unknown := self.save.keys() - self._newest.keys():
            raise OptionError(f"no head is called {', '.join(sorted(unknown))}: there is nowhere to save it from")

    def hear(self, frame: TagFrame) -> None:
        """Keep what heads heard in a window, if the last that was kept is not as good as the same."""
        with self._lock:
            self._now = frame.time
            for head in frame.heads:
                kept = self._kept[head.name]
                if len(head.features) and (not kept or frame.time - kept[-1][0] >= SPACING_SECONDS):
                    kept.append((frame.time, head.features))

    def forget(self) -> None:
        """What was heard so far is no longer to be corrected."""
        with self._lock:
            for kept in self._kept.values():
                kept.clear()

    def correct(self, label: str, seconds: float = CORRECTED_SECONDS) -> None:
        """Have a head learn that a class was heard in the last seconds; see `Session.correct`.

        Raises
        ------
        OptionError
            No such class, no such time; nothing was heard in it; a head without examples.
        """
        if not (is_number(seconds) and 0 < seconds <= KEPT_SECONDS):
            raise OptionError(
                f"the last {seconds} s: expected more than 0 and at most {KEPT_SECONDS:g} seconds: no more is kept"
            )
        head, label = self._meant(label)
        if head.examples is None:
            raise OptionError(
                f"the head {head.name} was written without the examples that it needs to learn again: learn it again "
                "with `streamtag learn`"
            )
        rows = self._heard(head.name, seconds)
        with self._life:
            if self._closed:
                raise OptionError("the session has ended")
            self.waiting += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="streamtag-corrections", daemon=True)
                start_whole(self._thread)
            self._queue.put(_Correction(head.name, label, rows))

    def close(self) -> None:
        """Take no more corrections, and return when the thread has ended.

        What is to be saved is still learned, within 10 s; all else is given up.
        """
        with self._life:
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is None or thread is threading.current_thread():
            return
        if self.save:
            thread.join(LEAVING_SECONDS)
        with self._life:
            self._given_up = True
            if self._process is not None:
                self._process.kill()
        thread.join()

    # --- what is meant --------------------------------------------------------------------------------------------

    def _meant(self, text: str) -> tuple[PlainHead, str]:
        """The head and its class: by the class alone where one head has it, or by both."""
        heads = list(self._newest.values())
        if not heads:
            raise OptionError("there is no head to correct: give --head, or heads=")
        if not isinstance(text, str):
            raise OptionError(f"the class {text!r}: expected its name")
        found = [(head, label) for head in heads if (label := _class(head, text))]
        found = (
            found
            or [
                (head, label)
                for head, slug in zip(heads, slugs([head.name for head in heads]).values(), strict=True)
                for name in dict.fromkeys((head.name, slug))
                if text.startswith(f"{name}/") and (label := _class(head, text.removeprefix(f"{name}/")))
            ][:1]
        )
        if len(found) > 1:
            both = " and ".join(head.name for head, _ in found)
            raise OptionError(f"{both} have a class {found[0][1]}: say which, for example {found[0][0].name}/{text}")
        if not found:
            have = "; ".join(f"{head.name}: {', '.join(head.labels)}" for head in heads)
            raise OptionError(f"no class {text[:LONGEST_TRIFLE]!r} ({have})")
        return found[0]

    def _heard(self, name: str, seconds: float) -> NDArray[np.float32]:
        """Features of the windows that lie in the last seconds by half at least; and of the newest."""
        with self._lock:
            kept, now = tuple(self._kept[name]), self._now
        if not kept or kept[-1][0] <= now - seconds:
            raise OptionError(f"nothing was heard in the last {seconds:g} s")
        since = now - seconds + self._window / 2
        return np.stack([features for time, features in kept if time >= since] or [kept[-1][1]])

    # --- learning -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (correction := self._queue.get()) is not None and not self._given_up:
            if self._closed and correction.head not in self.save:
                continue
            try:
                self._learn(correction)
            except Exception as error:  # whatever it is, what plays goes on
                if not self._given_up:
                    self.warnings = {"correction": f"a correction was not learned: {error}"}
            with self._life:
                self.waiting -= 1

    def _learn(self, correction: _Correction) -> None:
        old = self._newest[correction.head]
        assert old.examples is not None
        targets = _targets(old, correction)
        examples = old.examples.corrected(correction.rows, targets)
        with tempfile.TemporaryDirectory(prefix="streamtag-") as folder:
            before, after = Path(folder) / "before.head", Path(folder) / "after.head"
            write_head(before, replace(old, examples=examples))
            self._call(before, after)
            head = load_head(after)
        self._newest[head.name] = head
        self._swap(head)
        self.count += 1
        told = head.facts.get("corrections", {})
        windows, heard = told.get("windows", 0), told.get("heard", 0)
        self.warnings = {}
        if heard < windows:
            self.warnings = {
                "correction": f"the head {head.name} still takes {windows - heard} of {windows} corrected windows for "
                "something else: are they like each other, and their classes not?"
            }
        if head.name in self.save:
            write_head(self.save[head.name], head)

    def _call(self, before: Path, after: Path) -> None:
        """Have another process learn a head again."""
        command = [sys.executable or "python3", "-P", "-m", LEARNER, str(before), str(after)]
        with self._life:
            if self._given_up:
                raise StreamtagError("the session has ended")
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                # what plays comes first; and Ctrl-C is for the session, which then ends this
                creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
                start_new_session=True,
            )
        if hasattr(os, "setpriority"):
            with suppress(OSError):  # it may have ended
                os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
        _, said = self._process.communicate()
        if self._process.returncode:
            lines = said.strip().splitlines() or [f"the process that learns ended with {self._process.returncode}"]
            raise StreamtagError(lines[-1])


def _class(head: PlainHead, text: str) -> str | None:
    """A class by its name, or as it stands in OSC addresses."""
    if text in head.labels:
        return text
    return next((label for label, slug in slugs(head.labels).items() if slug == text), None)


def _targets(head: PlainHead, correction: _Correction) -> NDArray[np.bool_]:
    """What is true of corrected windows; where several classes may be, of the others what the head itself says."""
    corrected = np.array([label == correction.label for label in head.labels])
    if head.decision.exclusive:
        return np.tile(corrected, (len(correction.rows), 1))
    said: Sequence[bool] | NDArray[np.bool_] = head.decision.probabilities(correction.rows) >= 0.5
    return np.asarray(said | corrected)
