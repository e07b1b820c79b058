"""Faults by hand and by labkit's own commands: injected, left behind, healed; whatever became of the node meanwhile."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import faults
from labkit.campaign.load import Load
from labkit.cluster import Lab
from labkit.cluster.making import Options, await_ready
from labkit.engine import Engine
from labkit.errors import Unsettled
from labkit.heartbeat import commands
from labkit.probe import Settings
from labkit.progress import Silent
from labkit.timing import wait_until
from tests.e2e.catalogue import traces, trial_of
from tests.e2e.helpers import FAST, ROOT, Running, await_whole, complaint, fast, lab_up, named, run_cli

LEFT = ["apache-hang", "disk-full", "node-pause", "partition"]  # one of a kind: processes, mounts, container, network


@pytest.mark.parametrize("name", faults.all_faults())
def test_healing_is_harmless(lab: Lab, name: str) -> None:
    """A pair that was never struck, healed twice, serves as before, and nothing is on record."""
    preferred = lab.spec.preferred
    for _ in range(2):
        faults.heal(lab, faults.fault(name), preferred)
    if name == "apache-stop":  # its cure restarts Heartbeat, as the guide types it
        lab.restore()
    await_whole(lab)
    assert traces(lab) == []


@pytest.mark.parametrize("name", ["apache-hang", "disk-full", "heartbeat-stop", "partition-full"])
@pytest.mark.parametrize("state", ["dead", "frozen"])
def test_healing_whatever_became_of_the_node(lab: Lab, name: str, state: str) -> None:
    """A node that lost its power, or that is frozen, runs when it is healed, whichever fault is healed."""
    preferred = lab.spec.preferred
    (lab.kill if state == "dead" else lab.freeze)(preferred)
    faults.heal(lab, faults.fault(name), preferred)
    assert lab.node(preferred).state() == "running"
    lab.restore()
    await_whole(lab)
    assert traces(lab) == []


@pytest.mark.parametrize("name", LEFT)
def test_heal_undoes_what_a_killed_process_left(lab: Lab, name: str) -> None:
    """A failover that is killed with its fault injected leaves word of it in the lab, and `labkit heal` undoes it."""
    running = Running("failover", "--name", lab.name, "--fault", name)
    running.await_line(f"{name} on {lab.spec.preferred}")
    running.send(signal.SIGKILL)
    running.finish()
    assert faults.unhealed(lab) == {name: lab.spec.preferred}
    done = run_cli("heal", "--name", lab.name, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.document == {"healed": [{"fault": name, "node": lab.spec.preferred}]}
    await_whole(lab)
    assert traces(lab) == []


def test_a_fault_by_hand(lab: Lab) -> None:
    """`inject` says what it did, where, and what is expected; a second time it is refused; `heal` undoes it, and is
    harmless when there is nothing to heal."""
    first, second = lab.nodes
    done = run_cli("inject", "loss:share=0.5", "--name", lab.name, "--json")
    assert done.exit_code == 0, done.stderr
    told = done.document
    assert (told["fault"], told["node"], told["expected"]["moves"]) == ("loss:share=0.5", first, False)
    assert told["before_ns"] < told["after_ns"]
    rules = lab.node(second).must("iptables-save")
    assert rules.count("labkit-loss") == 50  # of 100 packets
    again = run_cli("inject", "loss:share=0.5", "--name", lab.name)
    assert "labkit heal" in complaint(again, 3)
    for healed in ([{"fault": "loss:share=0.5", "node": first}], []):
        done = run_cli("heal", "--name", lab.name, "--json")
        assert (done.exit_code, done.document) == (0, {"healed": healed})
    assert traces(lab) == []


def test_what_is_in_no_catalogue_is_undone_too(lab: Lab) -> None:
    """The load under which `labkit tune` watches a pair is none of the faults; left behind, it stops nobody."""
    faults.inject(lab, Load(), lab.spec.preferred)
    assert faults.unhealed(lab) == {Load.name: lab.spec.preferred}
    done = run_cli("heal", "--name", lab.name, "--json")
    assert done.exit_code == 0, done.stderr
    await_whole(lab)
    assert traces(lab) == []


def test_a_run_begins_by_healing_what_is_left(lab: Lab) -> None:
    """A fault that was left injected does not spoil the next measurement."""
    faults.inject(lab, faults.fault("partition-oneway"), lab.spec.preferred)
    done = run_cli("failover", "--name", lab.name, "--fault", "none", "--json")
    (trial,) = done.document["trials"]
    assert (trial["server_before"], trial["server_after"]) == (lab.spec.preferred, lab.spec.preferred)
    assert traces(lab) == []


def test_up_mends_a_lab_that_is_up_and_broken(lab: Lab) -> None:
    """A lab in which a service is down is not taken for one that is up: it is brought to its starting state."""
    _, second = lab.nodes
    lab.act(second, commands.HEARTBEAT_INIT, "stop")
    done = run_cli("up", "--name", lab.name, *FAST)
    assert done.exit_code == 0, done.stderr
    assert "broken" in done.stdout
    await_whole(lab)


def started(lab: Lab) -> list[str]:
    """When each node was booted last."""
    return [node.inspect()["State"]["StartedAt"] for node in lab.nodes.values()]


def test_nodes_that_do_not_settle_are_booted_again(lab: Lab) -> None:
    """Nodes that are not settled when patience ends lose their power for a moment, and are whole afterwards."""
    before = started(lab)
    for node in lab.nodes:  # a pair whose daemons are both fresh waits for 10 s before it settles
        lab.act(node, commands.HEARTBEAT_INIT, "stop")
    lab.restore(patience_s=0)
    await_whole(lab)
    assert all(new > old for old, new in zip(before, started(lab), strict=True))


def test_a_pair_that_comes_up_wedged_is_booted_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeat cannot be made to lose a message, so the time-out is made up; the rest is real."""
    before = started(lab)
    for node in lab.nodes:
        lab.act(node, commands.HEARTBEAT_INIT, "stop")
    for node in lab.nodes:
        lab.act(node, commands.HEARTBEAT_INIT, "start")

    def given_up(*_: object) -> None:
        raise Unsettled("gave up waiting until the VIP answers")

    with monkeypatch.context() as patch:
        patch.setattr(lab, "await_page", given_up)
        await_ready(lab, Options(staged=False), Silent())
    await_whole(lab)
    assert all(new > old for old, new in zip(before, started(lab), strict=True))


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> faults.Fault:
    """The fault that docs/faults.md shows, put where faults are found."""
    page = (ROOT / "docs" / "faults.md").read_text()
    (text,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "address_conflict.py").write_text(text)
    monkeypatch.setattr(faults, "__path__", [*faults.__path__, str(tmp_path)])
    return faults.fault("address-conflict")


def test_the_example_in_the_docs_is_a_fault(lab: Lab, example: faults.Fault, tmp_path: Path) -> None:
    """It is found without being listed, does what it says on a real pair, and is healed."""
    run = trial_of(lab, example, tmp_path, Settings(limit_ms=5000))
    assert example.describe
    assert {run.verdict(check) for check in ("expected-move", "service-back", "single-owner")} == {"pass"}
    assert run.trial["outage_ms"] == 0
    assert run.trial["dual_owner_ms"] > 0
    assert run.traces == []
    faults.heal(lab, example, lab.spec.preferred)
    await_whole(lab)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "use one of: apache-error"),
        ("loss:shares=0.5", "it has share"),
        ("loss:share=2", "from 0 to 1"),
        ("node-kill:x=1", "it has none"),
    ],
)
def test_nonsense_is_refused_before_anything_is_done(text: str, says: str) -> None:
    """No such fault, parameter or value: one error that says what is possible."""
    for command in (["inject", text], ["failover", "--fault", text]):
        assert says in complaint(run_cli(*command), 3)


def test_where_nobody_or_everybody_is_active_the_node_must_be_named(printed: Lab) -> None:
    """As printed both nodes have the VIP, so there is no active one to strike."""
    told = complaint(run_cli("inject", "none", "--name", printed.name), 3)
    assert all(f"--node {node}" in told for node in printed.nodes)


def test_no_such_node(lab: Lab) -> None:
    """A node's name that is none is refused with the names there are."""
    told = complaint(run_cli("inject", "none", "--name", lab.name, "--node", "master"), 3)
    assert all(node in told for node in lab.nodes)


def test_a_node_cut_off_is_silent(lab: Lab) -> None:
    """Nobody reaches a node that is cut off, by any protocol: ARP goes unanswered, too."""
    fault, preferred = faults.fault("partition-full"), lab.spec.preferred
    address = str(lab.spec.nodes[preferred].address)
    faults.inject(lab, fault, preferred)
    try:
        told = lab.client.run("arping", "-r", "-i", lab.spec.network.interface, "-c", "3", "-W", "0.2", address)
        assert ":" not in told.output
        assert lab.client.run("ping", "-c", "1", "-W", "1", address).exit_code != 0
    finally:
        _await_takeover(lab)
        faults.heal(lab, fault, preferred)
        lab.restore()


def test_only_the_nodes_own_disk_is_full(lab: Lab) -> None:
    """A full /var holds what it held, takes nothing more, and is not the file system that the container lives on."""
    fault, preferred = faults.fault("disk-full"), lab.spec.preferred
    node = lab.node(preferred)
    listing = ("sh", "-c", "cd /var && find . -type f -not -name 'monit*' | sort")
    before = node.must(*listing)
    faults.inject(lab, fault, preferred)
    try:
        assert node.run("sh", "-c", "echo more >/var/log/more").exit_code != 0
        assert node.run("sh", "-c", "echo more >/root/more").exit_code == 0
        assert set(node.must(*listing).split()) - {"./full", "./log/more"} == set(before.split())
        assert int(node.must("df", "--output=size", "-k", "/var").split()[-1]) < 200 * 1024
    finally:
        faults.heal(lab, fault, preferred)
        lab.restore()
    assert node.run("sh", "-c", "echo more >/var/log/more && rm /var/log/more").exit_code == 0


@pytest.fixture(scope="module")
def staying(engine: Engine) -> Iterator[Lab]:
    """A pair with auto_failback off."""
    with lab_up(engine, fast(named("staying"), auto_failback=False)) as up:
        await_whole(up)
        yield up


def test_without_auto_failback_the_service_stays(staying: Lab, tmp_path: Path) -> None:
    """The preferred node comes back, the peer goes on serving, and the client sees nothing of it."""
    run = trial_of(staying, faults.fault("failback"), tmp_path, Settings(limit_ms=5000))
    peer = staying.spec.peer_of(staying.spec.preferred)
    assert [run.trial["server_before"], run.trial["server_after"], run.trial["outage_ms"]] == [peer, peer, 0.0]
    assert (staying.spec.preferred, "failback") not in run.markers()
    assert {run.verdict(check) for check in ("expected-move", "single-owner")} == {"pass"}
    assert json.loads((run.folder.path / "result.json").read_text())["predicted"]["outage_ms"] == [0.0, 0.0]


def _await_takeover(lab: Lab) -> None:
    """Until the peer has the VIP: a takeover that is cut short is another story."""
    peer = lab.spec.peer_of(lab.spec.preferred)
    wait_until(
        lambda: lab.status(peer), lambda now: now.vip and now.resources == "all", 60, f"{peer} has it", lab.tails
    )
