"""The faults of the service on a real pair: each does what it says, and the pair does what is expected of it.

Bounds are those that follow from rules, and lower ones only: how fast a machine is, no test can know.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from labkit import faults, history, runner
from labkit.cluster import Lab, lifecycle
from labkit.cluster.lab import settled
from labkit.engine import Engine
from labkit.judging import judge
from labkit.probe import Settings
from labkit.progress import Silent
from labkit.spec import Spec
from labkit.store import RunFolder
from labkit.timing import wait_until

pytestmark = pytest.mark.e2e

NAME = "test-service"
FAST = Spec().with_options(name=NAME, keepalive="200ms", deadtime="1")
ROOT = Path(__file__).resolve().parents[2]
MOVE_S = 30.0


class Case(NamedTuple):
    """A fault that moves the service: what the client must see, and what the logs must say, in this order."""

    fault: str
    outcomes: set[str]
    markers: tuple[str, ...]


HANDED_OVER = ("monitor-tripped", "handing-over", "standby-requested", "giving-up", "address-up", "takeover-complete")
SWITCHED = ("standby-requested", "giving-up", "address-down", "acquiring", "address-up", "takeover-complete")
CASES = [
    Case("apache-kill", {"refused"}, HANDED_OVER),
    Case("apache-hang", {"timeout"}, HANDED_OVER),
    Case("apache-error", {"http-error"}, HANDED_OVER),
    Case("standby", {"refused"}, SWITCHED),
    Case("takeover", {"refused"}, SWITCHED),
    Case("failback", {"refused"}, (*SWITCHED, "failback")),
]
ALL = ["none", *(case.fault for case in CASES)]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.connect()


@pytest.fixture(scope="module", params=[True], ids=["auto_failback"])
def lab(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One pair for all tests; another only for those that ask for `auto_failback` off, and never two at once."""
    spec = FAST.with_options(auto_failback=request.param)
    options = lifecycle.Options(staged=False, auto_ports=True, auto_subnet=True)
    try:
        yield lifecycle.up(engine, spec, options, Silent()).lab
    finally:
        lifecycle.remove(engine, NAME, Silent())


def run(lab: Lab, fault: str, root: Path, trials: int = 1, limit_ms: float = 800.0) -> tuple[Any, list[history.Event]]:
    """A run of a fault, judged: the result and the history."""
    folder = RunFolder.create(root, fault)
    scenario = runner.Scenario(faults.fault(fault), trials, settings=Settings(limit_ms=limit_ms))
    runner.run(lab, scenario, folder, lambda event: None)
    return judge(folder), history.read(folder.history)


def verdicts(result: Any) -> dict[str, str]:
    return {check["check"]: check["verdict"] for check in result["checks"]}


def assert_as_expected(result: Any) -> None:
    """All that is judged without regard to how fast the machine is."""
    told = verdicts(result)
    assert {told[name] for name in ("expected-move", "service-back", "single-owner")} == {"pass"}, result["checks"]
    assert [trial["dual_owner_ms"] for trial in result["trials"]] == [0.0] * len(result["trials"])


def assert_whole(lab: Lab) -> None:
    """The starting state: both nodes settled and serving, the VIP on the preferred one alone, no fault on record."""
    statuses = lab.statuses()
    assert settled(statuses), statuses
    assert [status.vip for status in statuses.values()] == [True, False]
    assert all(status.apache2 for status in statuses.values())
    assert lab.owners() == [lab.spec.preferred]
    assert not faults.unhealed(lab)


def test_nothing_is_what_nothing_does(lab: Lab, tmp_path: Path) -> None:
    """The instrument against itself: over 1,000 requests without a fault there is no outage, and nobody moves."""
    result, events = run(lab, "none", tmp_path, trials=2, limit_ms=5000.0)  # a stall of the machine is no outage
    assert_as_expected(result)
    assert sum(trial["requests"] for trial in result["trials"]) >= 1000
    assert [trial["outage_ms"] for trial in result["trials"]] == [0.0, 0.0]
    assert verdicts(result)["within-predicted-band"] == "pass"
    assert not [event for event in events if event["event"] == "log" and event["marker"] == "giving-up"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault)
def test_the_service_moves(lab: Lab, case: Case, tmp_path: Path) -> None:
    """It moves once, to the right node, with one owner at a time, not sooner than the rules let it, and says so."""
    result, events = run(lab, case.fault, tmp_path)
    assert_as_expected(result)
    (trial,) = result["trials"]
    nodes = list(lab.nodes)
    returned = case.fault == "failback"
    assert [trial["server_before"], trial["server_after"]] == (nodes[::-1] if returned else nodes)
    band = faults.fault(case.fault).expect(lab.spec).outage_ms
    assert band is not None
    assert trial["outage_ms"] >= band[0] - trial["outage_error_ms"]
    assert set(trial["outcomes"]) >= case.outcomes
    logged = _logged_since_fault(events)
    assert _in_order(case.markers, logged), logged
    assert_whole(lab)


def _logged_since_fault(events: list[history.Event]) -> list[str]:
    """The markers in the nodes' logs from injection to the trial's end, in order of time."""
    struck = next(event for event in events if event["event"] == "fault")
    lines = [event for event in events if event["event"] == "log" and event["marker"]]
    lines.sort(key=lambda line: int(line["t_ns"]))
    return [line["marker"] for line in lines if line["t_ns"] >= struck["before_ns"]]


def _in_order(wanted: tuple[str, ...], found: list[str]) -> bool:
    """Whether all that is wanted is found in this order, whatever lies between."""
    rest = iter(found)
    return all(name in rest for name in wanted)


@pytest.mark.parametrize("lab", [False], indirect=True, ids=["no auto_failback"])
def test_without_auto_failback_the_service_stays(lab: Lab, tmp_path: Path) -> None:
    """The preferred node comes back, and the peer goes on serving."""
    result, events = run(lab, "failback", tmp_path, limit_ms=5000.0)
    assert_as_expected(result)
    (trial,) = result["trials"]
    peer = lab.spec.peer_of(lab.spec.preferred)
    assert [trial["server_before"], trial["server_after"], trial["outage_ms"]] == [peer, peer, 0.0]
    assert "failback" not in _logged_since_fault(events)
    assert_whole(lab)


@pytest.mark.parametrize("name", ALL)
def test_healing_is_harmless(lab: Lab, name: str) -> None:
    """A pair that was never struck, healed twice, is as it was."""
    lab.restore()
    for _ in range(2):
        faults.heal(lab, faults.fault(name), lab.spec.preferred)
    assert_whole(lab)


@pytest.mark.parametrize("name", ["apache-hang", "apache-error"])
def test_healing_finds_the_node_whatever_state_it_is_in(lab: Lab, name: str) -> None:
    """A node that lost its power after the fault is cured as well."""
    lab.restore()
    preferred = lab.spec.preferred
    faults.inject(lab, faults.fault(name), preferred)
    lab.kill(preferred)
    faults.heal(lab, faults.fault(name), preferred)
    lab.restore()
    assert_whole(lab)


KILLED = """
import os, signal, sys
from labkit import faults
from labkit.cluster import lifecycle
from labkit.engine import Engine
lab = lifecycle.require(Engine.connect(), sys.argv[1])
faults.inject(lab, faults.fault(sys.argv[2]), lab.spec.preferred)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ALL)
def test_a_killed_process_leaves_word_of_what_to_heal(lab: Lab, name: str) -> None:
    """What was injected is on record in the lab, and can be healed by another process."""
    lab.restore()
    fault, preferred = faults.fault(name), lab.spec.preferred
    done = subprocess.run(
        [sys.executable, "-c", KILLED, lab.name, name], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert faults.unhealed(lab) == {name: preferred}
    if fault.expect(lab.spec).moves:  # a lab that is on the move is not what restore() is for
        target = preferred if name == "failback" else lab.spec.peer_of(preferred)
        wait_until(lab.statuses, lambda now: now[target].vip and settled(now), MOVE_S, f"{target} has it", lab.tails)
    assert faults.heal_left(lab) == {name: preferred}
    lab.restore()
    assert_whole(lab)
