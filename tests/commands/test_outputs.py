"""Where `streamtag live` sends, by its options, and what it says of that."""

from __future__ import annotations

import pytest

from streamtag.commands.outputs import outputs
from streamtag.errors import OptionError


def test_whoever_opens_the_page_to_a_network_is_told_who_sees_it(capsys: pytest.CaptureFixture[str]) -> None:
    [[web]] = outputs([], 30, "0.0.0.0:8765", [])
    assert web.name == "web"
    told = " ".join(capsys.readouterr().err.split())
    assert "page: http://127.0.0.1:8765/ (overlay: http://127.0.0.1:8765/?overlay=1)" in told
    assert "note: whoever is in the network sees what is heard, at http://" in told


def test_a_page_for_this_machine_only_needs_no_note(capsys: pytest.CaptureFixture[str]) -> None:
    outputs([], 30, "8765", [])
    assert "note" not in capsys.readouterr().err


def test_leave_for_pages_without_a_page_is_a_mistake() -> None:
    with pytest.raises(OptionError, match="add --web PORT"):
        outputs([], 30, None, ["https://hydra.ojack.xyz"])
