"""The catalogue of faults on real pairs: each does what it says, the pair does what is expected of it, and is healed.

Bounds of time are those that follow from rules, and lower ones only: how fast a machine is, no test can know.
"""

from pathlib import Path

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import ARP
from scapy.utils import PcapReader

from labkit import faults, history
from labkit.heartbeat import commands
from labkit.spec import load
from tests.e2e.catalogue import ROWS, Catalogue, Run
from tests.e2e.helpers import assert_valid_result

pytestmark = pytest.mark.timeout(1200)  # the first test waits for its fault's turn, on pairs that are to be started

EACH = pytest.mark.parametrize("fault", ROWS)
JUDGED = {"expected-move", "service-back", "single-owner"}  # without regard to how fast the machine is
STAYING = [name for name, row in ROWS.items() if row.never >= {"handing-over", "declared-dead"}]


@pytest.fixture
def run(catalogue: Catalogue, fault: str) -> Run:
    return catalogue.run(fault)


def test_every_fault_has_its_row() -> None:
    """A fault without a row here would be one that nobody has seen at work."""
    assert list(ROWS) == list(faults.all_faults())


@EACH
def test_least_privileges_are_enough(run: Run, fault: str) -> None:
    """What these tests find was found on nodes with the least privileges, but for faults that say they need more."""
    assert (run.lab.grant == "least") == (not faults.needs(run.fault))
    assert run.events[0]["grant"] == run.lab.grant


@EACH
def test_the_outcome_is_the_expected_one(run: Run, fault: str) -> None:
    """The service moves or stays, one node or two own the VIP, as the fault says; not sooner than the rules allow."""
    expected = run.fault.expect(run.lab.spec)
    trial = run.trial
    first, second = run.lab.nodes
    before = second if fault == "failback" else first
    after = run.lab.spec.peer_of(before) if expected.moves else before
    assert [trial["server_before"], trial["server_after"]] == [before, after]
    assert (trial["dual_owner_ms"] > 0) == expected.dual_owner
    assert {run.verdict(check) for check in JUDGED} == {"pass"}, run.result["checks"]
    assert trial["requests"] > 0
    if expected.outage_ms is not None:
        assert trial["outage_ms"] >= expected.outage_ms[0] - trial["outage_error_ms"]


@EACH
def test_the_nodes_and_the_client_saw_what_the_fault_does(run: Run, fault: str) -> None:
    """The logs have the markers that belong to it, in their order, and the client's requests failed in its way."""
    row, said = ROWS[fault], run.markers()
    first, second = ({marker for node, marker in said if node == which} for which in run.lab.nodes)
    assert first >= row.preferred, said
    assert second >= row.peer, said
    assert not row.never & (first | second), said
    rest = iter(marker for _, marker in said)
    assert [marker for marker in row.order if marker not in rest] == [], said
    assert set(run.trial["outcomes"]) >= row.outcomes


@EACH
def test_all_is_healed(run: Run) -> None:
    """After a run nothing of the fault is left on the nodes or on record, and their files are as before."""
    assert run.traces == []
    assert run.before == run.after


@pytest.mark.parametrize("fault", STAYING)
def test_nothing_happens_where_nothing_should(run: Run) -> None:
    """Not one request failed, and the outage is 0, which is not the same as null."""
    trial = run.trial
    assert trial["requests_failed"] == 0
    assert (trial["outage_ms"], trial["detection_ms"], trial["takeover_ms"]) == (0, None, None)
    assert run.verdict("within-predicted-band") == "pass"


@pytest.mark.parametrize("fault", ["none"])
def test_the_instrument_sees_nothing_where_there_is_nothing(run: Run) -> None:
    """The reference: over a thousand requests without a fault, and no outage among them."""
    assert run.trial["requests"] >= 1000
    assert run.trial["outage_ms"] == 0


@pytest.mark.parametrize("fault", ["apache-stop", "node-kill", "standby"])
def test_a_move_is_measured(run: Run) -> None:
    """Outage, detection and takeover are there, one after the other, and the outage is set beside its prediction."""
    trial = run.trial
    assert min(trial["outage_ms"], trial["detection_ms"], trial["takeover_ms"], trial["failback_outage_ms"]) > 0
    assert trial["requests"] > trial["requests_failed"] > 0
    back_ms = trial["outage_start_ms"] + trial["outage_ms"]
    assert trial["detection_ms"] + trial["takeover_ms"] < back_ms + trial["outage_error_ms"]
    steps = [phase["name"] for phase in trial["phases"]]
    assert {"fault", "last good answer"} < set(steps)
    assert steps[-1] == "first good answer"
    assert run.result["predicted"]["outage_ms"] == list(run.fault.expect(run.lab.spec).outage_ms or ())
    assert run.verdict("within-predicted-band") in ("pass", "fail")  # which of the two is this machine's affair


@pytest.mark.parametrize("fault", ["node-kill"])
def test_a_dead_node_is_noticed_no_earlier_than_heartbeats_rule(run: Run) -> None:
    """After a power cut the peer waits until nothing was heard for deadtime; the last word is at most keepalive old."""
    timing, trial = run.lab.spec.timing, run.trial
    assert trial["detection_ms"] >= timing.deadtime_ms - timing.keepalive_ms - trial["outage_error_ms"]


@pytest.mark.parametrize("fault", ["apache-stop", "partition"])
def test_the_run_folder_is_complete(run: Run, fault: str) -> None:
    """Spec, rendered files, history, logs of both nodes and reports are there, and the result is valid."""
    path = run.folder.path
    assert load(path / "spec.yaml") == run.lab.spec
    assert run.folder.rendered() == run.before
    for node in run.lab.nodes:
        assert "Heartbeat" in (path / "logs" / f"{node}.log").read_text()
        assert {commands.HA_CF, commands.HARESOURCES, commands.AUTHKEYS} <= {
            name.removeprefix(node) for name in run.before
        }
    head = history.header(run.events)
    assert (head["fault"], head["trials"], head["network"]) == (fault, 1, run.lab.network)
    assert set(head["macs"]) == set(run.lab.nodes)
    assert head["packages"]["heartbeat"]
    assert_valid_result(run.result)
    assert fault in (path / "report.md").read_text()
    assert "<svg" in (path / "report.html").read_text()


@pytest.mark.parametrize("fault", ["cpu-starve", "loss"])
def test_false_failovers_are_counted(run: Run, fault: str) -> None:
    """Where both nodes are alive, each declaration of death is a false one: the starved node's, and none for a loss."""
    rate = run.result["false_failovers"]
    assert (rate["seen"] > 0) == (fault == "cpu-starve")
    assert rate["watched_s"] > 0


@EACH
def test_every_result_is_valid(run: Run) -> None:
    """Whatever the fault does, its result keeps to the published schema."""
    assert_valid_result(run.result)


@pytest.mark.parametrize("fault", ["apache-stop", "partition"])
def test_the_capture_has_arp_and_heartbeats(run: Run) -> None:
    """capture.pcap has the answers to the watcher's questions and the heartbeats of both nodes."""
    told: set[str] = set()
    beats: set[str] = set()
    spec = run.lab.spec
    with PcapReader(str(run.folder.path / "capture.pcap")) as packets:
        for packet in packets:
            if ARP in packet and packet[ARP].op == 2:
                told.add(packet[ARP].psrc)
            elif UDP in packet and packet[UDP].dport == spec.timing.udpport:
                beats.add(packet.payload.src)
    assert run.lab.vip in told
    assert beats == {str(node.address) for node in spec.nodes.values()}


@pytest.mark.parametrize("fault", ["apache-stop", "partition"])
def test_the_secret_is_in_no_file_of_a_run(run: Run) -> None:
    """The key that signs the heartbeats stays in the nodes."""
    assert len(run.secret) == 40
    written = [path for path in Path(run.folder.path).rglob("*") if path.is_file()]
    assert len(written) > 10
    assert [path for path in written if run.secret in path.read_bytes()] == []


@pytest.mark.parametrize("fault", ["apache-stop"])
def test_the_guides_last_step_returns_control(run: Run) -> None:
    """S15: with apache2 started again and Heartbeat restarted on the master, it serves again by itself."""
    master, slave = run.lab.nodes
    (trial,) = history.trials(run.events)
    heal = trial.fault("heal")
    assert heal
    assert heal["node"] == master
    served = [one["server"] for one in trial.of("request") if one["outcome"] == "good"]
    assert (served[0], served[-1]) == (master, master)
    assert slave in served
