"""The client's measuring agent, as a process of its own, against real sockets that behave well and badly.

Only its ARP watcher is left out where it is not the point: that one needs a raw socket. Nothing here depends on how
fast the machine is: figures are compared with what the events themselves say, or with stamps taken around an act.
"""

import ast
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from labkit import measure
from labkit.history import Event, Trial
from labkit.resources import images_dir
from labkit.timing import MS, now_ns, pause_until
from tests.unit.histories import MASTER, run_event
from tests.unit.probing import (
    GOOD,
    LOOPBACK,
    PATIENCE_S,
    Agent,
    Behaviour,
    Server,
    answers,
    bound,
    compiled,
    hangs,
    hangs_up,
    resets,
)

SHARED = images_dir() / "shared"
FOR_PYTHON_36 = (SHARED / "client/usr/lib/labkit/fetch", SHARED / "common/usr/lib/labkit/stamped")

NOWHERE = "255.255.255.255"  # no TCP connection to a broadcast address: the kernel has no route for it
DISCARD = 9  # a port where nobody has a page

Start = Callable[..., Agent]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(compiled(tmp_path_factory.mktemp("agent")))


@pytest.fixture
def start(program: str) -> Iterator[Start]:
    """Starts agents, and ends them with the test."""
    with ExitStack() as stack:

        def begin(port: int, vip: str = LOOPBACK, **settings: float) -> Agent:
            options = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", f"{value}")]
            where = ["--vip", vip, "--port", str(port), "--marker", f"{MASTER}=MASTER-CLUSTER ON"]
            agent = Agent(program, *where, *options)
            stack.callback(agent.close)
            return agent

        yield begin


def of_the_run(requests: list[Event]) -> list[Event]:
    """The same events as they stand in a history."""
    return [{**request, "trial": 1} for request in requests]


def assert_on_schedule(requests: list[Event], cadence_ms: float) -> None:
    """No slot is missing or there twice, and each request counts from its own instant of the fixed schedule."""
    assert [request["slot"] for request in requests] == list(range(len(requests)))
    assert {after["t_ns"] - before["t_ns"] for before, after in pairwise(requests)} <= {cadence_ms * MS}
    assert all(0 <= request["late_us"] <= request["took_us"] for request in requests)


@pytest.mark.parametrize("file", FOR_PYTHON_36, ids=lambda file: str(file.name))
def test_it_is_python_36(file: Path) -> None:
    """What runs in the containers has no syntax that Ubuntu 18.04's Python 3.6 lacks."""
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_a_healthy_server_shows_no_failure(start: Start) -> None:
    """The no-op: at a cadence of 1 ms, more than a thousand requests on schedule, every one good, and no outage."""
    with Server(GOOD) as server:
        agent = start(server.port, cadence_ms=1, limit_ms=5000)
        good = agent.until_outcome("good", times=50)[-1]
        before_ns = good["t_ns"] + good["took_us"] * 1000
        agent.until(lambda event: event.get("slot", 0) >= 1200)
        agent.close()
    requests = [request for request in agent.requests() if request["slot"] <= 1000]
    assert_on_schedule(requests, cadence_ms=1)
    assert Counter((r["outcome"], r["server"], r["status"]) for r in requests) == {("good", MASTER, 200): 1001}
    fault = {"event": "fault", "trial": 1, "stage": "inject", "fault": "no-op", "node": MASTER}
    fault |= {"t_ns": before_ns, "before_ns": before_ns, "after_ns": before_ns}
    figures = measure.measure_trial(run_event(cadence_ms=1.0), Trial(1, (fault, *of_the_run(requests))))
    assert (figures.requests, figures.requests_failed, figures.outage_ms) == (1001, 0, 0.0)


def test_the_schedule_is_kept_while_the_server_hangs(start: Start) -> None:
    """Open loop: requests keep starting before earlier ones have ended, and each is given up after its own limit."""
    with Server(hangs) as server:
        agent = start(server.port, cadence_ms=10, limit_ms=500)
        first = agent.until_outcome("timeout", times=30)[0]
        accepted_ns = list(server.accepted_ns)
    requests = agent.requests()
    assert_on_schedule(requests, cadence_ms=10)
    assert {request["outcome"] for request in requests} == {"timeout"}
    assert all(request["took_us"] >= 500_000 for request in requests)
    ended_ns = first["t_ns"] + first["took_us"] * 1000
    assert sum(instant < ended_ns for instant in accepted_ns) > 1


@pytest.mark.parametrize(
    ("behave", "outcome", "server", "status"),
    [
        (GOOD, "good", MASTER, 200),
        (answers("200 OK", "x" * 50_000 + "MASTER-CLUSTER ON"), "good", MASTER, 200),
        (answers("200 OK", "It works!"), "wrong-page", None, 200),
        (answers("204 No Content", ""), "wrong-page", None, 204),
        (answers("503 Service Unavailable", "MASTER-CLUSTER ON"), "http-error", None, 503),
        (answers("404 Not Found", ""), "http-error", None, 404),
        (answers("what?", ""), "reset", None, None),
        (hangs_up, "reset", None, None),
        (resets, "reset", None, None),
        (hangs, "timeout", None, None),
    ],
)
def test_outcomes(start: Start, behave: Behaviour, outcome: str, server: str | None, status: int | None) -> None:
    """What a server does to a request is told apart, and only a good answer names a server."""
    with Server(behave) as there:
        agent = start(there.port, cadence_ms=20, limit_ms=150 if outcome == "timeout" else 900)
        requests = agent.until(lambda event: event["event"] == "request", times=5)
    assert {(r["outcome"], r["server"], r["status"]) for r in requests} == {(outcome, server, status)}


def test_nobody_listens(start: Start) -> None:
    """A port on which nobody listens is `refused`, long before the limit."""
    with Server(GOOD) as server:
        server.take_away()
        requests = start(server.port, cadence_ms=20, limit_ms=60_000).until_outcome("refused", times=5)
    assert {(request["server"], request["status"]) for request in requests} == {(None, None)}


def test_no_way_there(start: Start) -> None:
    """An address to which there is no route is `unreachable`."""
    agent = start(80, vip=NOWHERE, cadence_ms=20, limit_ms=60_000)
    agent.until_outcome("unreachable", times=5)
    assert {request["outcome"] for request in agent.requests()} == {"unreachable"}


def around(act: Callable[[], None]) -> tuple[int, int]:
    """Does something, and gives the instants before and after it in ns."""
    before_ns = now_ns()
    act()
    return before_ns, now_ns()


def test_an_outage_of_known_length_is_measured(start: Start) -> None:
    """A server that is away for a known time: the outage less one cadence is that time, give or take one cadence.

    The width of the stamps is allowed for, and twice the longest that any request took: once at either end.
    """
    cadence_ms = 10.0
    with Server(GOOD) as server:
        agent = start(server.port, cadence_ms=cadence_ms, limit_ms=5_000)
        agent.until_outcome("good", times=20)
        went = around(server.take_away)
        agent.until_outcome("refused", times=40)
        came = around(server.bring_back)
        last = agent.until_outcome("good", times=10)[-1]
        agent.until_outcome("good", times=10)
        agent.close()
    requests = [request for request in agent.requests() if request["slot"] <= last["slot"]]  # all of these have ended
    assert_on_schedule(requests, cadence_ms)
    assert set(Counter(r["outcome"] for r in requests)) <= {"good", "refused", "reset"}

    fault = {"event": "fault", "trial": 1, "stage": "inject", "fault": "x", "node": MASTER}
    fault |= {"t_ns": went[0], "before_ns": went[0], "after_ns": went[1]}
    end = {"event": "trial-end", "trial": 1, "t_ns": max(r["t_ns"] + r["took_us"] * 1000 for r in requests)}
    run = run_event(cadence_ms=cadence_ms, limit_ms=5_000.0)
    figures = measure.measure_trial(run, Trial(1, (fault, *of_the_run(requests), end)))
    assert (figures.server_before, figures.server_after) == (MASTER, MASTER)
    assert figures.outage_ms is not None
    away_ms = (came[0] - went[1]) / MS
    width_ms = (went[1] - went[0] + came[1] - came[0]) / MS
    longest_ms = max(request["took_us"] for request in requests) / 1000
    assert abs(figures.outage_ms - cadence_ms - away_ms) <= cadence_ms + width_ms + 2 * longest_ms


def test_a_stall_of_the_agent_is_a_gap_in_the_slots(start: Start) -> None:
    """Slots that passed while the agent itself was stopped tell nothing of the server: none is asked, none is told."""
    with Server(GOOD) as server:
        agent = start(server.port, cadence_ms=0.5, limit_ms=100)
        agent.until_outcome("good", times=10)
        agent.process.send_signal(signal.SIGSTOP)
        stopped_ns = now_ns()
        pause_until(stopped_ns + 1_000 * MS)  # two thousand slots
        agent.process.send_signal(signal.SIGCONT)
        agent.until(lambda event: event.get("outcome") == "good" and event["t_ns"] > stopped_ns + 900 * MS)
        agent.close()
    requests = agent.requests()
    slots = sorted(request["slot"] for request in requests)
    assert slots[-1] - slots[0] + 1 - len(slots) >= 1_500
    assert max(request["late_us"] for request in requests) < 100_000
    figures = measure.measure_trial(run_event(), Trial(1, tuple(of_the_run(requests))))
    assert figures.cadence_within_5ms is not None
    assert figures.cadence_within_5ms < len(slots) / (slots[-1] - slots[0])


def test_who_rests_asks_nothing_and_makes_up_for_nothing(start: Start) -> None:
    """Between `rest` and `work` no request starts, the slots pass, and afterwards each starts in its own slot."""
    cadence_ms = 20.0
    with Server(GOOD) as server:
        agent = start(server.port, cadence_ms=cadence_ms, limit_ms=60_000)
        agent.until_outcome("good", times=10)
        agent.send("rest")
        agent.send("stamp resting")
        (resting,) = agent.until(lambda event: event.get("id") == "resting")
        pause_until(now_ns() + 500 * MS)
        before_ns = now_ns()
        agent.send("work")
        agent.until(lambda event: event["event"] == "request" and event["t_ns"] > before_ns, times=10)
        agent.close()
    requests = agent.requests()
    assert not [r for r in requests if resting["t_ns"] < r["t_ns"] <= before_ns - cadence_ms * MS]
    assert {(b["t_ns"] - a["t_ns"]) / (b["slot"] - a["slot"]) for a, b in pairwise(requests)} == {cadence_ms * MS}
    assert {request["outcome"] for request in requests} == {"good"}


def test_stamp_reads_both_clocks_at_once(start: Start) -> None:
    """`stamp` is answered under its own name with the monotonic and the wall clock, read while one waits for it."""
    agent = start(DISCARD, cadence_ms=50)
    before_ns, wall_before_ns = now_ns(), time.time_ns()
    agent.send("nonsense")
    agent.send("stamp one")
    (event,) = agent.until(lambda event: event.get("id") == "one")
    assert before_ns - MS < event["t_ns"] < now_ns() + MS
    assert wall_before_ns - MS < event["wall_ns"] < time.time_ns() + MS


def test_each_stamp_comes_with_a_reading_of_the_hosts_cpu(start: Start) -> None:
    """However soon after another one: what lies between two stamps lies between two readings."""
    agent = start(DISCARD, cadence_ms=50)
    for name in ("one", "two", "three"):
        before_ns = now_ns()
        agent.send(f"stamp {name}")
        (stamp,) = agent.until(lambda event: event["event"] == "clock" and event["id"] != "")
        readings = [event["t_ns"] for event in agent.events if event["event"] == "cpu"]
        assert before_ns <= readings[-1] <= stamp["t_ns"]


def test_clock_comes_unasked(start: Start) -> None:
    """The first event is a reading of both clocks, so that log lines can be placed from the beginning."""
    agent = start(DISCARD, cadence_ms=50)
    agent.until(lambda event: event["event"] == "request")
    assert (agent.events[0]["event"], agent.events[0]["id"]) == ("clock", "")


def test_quit_ends_it(start: Start) -> None:
    """`quit` ends the agent, and its last event counts the slots that it started."""
    with bound() as reservation:
        agent = start(reservation.getsockname()[1], cadence_ms=50)
        agent.until_outcome("refused", times=3)
        agent.send("quit")
        (end,) = agent.until(lambda event: event["event"] == "end")
    assert agent.process.wait(PATIENCE_S) == 0
    assert end["requests"] == len(agent.requests())


def arp(sender: bytes, sender_address: str, target_address: str) -> bytes:
    """An ARP reply as a frame to everybody."""
    head = b"\xff" * 6 + sender + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2)
    return head + sender + socket.inet_aton(sender_address) + b"\0" * 6 + socket.inet_aton(target_address)


def test_arp_watcher_hears_owners_of_the_vip_alone(program: str) -> None:
    """The watcher asks on its schedule, tells replies and announcements apart, and ignores everybody else's."""
    vip, other, mac = "127.0.0.9", "127.0.0.8", bytes.fromhex("0242ac17132e")
    try:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    except PermissionError:
        pytest.skip("needs a raw socket")
    with raw:
        raw.bind(("lo", 0))
        agent = Agent(program, "--vip", vip, "--port", str(DISCARD), "--interface", "lo", "--arp-ms", "20")
        try:
            agent.until(lambda event: event["event"] == "arp-probe", times=3)
            for frame in (arp(mac, other, LOOPBACK), arp(mac, vip, LOOPBACK), arp(mac, vip, vip)):
                raw.send(frame)
            reply, announcement = agent.until(lambda event: event["event"] == "arp", times=2)
        finally:
            agent.close()
    assert (reply["mac"], reply["kind"]) == ("02:42:ac:17:13:2e", "reply")
    assert (announcement["mac"], announcement["kind"]) == ("02:42:ac:17:13:2e", "gratuitous")
    assert not [event for event in agent.events if event["event"] == "request" and event["outcome"] == "good"]
