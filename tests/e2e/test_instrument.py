"""The instrument against itself: what it measures is held to what was done, by stamps that are not its own.

That nothing is measured where nothing is done stands in the catalogue's tests, at the fault `none`.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from labkit import faults, history, runner
from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation
from labkit.history import Event
from labkit.judging import judge
from labkit.measure.service import in_hand_ns
from labkit.spec import Spec
from labkit.store import CAPTURE, RunFolder
from labkit.wire import wire_events

AWAY_MS = 700  # below the time limit of a request, so that none lives through it by sending again
CLOCK_ERROR_MS = 1.0  # of a packet's stamp: both clocks are read back to back once a second
QUICK_MS = 5.0  # for the agent to be told of a packet, where it is not late with everything else, too

# Takes the address $1/$3 away from link $2 for $4 ms and stamps both acts on either side.
TAKE_AWAY = """
import json, subprocess, sys, time
address, link, prefix, away_ms = sys.argv[1:]
def stamp():
    return int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e9)
def ip(verb):
    before = stamp()
    subprocess.check_call(["ip", "address", verb, address + "/" + prefix, "dev", link])
    return [before, stamp()]
gone = ip("del")
while stamp() < gone[1] + int(away_ms) * 1000000:
    time.sleep(0.001)
print(json.dumps({"gone": gone, "back": ip("add")}))
"""


class Blackout:
    """A fault of these tests alone: the service is away for a known time. gone, back: when, by the node's stamps."""

    name = "blackout"
    describe = "the VIP is away for a known time"

    def __init__(self) -> None:
        self.gone: list[Bracket] = []
        self.back: list[Bracket] = []

    def expect(self, spec: Spec) -> Expectation:
        return Expectation(moves=False, why="the address comes back where it was")

    def inject(self, lab: Lab, node: str) -> Bracket:
        network = lab.spec.network
        prefix = str(network.subnet).rpartition("/")[2]
        what = (str(network.vip), network.interface, prefix, str(AWAY_MS))
        told = json.loads(lab.node(node).must("python3", "-c", TAKE_AWAY, *what))
        self.gone.append(Bracket(*told["gone"]))
        self.back.append(Bracket(*told["back"]))
        return self.gone[-1]

    def heal(self, lab: Lab, node: str) -> Bracket:
        return lab.act(node, "true")


class Done(NamedTuple):
    """A run: its result and its history, with what the capture adds."""

    result: dict[str, Any]
    events: list[Event]


def run(lab: Lab, scenario: runner.Scenario, root: Path) -> Done:
    folder = RunFolder.create(root, scenario.fault.name)
    runner.run(lab, scenario, folder, lambda event: None)
    events = history.read(folder.history)
    return Done(judge(folder), events + wire_events(folder.path / CAPTURE, events))


def test_a_known_outage_is_measured_within_a_cadence_and_the_bracket(lab: Lab, tmp_path: Path) -> None:
    """The address is away for 700 ms, by stamps taken on the node. Answers are a cadence apart, so the outage is longer
    by one, give or take one, and the width of both acts.

    That takes a request in each slot, and an answer at once. By how much the requests next to the two acts missed that
    is added, so that a busy machine does not fail the test: what is asked for is that the instrument adds no error of
    its own. A request that was asked for meanwhile must have failed, and one that was asked for afterwards must not.
    """
    blackout = Blackout()
    done = run(lab, runner.Scenario(blackout, trials=3, seed=1), tmp_path)
    for trial, figures, gone, back in zip(
        history.trials(done.events), done.result["trials"], blackout.gone, blackout.back, strict=True
    ):
        requests = trial.of("request")
        cadence_ns = figures["outage_error_ms"] * 1e6
        started = {request["slot"]: request["t_ns"] + request["late_us"] * 1000 for request in requests}
        meanwhile = [r for r in requests if gone.after_ns <= started[r["slot"]] and in_hand_ns(r) < back.before_ns]
        assert {r["outcome"] for r in meanwhile} <= {"timeout", "unreachable"}
        good_ns = sorted(in_hand_ns(r) for r in requests if r["outcome"] == "good")
        before_ns = max(instant for instant in good_ns if instant <= gone.before_ns)
        last_ns = max(instant for instant in good_ns if instant < back.before_ns)
        afterwards = min((r for r in requests if started[r["slot"]] >= back.after_ns), key=in_hand_ns)
        assert afterwards["outcome"] == "good"

        missed_ns = (
            max(0, gone.before_ns - before_ns - cadence_ns)  # the last answer came early
            + max(0, in_hand_ns(afterwards) - back.after_ns - cadence_ns)  # the first one came late
            + max(0, last_ns - gone.after_ns)  # an answer was on its way, and read late
        )
        bracket_ns = (gone.after_ns - gone.before_ns) + (back.after_ns - back.before_ns)
        away_ns = (back.before_ns + back.after_ns - gone.before_ns - gone.after_ns) / 2
        assert figures["outage_ms"] is not None
        error_ns = abs(figures["outage_ms"] * 1e6 - cadence_ns - away_ns)
        assert error_ns <= cadence_ns + bracket_ns + missed_ns, (figures["outage_ms"], away_ns / 1e6, missed_ns / 1e6)
        assert away_ns >= AWAY_MS * 1e6


@pytest.fixture(scope="module")
def switched(pair: Lab, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A planned switch and its way back: both nodes announce the VIP once each."""
    return run(pair, runner.Scenario(faults.fault("standby"), seed=1), tmp_path_factory.mktemp("runs"))


def test_the_capture_and_the_agent_hear_the_same_announcements(switched: Done, lab: Lab) -> None:
    """Every gratuitous ARP, by tcpdump's stamps and by the agent's own: the same ones in the same order, and the agent
    is behind the wire by no more than it is behind its schedule anyway."""
    (trial,) = history.trials(switched.events)
    wire = sorted((e["t_ns"], e["mac"]) for e in trial.of("wire") if e["kind"] == "gratuitous")
    heard = sorted((e["t_ns"], e["mac"]) for e in trial.of("arp") if e["kind"] == "gratuitous")
    assert [mac for _, mac in wire] == [mac for _, mac in heard]
    assert {mac for _, mac in wire} == set(lab.macs())
    late_ms = max(request["late_us"] for request in trial.of("request")) / 1000
    behind_ms = [(agent_ns - wire_ns) / 1e6 for (wire_ns, _), (agent_ns, _) in zip(wire, heard, strict=True)]
    assert min(behind_ms) >= -CLOCK_ERROR_MS
    assert max(behind_ms) <= CLOCK_ERROR_MS + QUICK_MS + late_ms


def test_the_phases_of_log_wire_and_probe_fit_together(switched: Done) -> None:
    """Three instruments, one clock: the address is up before it is announced, it is announced after the move was asked
    for, and all of it lies between the last good answer and the first one."""
    (trial,) = switched.result["trials"]
    at_ms = {phase["name"]: phase["t_ms"] for phase in trial["phases"]}
    way = ["fault", "noticed", "acquiring", "address up", "gratuitous ARP"]
    instants_ms = [at_ms[name] for name in way]
    assert None not in instants_ms
    assert instants_ms == sorted(instants_ms)
    assert at_ms["last heartbeat"] is None  # it never fell silent
    assert at_ms["last good answer"] < at_ms["refused"] < at_ms["first good answer"]
    assert at_ms["address up"] < at_ms["first good answer"]


def test_the_parts_of_a_trials_time_are_all_of_it(switched: Done) -> None:
    """Each is measured by its own events, and none is negative: nothing counts twice."""
    (trial,) = switched.result["trials"]
    cost = dict(trial["cost"])
    total_ms = cost.pop("total_ms")
    assert sum(cost.values()) == pytest.approx(total_ms, abs=0.01)
    assert min(cost.values()) >= 0
    assert cost["outage_ms"] >= trial["outage_ms"] + trial["outage_start_ms"] - 0.01
