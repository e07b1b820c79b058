"""Failovers through the real runner: what each fault does to the pair, what a run keeps, and that all is healed."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import ARP
from scapy.utils import PcapReader

from labkit import faults, history, runner
from labkit.cluster import Bracket, Lab
from labkit.faults import Fault
from labkit.heartbeat import commands
from labkit.judging import judge
from labkit.probe import Settings
from labkit.spec import Spec, load
from labkit.store import RunFolder
from tests.e2e.helpers import assert_valid_result, await_whole

KEY = re.compile(r"^1 sha1 (\S+)$", re.MULTILINE)
ERROR_MS = 10.0  # one cadence of the probe


@dataclass(frozen=True)
class Run:
    """A finished run on the shared pair. before, after: the nodes' files on either side of it."""

    fault: Fault
    folder: RunFolder
    result: dict[str, Any]
    before: dict[str, str]
    after: dict[str, str]

    @property
    def events(self) -> list[history.Event]:
        return history.read(self.folder.history)

    def verdict(self, check: str) -> str:
        return next(str(one["verdict"]) for one in self.result["checks"] if one["check"] == check)


FAULTS = faults.all_faults()
MOVING = {name: fault for name, fault in FAULTS.items() if fault.expects_move(Spec())}


def _run(lab: Lab, scenario: runner.Scenario, root: Path) -> Run:
    before = lab.files()
    folder = RunFolder.create(root, scenario.fault.name)
    runner.run(lab, scenario, folder, watch=lambda _: None)
    return Run(scenario.fault, folder, judge(folder), before, lab.files())


@pytest.fixture(scope="module")
def measured(pair: Lab, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Fault], Run]:
    """One trial of a fault on the shared pair, made when it is first asked for. The pair is whole on either side."""
    done: dict[str, Run] = {}

    def measure(fault: Fault) -> Run:
        if fault.name not in done:
            await_whole(pair)
            done[fault.name] = _run(pair, runner.Scenario(fault, seed=1), tmp_path_factory.mktemp("runs"))
            await_whole(pair)
        return done[fault.name]

    return measure


@pytest.fixture(params=FAULTS.values(), ids=list(FAULTS))
def run(request: pytest.FixtureRequest, measured: Callable[[Fault], Run]) -> Run:
    """That of each fault there is."""
    return measured(request.param)


def test_the_service_ends_up_where_the_fault_says(run: Run, pair: Lab) -> None:
    """The preferred node serves before, and afterwards its peer if the fault says so; never do both have the VIP."""
    trial = run.result["trials"][0]
    first, second = pair.nodes
    moves = run.fault.expects_move(pair.spec)
    assert (trial["node"], trial["server_before"]) == (first, first)
    assert trial["server_after"] == (second if moves else first)
    assert trial["dual_owner_ms"] == 0
    assert {run.verdict(check) for check in ("expected-move", "service-back", "single-owner")} == {"pass"}


@pytest.mark.parametrize("fault", MOVING.values(), ids=list(MOVING))
def test_a_move_is_measured(fault: Fault, measured: Callable[[Fault], Run], pair: Lab) -> None:
    """Outage, detection and takeover are there, one after the other, and the outage is set beside its prediction."""
    run = measured(fault)
    trial = run.result["trials"][0]
    assert trial["outage_ms"] > 0
    assert trial["detection_ms"] > 0
    assert trial["takeover_ms"] > 0
    assert trial["requests"] > trial["requests_failed"] > 0
    assert trial["failback_outage_ms"] > 0
    back_ms = trial["outage_start_ms"] + trial["outage_ms"]
    assert trial["detection_ms"] + trial["takeover_ms"] < back_ms + ERROR_MS
    steps = [phase["name"] for phase in trial["phases"]]
    assert {"fault", "last good answer"} < set(steps)
    assert steps[-1] == "first good answer"
    assert run.result["predicted"]["outage_ms"] == list(run.fault.predict(pair.spec) or ())
    assert run.verdict("within-predicted-band") in ("pass", "fail")  # which of the two is this machine's affair


def test_the_pair_is_back_in_its_starting_state(run: Run, lab: Lab) -> None:
    """After a run the preferred node alone has the VIP, both pages are served, and the nodes' files are as before."""
    await_whole(lab)
    assert all(lab.answers(str(node.address)) for node in lab.spec.nodes.values())
    assert run.before == run.after


def test_the_run_folder_is_complete(run: Run, pair: Lab) -> None:
    """Spec, rendered files, history, logs of both nodes and reports are there, and the result is valid."""
    path = run.folder.path
    assert load(path / "spec.yaml") == pair.spec
    assert run.folder.rendered() == run.before
    for node in pair.nodes:
        assert "Heartbeat" in (path / "logs" / f"{node}.log").read_text()
        assert {commands.HA_CF, commands.HARESOURCES, commands.AUTHKEYS} <= {
            name.removeprefix(node) for name in run.before
        }
    head = history.header(run.events)
    assert (head["fault"], head["trials"], head["network"]) == (run.fault.name, 1, pair.network)
    assert set(head["macs"]) == set(pair.nodes)
    assert head["packages"]["heartbeat"]
    assert_valid_result(json.loads((path / "result.json").read_text()))
    assert run.fault.name in (path / "report.md").read_text()
    assert "<svg" in (path / "report.html").read_text()


def test_the_capture_has_arp_and_heartbeats(run: Run, pair: Lab) -> None:
    """capture.pcap has the answers to the watcher's questions and the heartbeats of both nodes."""
    told: set[str] = set()
    beats: set[str] = set()
    with PcapReader(str(run.folder.path / "capture.pcap")) as packets:
        for packet in packets:
            if ARP in packet and packet[ARP].op == 2:
                told.add(packet[ARP].psrc)
            elif UDP in packet and packet[UDP].dport == pair.spec.timing.udpport:
                beats.add(packet.payload.src)
    assert pair.vip in told
    assert beats == {str(node.address) for node in pair.spec.nodes.values()}


def test_the_secret_is_in_no_file_of_a_run(run: Run, pair: Lab) -> None:
    """The key that signs the heartbeats stays in the nodes."""
    keys = {KEY.findall(node.get(commands.AUTHKEYS).decode())[0] for node in pair.nodes.values()}
    assert len(keys) == 1
    key = keys.pop().encode()
    written = [path for path in run.folder.path.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert [path for path in written if key in path.read_bytes()] == []


def test_a_dead_node_is_noticed_no_earlier_than_heartbeats_rule(measured: Callable[[Fault], Run], pair: Lab) -> None:
    """After a power cut the peer waits until nothing was heard for deadtime; the last word is at most keepalive old."""
    timing = pair.spec.timing
    (trial,) = measured(faults.fault("node-kill")).result["trials"]
    assert trial["detection_ms"] >= timing.deadtime_ms - timing.keepalive_ms - ERROR_MS


def test_the_guides_last_step_returns_control(measured: Callable[[Fault], Run], pair: Lab) -> None:
    """S15: with apache2 started again and Heartbeat restarted on the master, it fails back there by itself."""
    master, slave = pair.nodes
    (trial,) = history.trials(measured(faults.fault("apache-stop")).events)
    heal = trial.fault("heal")
    assert heal
    assert heal["node"] == master
    served = [one["server"] for one in trial.of("request") if one["outcome"] == "good"]
    assert (served[0], served[-1]) == (master, master)
    assert slave in served
    said = {(one["node"], one["marker"]) for one in trial.of("log") if one["t_ns"] > heal["before_ns"]}
    assert (master, "failback") in said


class Nothing:
    """A fault that does nothing, the reference: whatever is measured then is the instrument's own."""

    name = "nothing"
    describe = "nothing happens"

    def expects_move(self, spec: Spec) -> bool:
        return False

    def predict(self, spec: Spec) -> tuple[float, float] | None:
        return 0.0, 0.0

    def inject(self, lab: Lab, node: str) -> Bracket:
        now = lab.now_ns()
        return Bracket(now, now)

    heal = inject


def test_nothing_happens_when_nothing_is_done(lab: Lab, tmp_path: Path) -> None:
    """Over a thousand requests without a fault not one fails, and the outage is 0, which is not the same as null."""
    scenario = runner.Scenario(Nothing(), settings=Settings(cadence_ms=5))
    done = _run(lab, scenario, tmp_path)
    (trial,) = done.result["trials"]
    assert trial["requests"] >= 1000
    assert trial["requests_failed"] == 0
    assert (trial["outage_ms"], trial["detection_ms"], trial["takeover_ms"]) == (0, None, None)
    assert (trial["server_before"], trial["server_after"]) == (lab.spec.preferred, lab.spec.preferred)
    assert {done.verdict(check) for check in ("expected-move", "service-back", "within-predicted-band")} == {"pass"}


def test_as_printed_nothing_moves(printed: Lab, tmp_path: Path) -> None:
    """Configured as the guide prints it, both nodes have the VIP, and stopping apache2 on one of them moves nothing:
    no node takes over, and where a client ends up depends on whose ARP answer it heard last."""
    done = _run(printed, runner.Scenario(faults.fault("apache-stop")), tmp_path)
    trial = done.result["trials"][0]
    assert trial["dual_owner_ms"] > 0
    assert done.verdict("single-owner") == "fail"
    assert done.result["predicted"]["outage_ms"] is None
    assert trial["takeover_ms"] is None

    (the_trial,) = history.trials(done.events)
    inject, heal = the_trial.fault("inject"), the_trial.fault("heal")
    assert inject
    assert heal
    between = [one for one in the_trial.of("log") if inject["before_ns"] < one["t_ns"] < heal["before_ns"]]
    assert [one for one in between if one["marker"] in ("taking-over", "acquiring", "address-up")] == []
    refused = [one for one in the_trial.of("request") if one["outcome"] == "refused"]
    assert all(inject["before_ns"] < one["t_ns"] for one in refused)
    assert printed.owners() == list(printed.nodes)
