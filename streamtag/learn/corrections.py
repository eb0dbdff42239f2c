"""A head learned again after a correction: ``python -m streamtag.learn.corrections OLD.head NEW.head``.

Live sessions run this as a process of its own (see `streamtag.session.corrections`): learning takes a second or more of
a processor, and in the session's process it would hold up what plays.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from streamtag.errors import HeadError, StreamtagError
from streamtag.heads.file import load_head, write_head
from streamtag.heads.head import PlainHead
from streamtag.learn.estimator import Head

REPEATS = (1, 2, 4, 8)
"""How many times a corrected window counts: the fewest that make the head say so, for the others' sake."""


def relearned(path: Path) -> PlainHead:
    """Learn a head again from its examples, the corrections among them.

    Parameters
    ----------
    path : Path
        The head's file.

    Returns
    -------
    PlainHead
        The same with another decision; `facts` tell under `corrections` how many `windows` were corrected, and how many
        of them are now `heard` as they should be.

    Raises
    ------
    HeadError
        Not a head, or one without examples.
    """
    plain = load_head(path)
    examples = plain.examples
    if examples is None:
        raise HeadError(f"{path}: a head without examples: learn it again, and it can be corrected")
    head = Head.load(path)
    corrected = examples.are_corrections
    rows, truth = examples.rows[corrected], examples.targets[corrected]
    best, most = plain, -1
    for repeats in REPEATS:
        decision = head.relearn(examples, repeats).decision_
        chances = decision.probabilities(rows)
        said = chances == chances.max(axis=1, keepdims=True) if decision.exclusive else chances >= 0.5
        heard = int(np.equal(said, truth).all(axis=1).sum())
        if heard > most:
            told = {"windows": len(rows), "heard": heard, "repeats": repeats}
            most, best = heard, replace(plain, decision=decision, facts={**plain.facts, "corrections": told})
        if heard == len(rows):
            break
    return best


def main(arguments: list[str]) -> int:
    """Read a head, learn it again, and write it; returns the exit status."""
    old, new = map(Path, arguments)
    try:
        write_head(new, relearned(old))
    except StreamtagError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
