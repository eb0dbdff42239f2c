"""Which worker takes which tests, where some are nice: `pytest --dist load --tx 3*popen --tx 2*popen//nice=10`.

Most of what plays live waits for the clock, and fails where no processor is free when it wakes up; training and
compiling take all processors there are. So the first has workers of its own, and the others give way to them.
"""

from __future__ import annotations

from typing import Any

from execnet.xspec import XSpec
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController, parse_tx_spec_config

LIVE: tuple[str, ...] = ("faults", "sources", "commands", "_system", "web", "bridges", "discovery", "sinks", "session")
LIVE += ("osc", "rules", "realtime", "test_engine", "test_ensemble")
LONG = ("train", "inference", "library")
"""The first parts of paths below tests/; what takes longest comes first, so that nobody waits for it at the end."""


class LiveApart(LoadScopeScheduling):  # type: ignore[misc] # without types
    """Files of tests that play live go to workers that are not nice alone; the other files to any, nice ones first."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::", 1)[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        def rank(file: str) -> tuple[bool, int]:
            order = LIVE if _is_live(file) else LONG
            place = order.index(_part(file)) if _part(file) in order else len(order)
            return _is_live(file) == _is_nice(node.gateway.spec), place

        self.workqueue.move_to_end(min(self.workqueue, key=rank), last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if not _is_nice(node.gateway.spec) or not all(map(_is_live, self.workqueue)):
            super()._reschedule(node)
        elif not node.shutting_down:
            node.shutdown()  # once it has done what it has


def make_scheduler(config: Any, log: Any) -> LiveApart | None:
    """Ours, where some workers are nice; else None, for xdist's own."""
    specs = map(XSpec, parse_tx_spec_config(config))
    return LiveApart(config, log) if any(map(_is_nice, specs)) else None


def _part(file: str) -> str:
    return file.removeprefix("tests/").split("/")[0].removesuffix(".py")


def _is_live(file: str) -> bool:
    return _part(file) in LIVE


def _is_nice(spec: Any) -> bool:
    return bool(spec.nice)
