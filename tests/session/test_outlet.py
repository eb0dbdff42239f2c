"""All sinks are told, whatever one of them does; what they do wrong is counted and kept."""

from __future__ import annotations

import pytest

from streamtag.errors import SinkError
from streamtag.results import TagFrame
from streamtag.session.outlet import Outlet
from streamtag.sinks.background import Background
from streamtag.sinks.base import SessionInfo
from streamtag.sinks.notices import Notices
from streamtag.sinks.throttled import Throttled
from tests.support.sessions import Recorder, make_session
from tests.support.values import INFO, make_frame
from tests.support.waiting import wait_until

STATS = make_session().stats
"""Of a session that is starting."""


class Troubled(Recorder):
    """Says what is wrong with it, and raises what it is given, one after the other."""

    trouble: str | None = None

    def __init__(self, name: str, *errors: BaseException | None) -> None:
        super().__init__(name)
        self._errors = list(errors)

    def frame(self, frame: TagFrame) -> None:
        super().frame(frame)
        error = self._errors.pop(0) if self._errors else None
        if error is not None:
            raise error


def test_all_are_told_in_order_whatever_one_of_them_does() -> None:
    one = Troubled("one", ValueError("first"), None, KeyError("third"))
    two = Recorder("two")
    outlet = Outlet([one, two])
    outlet.open(INFO)
    frames = [make_frame(index=index) for index in range(4)]
    for frame in frames:
        outlet.frame(frame)
    assert one.frames == two.frames == frames
    assert outlet.drops == {"one": 2, "two": 0}
    assert outlet.errors == {"one": "ValueError: first"}
    assert isinstance(outlet.first_error, ValueError)


def test_drops_that_a_sink_counts_itself_are_added() -> None:
    sink = Troubled("one", SinkError("no"))
    sink.drops = 7
    outlet = Outlet([sink])
    outlet.open(INFO)
    outlet.frame(make_frame())
    assert outlet.drops == {"one": 8}


def test_errors_of_a_sink_in_the_background_are_shown_while_it_runs() -> None:
    outlet = Outlet([Throttled(Background(Troubled("one", ValueError("first"))), 1000.0), Recorder("two")])
    outlet.open(INFO)
    outlet.frame(make_frame())
    wait_until(lambda: outlet.errors, "the error")
    assert outlet.errors == {"one": "ValueError: first"}
    assert outlet.drops == {"one": 1, "two": 0}
    outlet.close()
    assert isinstance(outlet.first_error, ValueError), "and it surfaces at the end"


def test_a_status_that_cannot_be_told_counts_too() -> None:
    bad, good = Recorder("bad", ["starting"]), Recorder("good")
    outlet = Outlet([bad, good])
    outlet.open(INFO)
    outlet.status(STATS)
    outlet.status(STATS)
    assert outlet.drops == {"bad": 2, "good": 0}
    assert len(good.states) == 2
    assert outlet.errors == {"bad": "SinkError: bad failed at starting"}


def test_the_first_error_is_kept_of_each_and_of_all() -> None:
    one, two = Troubled("one", None, SinkError("b"), SinkError("d")), Troubled("two", SinkError("a"), SinkError("c"))
    outlet = Outlet([one, two])
    outlet.open(INFO)
    for _ in range(3):
        outlet.frame(make_frame())
    assert outlet.errors == {"one": "SinkError: b", "two": "SinkError: a"}
    assert str(outlet.first_error) == "a"


def test_who_has_left_is_told_no_more_and_is_no_drop() -> None:
    gone, good = Troubled("gone", BrokenPipeError()), Recorder("good")
    outlet = Outlet([gone, good])
    outlet.open(INFO)
    for _ in range(3):
        outlet.frame(make_frame())
        outlet.status(STATS)
    assert (len(gone.frames), len(gone.states)) == (1, 0)
    assert (len(good.frames), len(good.states)) == (3, 3)
    assert outlet.drops == {"gone": 0, "good": 0}
    assert isinstance(outlet.first_error, BrokenPipeError)
    outlet.close()
    assert gone.log[-1] == "gone closed"


def test_when_the_last_has_left_it_says_so() -> None:
    outlet = Outlet([Troubled("one", None, BrokenPipeError()), Troubled("two", BrokenPipeError())])
    outlet.open(INFO)
    outlet.frame(make_frame())
    with pytest.raises(BrokenPipeError):
        outlet.frame(make_frame())
    outlet.frame(make_frame())  # nobody is there


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_mistake_of_the_sinks_passes(error: type[BaseException]) -> None:
    outlet = Outlet([Troubled("one", error())])
    outlet.open(INFO)
    with pytest.raises(error):
        outlet.frame(make_frame())


def test_no_sink_at_all_is_fine() -> None:
    outlet = Outlet([])
    outlet.open(INFO)
    outlet.frame(make_frame())
    outlet.status(STATS)
    outlet.close()
    assert (outlet.drops, outlet.errors, outlet.trouble, outlet.first_error) == ({}, {}, {}, None)


def test_opening_ends_at_the_first_that_cannot_be_and_closing_closes_those_before() -> None:
    log: list[str] = []
    outlet = Outlet([Recorder("one", log=log), Recorder("two", ["open"], log), Recorder("three", log=log)])
    with pytest.raises(SinkError, match="two failed at open"):
        outlet.open(INFO)
    outlet.close()
    outlet.close()
    assert log == ["one opened", "one closed"]


def test_all_are_closed_whatever_one_of_them_does() -> None:
    log: list[str] = []
    outlet = Outlet([Recorder("one", ["close"], log), Recorder("two", log=log)])
    outlet.open(INFO)
    outlet.close()
    assert log[2:] == ["one closed", "two closed"]
    assert outlet.errors == {"one": "SinkError: one failed at close"}
    assert str(outlet.first_error) == "one failed at close"


def test_trouble_is_in_the_words_of_those_that_have_it() -> None:
    one, two, three = Troubled("one"), Troubled("two"), Recorder("three")
    outlet = Outlet([one, two, three])
    assert outlet.trouble == {}
    two.trouble = "nobody listens at 10.0.0.9:9000"
    assert outlet.trouble == {"two": "nobody listens at 10.0.0.9:9000"}
    two.trouble = None
    assert outlet.trouble == {}


class Equal(Troubled):
    """Equal to any other, as dataclasses are, and therefore not hashable."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    __hash__ = None  # type: ignore[assignment]


def test_sinks_of_one_name_are_told_apart() -> None:
    sinks = [Equal("osc", ValueError("first")), Equal("osc", None, KeyError("second")), Equal("osc")]
    outlet = Outlet(sinks)
    outlet.open(INFO)
    for _ in range(2):
        outlet.frame(make_frame())
    sinks[2].drops, sinks[2].trouble = 7, "nobody listens there"
    assert outlet.drops == {"osc": 1, "osc (2)": 1, "osc (3)": 7}
    assert outlet.errors == {"osc": "ValueError: first", "osc (2)": "KeyError: 'second'"}
    assert outlet.trouble == {"osc (2)": "fails: KeyError: 'second'", "osc (3)": "nobody listens there"}


def test_of_equal_sinks_the_one_that_was_left_is_left_out() -> None:
    one, two = Equal("pipe"), Equal("pipe", BrokenPipeError())
    outlet = Outlet([one, two])
    outlet.open(INFO)
    for _ in range(3):
        outlet.frame(make_frame())
    assert (len(one.frames), len(two.frames)) == (3, 1)
    assert outlet.trouble == {"pipe (2)": "its reader has left"}


def test_a_sink_that_raises_is_in_trouble_until_it_does_not() -> None:
    outlet = Outlet([Troubled("one", ValueError("first"), ValueError("again"), None)])
    outlet.open(INFO)
    said = []
    for _ in range(3):
        outlet.frame(make_frame())
        outlet.status(STATS)
        said.append(outlet.trouble)
    assert said == [{"one": "fails: ValueError: first"}, {"one": "fails: ValueError: again"}, {}]
    assert outlet.errors == {"one": "ValueError: first"}


def test_a_session_does_not_go_on_for_notes_alone() -> None:
    gone, notes = Troubled("json", BrokenPipeError()), Notices(print)
    outlet = Outlet([gone, Background(notes)])
    outlet.open(INFO)
    with pytest.raises(BrokenPipeError):
        outlet.frame(make_frame())
    outlet.close()


class Mute(Recorder):
    """Raises whatever it is asked of itself."""

    def __getattribute__(self, name: str) -> object:
        if name in ("drops", "trouble", "first_error", "keeps_running") and "opened" in self.__dict__:
            raise RuntimeError(f"no {name}")
        return super().__getattribute__(name)

    def open(self, info: SessionInfo) -> None:
        super().open(info)
        self.opened = True


def test_what_a_sink_raises_when_it_is_asked_of_itself_is_an_error_of_that_sink() -> None:
    mute, other = Mute("mute"), Recorder("other")
    outlet = Outlet([mute, other])
    outlet.open(INFO)
    outlet.frame(make_frame())
    assert outlet.drops == {"mute": 0, "other": 0}
    assert outlet.trouble == {}
    assert outlet.errors == {"mute": "RuntimeError: no drops"}
    assert len(mute.frames) == len(other.frames) == 1
