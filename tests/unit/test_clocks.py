"""The clock of a node on another host, brought to the client's: which way its stamps are moved, and how far they may
be wrong. Both clocks and the ways between them are pretended, so that the truth is known."""

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cluster import Lab
from labkit.cluster.clocks import TRIES, Shift, compare
from labkit.engine import Container
from labkit.history import Event
from labkit.probe import LogFollower
from labkit.runner import _Run
from labkit.spec import Spec
from labkit.timing import wait_until
from tests.unit.histories import MASTER, SLAVE

SECOND = 1_000_000_000
AHEAD = Shift(monotonic_ns=3 * SECOND, wall_ns=1_700_000_000 * SECOND, error_ns=250_000)


class Hosts:
    """Two hosts, told in the client's time. The node's clock is ahead of it; a question takes `ways` (there, back)."""

    def __init__(self, ahead_ns: int, wall_ahead_ns: int, ways: list[tuple[int, int]]) -> None:
        self.now_ns = 5 * SECOND
        self.ahead_ns, self.wall_ahead_ns = ahead_ns, wall_ahead_ns
        self._ways = iter(ways)
        self.closed = False
        self.errors = ""

    def talk(self, *_: str, heard: Callable[[list[str]], None]) -> "Hosts":
        self._heard = heard
        return self

    def send(self, _: str) -> None:
        there, back = next(self._ways)
        self.now_ns += there
        told = f"{self.now_ns + self.ahead_ns} {self.now_ns + self.wall_ahead_ns}"
        self.now_ns += back
        self._heard([told])

    def close(self) -> None:
        self.closed = True


def found(hosts: Hosts) -> Shift:
    return compare(cast(Container, hosts), lambda: hosts.now_ns)


WAYS = st.tuples(st.integers(0, SECOND), st.integers(0, SECOND))
AWAY = st.integers(-(10**6) * SECOND, 10**6 * SECOND)


@given(AWAY, AWAY, st.lists(WAYS, min_size=TRIES, max_size=TRIES))
def test_the_true_offset_is_within_the_error(ahead_ns: int, wall_ahead_ns: int, ways: list[tuple[int, int]]) -> None:
    """However uneven the ways there and back are; and the error is half of the quickest answer's time."""
    hosts = Hosts(ahead_ns, wall_ahead_ns, ways)
    shift = found(hosts)
    assert abs(shift.monotonic_ns - ahead_ns) <= shift.error_ns
    assert abs(shift.wall_ns - wall_ahead_ns) <= shift.error_ns
    assert shift.error_ns == (min(map(sum, ways)) + 1) // 2
    assert hosts.closed


def test_a_clock_that_is_ahead_has_a_positive_shift() -> None:
    """An answer that comes at once leaves no doubt: the shift is the node's clock minus the client's."""
    assert found(Hosts(3 * SECOND, -SECOND, [(0, 0)] * TRIES)) == Shift(3 * SECOND, -SECOND, 0)


def test_the_quickest_answer_counts() -> None:
    """One quick answer among slow ones decides alone; all of its way there is the worst that can be."""
    slow, quick = (SECOND, 0), (1_000_000, 0)
    assert found(Hosts(3 * SECOND, 0, [slow, quick, *[slow] * (TRIES - 2)])) == Shift(
        3 * SECOND + 500_000, 500_000, 500_000
    )


def lab(**nodes: Any) -> Lab:
    there = {MASTER: nodes["master"], SLAVE: nodes["slave"]}
    nobody: Any = None
    return Lab(nobody, Spec(), "debian-12", "macvlan", "granted", there, nobody, nobody, shifts={SLAVE: AHEAD})


def test_a_bracket_of_a_node_that_is_ahead_is_moved_back_and_widened() -> None:
    """By its clock's shift and, on both sides, by what that may be wrong; a node on the client's host is taken as it
    stands."""
    told = {"before_ns": 103 * SECOND, "after_ns": 104 * SECOND, "exit_code": 0, "output": ""}
    node = SimpleNamespace(ask=lambda *_: told)
    both = lab(master=node, slave=node)
    bracket, _ = both.stamped(SLAVE, "true")
    assert bracket == (100 * SECOND - AHEAD.error_ns, 101 * SECOND + AHEAD.error_ns)
    bracket, _ = both.stamped(MASTER, "true")
    assert bracket == (103 * SECOND, 104 * SECOND)


class Talker:
    """A node that logs one line at an instant of its own wall clock, and none afterwards."""

    host_name = SLAVE

    def __init__(self, wall_ns: int) -> None:
        stamp = datetime.fromtimestamp(wall_ns / SECOND, timezone.utc).isoformat(timespec="microseconds")
        self._lines = [f"{stamp} {SLAVE} heartbeat: [100]: info: Status update"]
        self.was_heard = False

    def must(self, *_: str) -> str:
        return "0"

    def follow(self, since: float) -> Iterator[str]:
        while self._lines:
            yield self._lines.pop()
            self.was_heard = True  # whoever follows has done with it, or would not ask for another one


@pytest.mark.parametrize(
    ("elsewhere", "shifts", "expected_ns"),
    [(True, {SLAVE: AHEAD}, 100 * SECOND), (False, {}, 107 * SECOND), (True, {}, None)],
    ids=["elsewhere", "here", "not-compared-yet"],
)
def test_a_log_line_is_told_in_the_clients_time(
    elsewhere: bool, shifts: dict[str, Shift], expected_ns: int | None
) -> None:
    """By the shift of its own host's wall clock, not that of the client's host, which the agent knows; before the two
    were compared a line from elsewhere has no time, and is left out."""
    told: list[Event] = []
    agent: Any = SimpleNamespace(offset_ns=AHEAD.wall_ns - 7 * SECOND)
    there: Any = SimpleNamespace(shifts=shifts, elsewhere={SLAVE: None} if elsewhere else {})
    nothing: Any = None
    run = _Run(there, nothing, nothing, nothing, nothing, disposable=False, turns=nothing)
    node = Talker(AHEAD.wall_ns + 100 * SECOND)
    follower = LogFollower(cast(Container, node), run.wall_offset(SLAVE, agent), told.append)
    wait_until(lambda: node.was_heard, bool, 10, "the line was heard")
    follower.close()
    assert [line["t_ns"] for line in told] == ([] if expected_ns is None else [expected_ns])
