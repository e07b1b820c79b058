"""Waiting: the one clock, and the one way to wait for something. The clock here is the test's own, so nothing waits."""

from collections.abc import Callable

import pytest

from labkit import timing
from labkit.errors import Unsettled
from labkit.timing import SECOND, wait_until


class Clock:
    """A monotonic clock that moves when somebody sleeps, and remembers for how long they did."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000_000
        self.sleeps_s: list[float] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.sleeps_s.append(seconds)
        self.now_ns += round(seconds * SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Takes the place of the module `time` in labkit.timing, and nowhere else."""
    fake = Clock()
    monkeypatch.setattr(timing, "time", fake)
    return fake


def states(*seen: str) -> Callable[[], str]:
    """Something to look at: each state once, and the last one for ever."""
    left = list(seen)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_a_state_that_is_right_is_returned_at_once(clock: Clock) -> None:
    """What already holds costs no waiting, not even with a time limit of zero."""
    assert wait_until(states("up"), lambda state: state == "up", 0, "it is up") == "up"
    assert clock.sleeps_s == []


def test_it_looks_again_until_the_state_is_right(clock: Clock) -> None:
    """The state that is returned is the first one that is right, and it is looked for at the given pace."""
    found = wait_until(states("down", "starting", "up", "later"), lambda state: state == "up", 10, "up", every_s=0.5)
    assert found == "up"
    assert clock.sleeps_s == [0.5, 0.5]


def test_time_out_shows_the_last_state_and_the_logs(clock: Clock) -> None:
    """The error says what was awaited and for how long, what was seen last, and how the logs end."""
    with pytest.raises(Unsettled) as caught:
        wait_until(states("down", "starting"), lambda state: state == "up", 2.5, "the VIP answers", lambda: "log's end")
    assert str(caught.value) == "gave up after 2.5 s waiting until the VIP answers; last seen: starting\nlog's end"


def test_without_logs_the_error_is_one_line(clock: Clock) -> None:
    """Logs are shown only where somebody gives them."""
    with pytest.raises(Unsettled, match=r"^gave up after 1 s waiting until it is up; last seen: down$"):
        wait_until(states("down"), lambda state: False, 1, "it is up")


def test_logs_are_read_only_for_the_error(clock: Clock) -> None:
    """Reading logs costs a call to the engine, so success does not pay for it."""

    def tail() -> str:
        raise AssertionError

    assert wait_until(states("down", "up"), lambda state: state == "up", 1, "it is up", tail) == "up"


@pytest.mark.parametrize(("timeout_s", "every_s", "looks"), [(0, 0.05, 1), (1, 0.4, 4), (1, 0.5, 3), (1, 60, 2)])
def test_it_looks_for_the_last_time_at_the_limit(clock: Clock, timeout_s: float, every_s: float, looks: int) -> None:
    """The limit is neither overstepped by a long pace nor missed: the last look is exactly then."""
    began_ns = clock.now_ns
    looked: list[int] = []
    with pytest.raises(Unsettled):
        wait_until(lambda: looked.append(clock.now_ns), lambda _: False, timeout_s, "never", every_s=every_s)
    assert len(looked) == looks
    assert looked[-1] - began_ns == timeout_s * SECOND


def test_a_slow_look_is_one_look(clock: Clock) -> None:
    """A look that outlasts the limit still counts if what it saw is right, and is not repeated if not."""

    def slow() -> str:
        clock.now_ns += 3 * SECOND
        return "seen"

    assert wait_until(slow, lambda _: True, 1, "seen") == "seen"
    with pytest.raises(Unsettled, match="last seen: seen"):
        wait_until(slow, lambda _: False, 1, "never")
    assert clock.sleeps_s == []


def test_pause_until_ends_at_its_instant(clock: Clock) -> None:
    """A schedule's pause ends at the instant, and one whose instant has passed is none."""
    instant_ns = clock.now_ns + SECOND
    timing.pause_until(instant_ns)
    assert clock.now_ns == instant_ns
    timing.pause_until(instant_ns - SECOND)
    assert clock.now_ns == instant_ns
