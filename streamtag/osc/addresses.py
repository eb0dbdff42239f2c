"""The addresses of tags and of classes of heads: each label's own, fixed, and distinct."""

from __future__ import annotations

from collections.abc import Iterable

from streamtag._slugs import slugs
from streamtag.sinks.base import HeadInfo

ROOT = "/streamtag"


class Addresses:
    """Addresses of the model's tags (group "") and of the classes of heads (group: its name), each of its own.

    Parameters
    ----------
    labels : iterable of str
        The model's tags.
    heads : iterable of HeadInfo
        The heads.
    input : str
        What the input is called among several; empty where there is one.
    """

    def __init__(self, labels: Iterable[str] = (), heads: Iterable[HeadInfo] = (), input: str = "") -> None:
        self._root = f"{ROOT}/in/{input}" if input else ROOT
        groups = {"": labels, **{head.name: head.labels for head in heads}}
        self._slugs = {group: slugs(labels) for group, labels in groups.items()}
        made = {name: f"/{slug}" for name, slug in slugs(name for name in groups if name).items()}
        self._prefixes = {"": self._root} | {name: f"{self._root}/head{slug}" for name, slug in made.items()}
        self._active = {name: f"{self._root}/active{slug}" for name, slug in ({"": ""} | made).items()}

    def of(self, what: str) -> str:
        """That of anything else, such as ``frame``."""
        return f"{self._root}/{what}"

    def scores(self, group: str) -> list[str]:
        """Those of the scores of a group, in the order of its labels."""
        prefix = self._prefixes[group] if group else self.of("tag")
        return [f"{prefix}/{slug}" for slug in self._slugs[group].values()]

    def calibrated(self) -> list[str]:
        """Those of the model's tags on their own scales."""
        return [f"{self.of('cal')}/{slug}" for slug in self._slugs[""].values()]

    def best(self, group: str) -> str:
        """That of the best."""
        return self._prefixes[group] if group else self.of("top")

    def switch(self, group: str, label: str) -> str:
        """That of one switch."""
        return f"{self._prefixes[group]}/on/{self._slugs[group][label]}"

    def active(self, group: str) -> str:
        """That of the list of what is on."""
        return self._active[group]
