"""The one clock and the one way to wait. Rank 0.

Durations come from CLOCK_MONOTONIC alone, in nanoseconds (`*_ns`), because all containers of one engine share it.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from labkit.errors import Unsettled

T = TypeVar("T")

MS = 1_000_000
SECOND = 1_000_000_000


def now_ns() -> int:
    """CLOCK_MONOTONIC of this host in nanoseconds."""
    return time.monotonic_ns()


def pause_until(instant_ns: int) -> None:
    """Returns at the given instant of the monotonic clock; for schedules, never for waiting until something happens."""
    while (left := instant_ns - now_ns()) > 0:
        time.sleep(left / SECOND)


def wait_until(
    look: Callable[[], T],
    done: Callable[[T], bool],
    timeout_s: float,
    what: str,
    tail: Callable[[], str] | None = None,
    every_s: float = 0.15,
) -> T:
    """Looks again and again until what it sees is right, and returns that.

    look: gives the present state (its repr ends in the error). done: tells whether the state is the awaited one.
    every_s: the pause between two looks: most of them start a command in a container, which costs CPU time there.
    what: the awaited condition in words. tail: gives the end of the logs for the error.
    Raises Unsettled after timeout_s with the last state seen and the logs' tail.
    """
    limit = now_ns() + int(timeout_s * SECOND)
    while True:
        state = look()
        if done(state):
            return state
        if now_ns() >= limit:
            logs = f"\n{tail()}" if tail else ""
            raise Unsettled(f"gave up after {timeout_s:g} s waiting until {what}; last seen: {state}{logs}")
        pause_until(min(limit, now_ns() + int(every_s * SECOND)))
