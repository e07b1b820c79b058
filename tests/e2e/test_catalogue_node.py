"""The faults of a node and of its daemon on a real pair: each does what it says, and the pair what is expected of it.

Bounds are those that follow from rules, and lower ones only: how fast a machine is, no test can know.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from labkit import faults, history, runner
from labkit.cluster import Lab, lifecycle
from labkit.cluster.lab import settled
from labkit.engine import Engine
from labkit.judging import judge
from labkit.progress import Silent
from labkit.spec import Spec
from labkit.store import RunFolder
from labkit.timing import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]  # an ARP entry that nobody corrects takes up to 53 s to age

FAST = Spec().with_options(name="test-node", keepalive="200ms", deadtime="1")
OPTIONS = lifecycle.Options(staged=False, auto_ports=True, auto_subnet=True)
ROOT = Path(__file__).resolve().parents[2]


class Case(NamedTuple):
    """A fault, and the markers that each node must log from it on, and those that the peer may not."""

    fault: str
    master: frozenset[str]
    slave: frozenset[str]
    not_slave: frozenset[str] = frozenset()


TAKES = frozenset({"declared-dead", "taking-over", "acquiring", "address-up"})
RESTARTS = frozenset({"returning", "stopping", "giving-up"})
CASES = [
    Case("cpu-starve", frozenset(), TAKES | RESTARTS),
    Case("heartbeat-freeze", frozenset({"both-own"}), TAKES | RESTARTS | {"both-own"}),
    Case("heartbeat-kill", frozenset({"acquiring", "failback"}), TAKES | {"giving-up"}, frozenset({"returning"})),
    Case("link-down", frozenset({"declared-dead"}) | RESTARTS, TAKES | RESTARTS),
    Case("node-pause", frozenset({"both-own"}), TAKES | RESTARTS | {"both-own"}),
    Case(
        "node-reboot",
        frozenset({"acquiring", "address-up", "failback"}),
        TAKES | {"giving-up"},
        RESTARTS - {"giving-up"},
    ),
]
ALL = [case.fault for case in CASES]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One pair for all tests."""
    engine = Engine.connect()
    lifecycle.remove(engine, FAST.name, Silent())
    try:
        yield lifecycle.up(engine, FAST, OPTIONS, Silent()).lab
    finally:
        lifecycle.remove(engine, FAST.name, Silent())


def assert_whole(lab: Lab) -> None:
    """The starting state: both nodes settled and serving, the VIP on the preferred one alone, nothing left behind."""
    statuses = lab.statuses()
    assert settled(statuses), statuses
    assert [status.vip for status in statuses.values()] == [True, False]
    assert all(status.apache2 for status in statuses.values())
    assert lab.owners() == [lab.spec.preferred]
    assert not faults.unhealed(lab)
    for node in lab.nodes.values():
        assert node.run("pgrep", "-x", "yes").output == "", "no loop is left"
        assert node.must("cat", "/sys/class/net/eth0/operstate").strip() == "up"
        limits = node.inspect()["HostConfig"]
        assert limits["CpuQuota"] >= limits["CpuPeriod"]
        assert len(node.must("pgrep", "-f", "master control process").split()) == 1, "one daemon"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault)
def test_what_the_fault_does(lab: Lab, case: Case, tmp_path: Path) -> None:
    """The peer takes over, with the owners expected, not sooner than the rules let it, and all gets whole again."""
    folder = RunFolder.create(tmp_path, case.fault)
    scenario = runner.Scenario(faults.fault(case.fault))
    runner.run(lab, scenario, folder, lambda event: None)
    result = judge(folder)
    told = {check["check"]: check["verdict"] for check in result["checks"]}
    assert {told[name] for name in ("expected-move", "service-back", "single-owner")} == {"pass"}, result["checks"]

    (trial,) = result["trials"]
    expected = scenario.fault.expect(lab.spec)
    assert [trial["server_before"], trial["server_after"]] == list(lab.nodes)
    assert (trial["dual_owner_ms"] > 0) == expected.dual_owner
    if expected.outage_ms is not None:
        assert trial["outage_ms"] >= expected.outage_ms[0] - trial["outage_error_ms"]

    events = history.read(folder.history)
    struck = next(event["before_ns"] for event in events if event["event"] == "fault")
    lines = [line for line in events if line["event"] == "log" and line["t_ns"] >= struck]
    first, second = ({line["marker"] for line in lines if line["node"] == node} for node in lab.nodes)
    assert first >= case.master
    assert second >= case.slave
    assert not second & case.not_slave
    assert_whole(lab)


@pytest.mark.parametrize("name", ALL)
def test_healing_is_harmless(lab: Lab, name: str) -> None:
    """A pair that was never struck, healed twice, is as it was."""
    lab.restore()
    for _ in range(2):
        faults.heal(lab, faults.fault(name), lab.spec.preferred)
    assert_whole(lab)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("state", ["dead", "frozen"])
def test_healing_whatever_became_of_the_node(lab: Lab, name: str, state: str) -> None:
    """A node that lost its power, or that is frozen, runs when it is healed, whichever fault is healed."""
    lab.restore()
    preferred = lab.spec.preferred
    (lab.kill if state == "dead" else lab.freeze)(preferred)
    faults.heal(lab, faults.fault(name), preferred)
    assert lab.node(preferred).state() == "running"
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
def test_a_killed_process_leaves_nothing_that_cannot_be_mended(lab: Lab, name: str) -> None:
    """restore() alone undoes what a killed process did to the node; the record of it can be struck off afterwards."""
    lab.restore()
    preferred = lab.spec.preferred
    done = subprocess.run(
        [sys.executable, "-c", KILLED, lab.name, name], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert faults.unhealed(lab) == {name: preferred}
    peer = lab.spec.peer_of(preferred)
    wait_until(lambda: lab.status(peer), lambda now: now.vip, 60, f"{peer} has taken over", lab.tails)
    lab.restore()
    assert faults.heal_left(lab) == {name: preferred}
    assert_whole(lab)
