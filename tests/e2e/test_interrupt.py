"""Trouble in the middle: Ctrl-C, a killed labkit, nodes that die or vanish. Each leaves nothing, or what gc finds."""

from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL

import docker.errors
import pytest

from labkit import history
from labkit.cluster import Lab
from labkit.engine import Engine
from labkit.store import runs
from labkit.timing import wait_until
from tests.e2e.helpers import FAST, Outcome, Running, complaint, leftovers, named, run_cli, swept

NAME = named("trouble")
UP = ("up", "--name", NAME, *FAST)
KILL = ("failover", "--fault", "node-kill", *FAST)
INTERRUPTED = 130


@pytest.fixture(autouse=True)
def nothing_there(engine: Engine) -> Iterator[None]:
    """What one test leaves does not disturb the next one."""
    with swept(engine, NAME):
        yield


def _assert_gone(engine: Engine, done: Outcome) -> None:
    """An interrupted labkit said nothing unforeseen, and gc agrees that nothing is left."""
    assert done.exit_code == INTERRUPTED, done.stdout
    assert "Traceback" not in done.stdout
    assert leftovers(engine, NAME) == []
    assert run_cli("gc", "--name", NAME, "--dry-run", "--json").document == []


def test_ctrl_c_in_the_middle_of_up(engine: Engine) -> None:
    """Ctrl-C while the nodes start removes what was made so far."""
    up = Running(*UP)
    up.await_line("starting master-cluster")
    up.send(SIGINT)
    _assert_gone(engine, up.finish())


@pytest.mark.parametrize("line", ["trial 1 of 1", "node-kill on master-cluster"], ids=["before-fault", "after-fault"])
def test_ctrl_c_in_the_middle_of_failover(engine: Engine, working_folder: Path, line: str) -> None:
    """Ctrl-C in a trial removes the lab that was started for it; what was measured is kept and says that it was cut."""
    failover = Running(*KILL, "--name", NAME)
    failover.await_line(line)
    failover.send(SIGINT)
    _assert_gone(engine, failover.finish())
    (folder,) = runs(working_folder / "runs")
    (trial,) = history.trials(history.read(folder.history))
    (cut,) = trial.of("interrupted")
    assert "KeyboardInterrupt" in cut["reason"]


def test_ctrl_c_heals_a_lab_that_stays(lab: Lab) -> None:
    """Ctrl-C after the fault, on a lab that was up before: it stays up, and is brought back to its starting state."""
    failover = Running(*KILL, "--name", lab.name)
    failover.await_line("node-kill on master-cluster")
    failover.send(SIGINT)
    done = failover.finish()
    assert done.exit_code == INTERRUPTED, done.stdout
    assert "is up already" in done.stdout
    assert all(status.running and status.heartbeat and status.apache2 for status in lab.statuses().values())


def test_gc_finds_what_a_killed_up_left(engine: Engine) -> None:
    """After kill -9 in the middle of `up`, gc finds containers, networks and host links by label, and the next up
    works. Before, while `up` is at work, a gc that is told no name leaves them alone."""
    up = Running(*UP)
    up.await_line("starting master-cluster")
    spared = run_cli("gc", "--dry-run", "--json").document
    assert NAME not in {one["lab"] for one in spared}
    up.send(SIGKILL)
    assert up.finish().exit_code == -SIGKILL

    left = leftovers(engine, NAME)
    assert {one.split()[0] for one in left} >= {"container", "network"}
    found = run_cli("gc", "--name", NAME, "--dry-run", "--json").document
    assert {f"{one['kind']} {one['name']}" for one in found} == set(left)
    assert all(one["lab"] == NAME for one in found)
    assert run_cli("gc", "--name", NAME).exit_code == 0
    assert leftovers(engine, NAME) == []

    again = Running(*UP)
    again.await_line("starting master-cluster")
    down = Running("down", "--name", NAME)
    down.await_line(f"the lab {NAME!r} is in use by process")  # and waits, so that `up` comes to its end
    assert again.finish().exit_code == 0, again.output
    assert "ready after" in again.output
    assert down.finish().exit_code == 0, down.output
    assert leftovers(engine, NAME) == []


def test_a_node_that_dies_while_coming_up(engine: Engine) -> None:
    """`up` ends with an error that names the node and shows the end of its log, and leaves nothing."""
    up = Running(*UP)
    node = f"labkit-{NAME}-master-cluster"

    def state() -> str:
        try:
            return engine.client.containers.get(node).status
        except docker.errors.NotFound:
            return "not there"

    wait_until(state, lambda now: now == "running", 200, f"{node} runs", lambda: up.output)
    engine.client.containers.get(node).kill()
    told = complaint(up.finish(), 4)
    assert "labkit: master-cluster stopped while waiting until" in told
    assert "--- master-cluster" in told
    assert leftovers(engine, NAME) == []


def test_nodes_that_stop_or_vanish_behind_our_back(engine: Engine) -> None:
    """A node that somebody stopped is shown as such; one that somebody removed is an error that names the lab; and
    `down` still leaves nothing."""
    assert run_cli(*UP).exit_code == 0
    node = engine.client.containers.get(f"labkit-{NAME}-slave-cluster")
    node.kill()
    states = {one["name"]: one["running"] for one in run_cli("status", "--name", NAME, "--json").document["nodes"]}
    assert states == {"master-cluster": True, "slave-cluster": False}
    check = run_cli("check", "--name", NAME, "--json")
    verdicts = {one["check"]: one["verdict"] for one in check.document}
    assert (verdicts["page of master-cluster"], verdicts["page of slave-cluster"]) == ("pass", "fail")
    assert check.exit_code == 1

    node.remove()
    for command in ("status", "check"):
        told = complaint(run_cli(command, "--name", NAME), 4)
        assert repr(NAME) in told
        assert "`labkit up`" in told
    assert run_cli("down", "--name", NAME).exit_code == 0
    assert leftovers(engine, NAME) == []
