"""The view of several inputs: a row each, what is wrong below, and what of it where there is little room."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from streamtag.results import State
from streamtag.sinks.inputs import InputsView
from tests.support.values import INFO, make_frame, make_head, make_stats

NAMES = ["stage", "deck-2", "radio"]


def view_of(height: int = 20, width: int = 100) -> tuple[InputsView, io.StringIO]:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, height=height, color_system=None)
    view = InputsView(console, NAMES)
    for row, name in zip(view.rows, NAMES, strict=True):
        row.open(replace(INFO, input=name))
    return view, screen


def rows(view: InputsView, width: int = 100, height: int = 20) -> list[str]:
    return [text.plain for text in view._fitting(width, height)]


def test_each_input_has_a_row_from_the_start() -> None:
    view, _ = view_of()
    shown = rows(view)
    assert [row.split()[0] for row in shown] == NAMES
    assert all("starting" in row and "silence" in row for row in shown)


def test_a_row_says_state_level_tags_own_tags_and_losses() -> None:
    view, _ = view_of()
    view.rows[1].frame(make_frame(heads=(make_head(),)))
    view.rows[1].status(make_stats(hops_skipped=7, samples_lost=9))
    row = rows(view, width=140)[1]
    for part in ("deck-2", "running", "-18.2 dBFS", "rock 0.43", "| calm", "skipped 7, lost 9"):
        assert part in row, row
    assert "skipped 7, lost 9" in rows(view, width=60)[1]  # that is never what is cut off
    assert "rock" not in rows(view)[0]


def test_what_is_wrong_stands_below_with_the_name_of_the_input() -> None:
    view, _ = view_of()
    view.rows[2].status(make_stats(state=State.RECOVERING, trouble="nobody listens there"))
    shown = rows(view)
    assert "recovering" in shown[2]
    assert shown[3].startswith("radio: ")
    assert "nobody listens there" in shown[3]


@pytest.mark.parametrize("width", [1, 10, 40])
def test_nothing_is_wider_than_the_window(width: int) -> None:
    view, _ = view_of()
    view.rows[0].frame(make_frame())
    assert all(len(row) <= width for row in rows(view, width)[:3])


def test_where_the_window_is_too_low_it_says_how_many_are_left_out() -> None:
    view, _ = view_of()
    assert rows(view, height=2)[1] == "and 2 more inputs: the window is too low"
    assert len(rows(view, height=1)) == 1


def test_the_last_picture_stands_when_all_have_ended_and_not_before() -> None:
    view, screen = view_of()
    for row in view.rows[:2]:
        row.close()
    assert "stage" not in screen.getvalue()
    view.rows[2].close()
    assert "radio" in screen.getvalue()
