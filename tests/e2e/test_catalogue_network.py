"""The faults of the network and the disk on a real pair: each does what it says, and the pair what is expected of it.

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
from labkit.errors import NotAvailable
from labkit.judging import judge
from labkit.probe import Settings
from labkit.progress import Silent
from labkit.spec import Spec
from labkit.store import RunFolder
from labkit.timing import wait_until

pytestmark = pytest.mark.e2e

NAME = "test-network"
FAST = Spec().with_options(name=NAME, keepalive="200ms", deadtime="1")
OPTIONS = lifecycle.Options(staged=False, auto_ports=True, auto_subnet=True)
ROOT = Path(__file__).resolve().parents[2]
LONG_MS = 5000.0  # a request's time limit: a stall of the machine is no outage
CALM_S = 60.0


class Case(NamedTuple):
    """A fault, and the markers that each node must log from it on, and those that nobody may."""

    fault: str
    master: frozenset[str] = frozenset()
    slave: frozenset[str] = frozenset()
    nobody: frozenset[str] = frozenset()
    limit_ms: float = LONG_MS


TAKES = frozenset({"declared-dead", "taking-over", "acquiring", "address-up", "returning", "stopping"})
STAYS = frozenset({"declared-dead", "giving-up", "address-up", "handing-over"})
CASES = [
    Case("partition", frozenset({"declared-dead", "returning", "stopping", "giving-up"}), TAKES),
    Case("partition-oneway", frozenset({"both-own"}), TAKES),
    Case("partition-full", frozenset({"declared-dead", "returning", "stopping"}), TAKES, limit_ms=800.0),
    Case("loss", nobody=STAYS),
    Case("disk-full", nobody=STAYS),
]
ALL = [case.fault for case in CASES]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One pair for all tests."""
    engine = Engine.connect()
    lifecycle.remove(engine, NAME, Silent())
    try:
        yield lifecycle.up(engine, FAST, OPTIONS, Silent()).lab
    finally:
        lifecycle.remove(engine, NAME, Silent())


def assert_whole(lab: Lab) -> None:
    """The starting state: both nodes settled and serving, the VIP on the preferred one alone, nothing left behind."""
    statuses = lab.statuses()
    assert settled(statuses), statuses
    assert [status.vip for status in statuses.values()] == [True, False]
    assert all(status.apache2 for status in statuses.values())
    assert lab.owners() == [lab.spec.preferred]
    assert not faults.unhealed(lab)
    for node in lab.nodes.values():
        traces = node.must("sh", "-c", "iptables-save; tc qdisc show; cat /proc/self/mounts; pgrep -x -c heartbeat")
        assert "labkit-" not in traces
        assert "blackhole" not in traces
        assert len(node.must("pgrep", "-f", "master control process").split()) == 1, "one daemon"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault)
def test_what_the_fault_does(lab: Lab, case: Case, tmp_path: Path) -> None:
    """The service moves or stays as expected, with the owners expected, not sooner than the rules let it."""
    folder = RunFolder.create(tmp_path, case.fault)
    scenario = runner.Scenario(faults.fault(case.fault), settings=Settings(limit_ms=case.limit_ms))
    runner.run(lab, scenario, folder, lambda event: None)
    result = judge(folder)
    told = {check["check"]: check["verdict"] for check in result["checks"]}
    assert {told[name] for name in ("expected-move", "service-back", "single-owner")} == {"pass"}, result["checks"]

    (trial,) = result["trials"]
    expected = scenario.fault.expect(lab.spec)
    first, second = lab.nodes
    assert [trial["server_before"], trial["server_after"]] == [first, second if expected.moves else first]
    assert (trial["dual_owner_ms"] > 0) == expected.dual_owner
    assert expected.outage_ms is not None
    assert trial["outage_ms"] >= expected.outage_ms[0] - trial["outage_error_ms"]
    if not expected.moves:
        assert trial["outage_ms"] == 0

    logged = _logged_since_fault(history.read(folder.history))
    assert logged[first] >= case.master, logged
    assert logged[second] >= case.slave, logged
    assert not case.nobody & (logged[first] | logged[second]), logged
    assert_whole(lab)


def _logged_since_fault(events: list[history.Event]) -> dict[str, set[str]]:
    """Each node's markers from injection to the trial's end."""
    struck = next(event for event in events if event["event"] == "fault")
    lines: list[Any] = [line for line in events if line["event"] == "log" and line["t_ns"] >= struck["before_ns"]]
    return {node: {line["marker"] for line in lines if line["node"] == node} for node in FAST.nodes}


def test_a_node_cut_off_is_silent(lab: Lab) -> None:
    """Nobody reaches a node that is cut off, by any protocol: ARP goes unanswered, too."""
    lab.restore()
    fault, preferred = faults.fault("partition-full"), lab.spec.preferred
    address = str(lab.spec.nodes[preferred].address)
    faults.inject(lab, fault, preferred)
    try:
        told = lab.client.run("arping", "-r", "-i", lab.spec.network.interface, "-c", "3", "-W", "0.2", address)
        assert ":" not in told.output
        assert lab.client.run("ping", "-c", "1", "-W", "1", address).exit_code != 0
    finally:
        _await_takeover(lab, "partition-full")
        faults.heal(lab, fault, preferred)
        lab.restore()
    assert_whole(lab)


def test_only_the_nodes_own_disk_is_full(lab: Lab) -> None:
    """A full /var holds what it held, takes nothing more, and is not the file system that the container lives on."""
    lab.restore()
    fault, preferred = faults.fault("disk-full"), lab.spec.preferred
    node = lab.node(preferred)
    before = node.must("sh", "-c", "cd /var && find . -type f -not -name 'monit*' | sort")
    faults.inject(lab, fault, preferred)
    try:
        assert node.run("sh", "-c", "echo more >/var/log/more").exit_code != 0
        assert node.run("sh", "-c", "echo more >/root/more").exit_code == 0
        after = node.must("sh", "-c", "cd /var && find . -type f -not -name 'monit*' | sort")
        assert set(after.split()) - {"./full", "./log/more"} == set(before.split())
        assert int(node.must("df", "--output=size", "-k", "/var").split()[-1]) < 200 * 1024
    finally:
        faults.heal(lab, fault, preferred)
        lab.restore()
    assert node.run("sh", "-c", "echo more >/var/log/more && rm /var/log/more").exit_code == 0
    assert_whole(lab)


def test_disk_full_needs_privileges(lab: Lab) -> None:
    """With the least privileges nothing can be mounted: an error says so before anything is done."""
    least = Lab(lab.engine, lab.spec, lab.platform, lab.network, "least", lab.nodes, lab.client, lab.gateway)
    with pytest.raises(NotAvailable, match="--least-privilege"):
        faults.fault("disk-full").inject(least, lab.spec.preferred)


@pytest.mark.parametrize("name", ALL)
def test_healing_is_harmless(lab: Lab, name: str) -> None:
    """A pair that was never struck, healed twice, is as it was."""
    lab.restore()
    for _ in range(2):
        faults.heal(lab, faults.fault(name), lab.spec.preferred)
    assert_whole(lab)


@pytest.mark.parametrize("name", ALL)
def test_healing_a_node_that_lost_its_power(lab: Lab, name: str) -> None:
    """A power cut ends the fault with the node; the cure brings the node back and finds nothing to undo."""
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
def test_a_killed_process_leaves_nothing_that_cannot_be_mended(lab: Lab, name: str) -> None:
    """restore() alone undoes what a killed process did to the nodes; the record of it can be struck off afterwards."""
    lab.restore()
    preferred = lab.spec.preferred
    done = subprocess.run(
        [sys.executable, "-c", KILLED, lab.name, name], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert faults.unhealed(lab) == {name: preferred}
    _await_takeover(lab, name)
    lab.restore()
    assert faults.heal_left(lab) == {name: preferred}
    assert_whole(lab)


def _await_takeover(lab: Lab, name: str) -> None:
    """Until the peer has the VIP, if the fault makes it take it: a takeover that is cut short is another story."""
    if faults.fault(name).expect(lab.spec).moves:
        peer = lab.spec.peer_of(lab.spec.preferred)
        wait_until(
            lambda: lab.status(peer),
            lambda now: now.vip and now.resources == "all",
            CALM_S,
            f"{peer} has taken over",
            lab.tails,
        )
