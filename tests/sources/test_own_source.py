"""The example of a source of one's own, as it is shipped."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import streamtag

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_source.py"


@pytest.mark.slow
def test_the_example_is_heard_to_its_end() -> None:
    glide = runpy.run_path(str(EXAMPLE))["Glide"]
    source: streamtag.Source = glide(seconds=2)
    with streamtag.Session(source, streamtag.Tagger("MTT_musicnn", hop=0.25, window=1)) as session:
        frames = list(session)
    assert source.finished
    assert len(frames) >= 4
    assert session.stats.samples_in == 2 * 44_100
    assert session.stats.samples_lost == 0
    assert np.all(np.isfinite(frames[-1].scores))
