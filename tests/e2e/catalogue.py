"""What each fault of the catalogue must do to a real pair, and the runs that show it, several pairs at a time.

The pairs have the least privileges: what works with these works with more. The other tests' pairs have the default's.
"""

import queue
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit import faults, history, runner
from labkit.cluster import Lab
from labkit.engine import Engine
from labkit.errors import LabkitError
from labkit.heartbeat import commands
from labkit.judging import judge
from labkit.probe import Settings
from labkit.store import RunFolder
from tests.e2e.helpers import await_whole, fast, lab_up, named

PAIRS = 2  # at once: most of a trial is waiting
PATIENT = Settings(limit_ms=5000)  # a stall of the machine is no outage then


@dataclass(frozen=True)
class Row:
    """What must be seen besides the fault's own expectation. Bounds of time are none of it: they are the checks'.

    outcomes: of requests, at least. preferred, peer: markers that these must log from the fault on. never: markers that
    nobody may log. order: markers that must come in this order, whoever logs them.
    """

    outcomes: frozenset[str] = frozenset()
    preferred: frozenset[str] = frozenset()
    peer: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)


def _set(*words: str) -> frozenset[str]:
    return frozenset(words)


MOVES = _set("giving-up", "handing-over", "taking-over", "declared-dead")
TAKES = _set("declared-dead", "taking-over", "acquiring", "address-up")
RESTARTS = _set("returning", "stopping", "giving-up")
HANDED_OVER = ("monitor-tripped", "handing-over", "standby-requested", "giving-up", "address-up", "takeover-complete")
SWITCHED = ("standby-requested", "giving-up", "address-down", "acquiring", "address-up", "takeover-complete")
GONE = ("declared-dead", "taking-over", "address-up", "takeover-complete")

ROWS = {
    "apache-error": Row(_set("http-error"), order=HANDED_OVER),
    "apache-hang": Row(_set("timeout"), order=HANDED_OVER),
    "apache-kill": Row(_set("refused"), order=HANDED_OVER),
    # Its cure is the guide's S15, so that it fails back by itself.
    "apache-stop": Row(_set("refused"), _set("failback"), order=HANDED_OVER),
    # Either node may be the one that hears the other return, and restarts itself.
    "cpu-starve": Row(peer=TAKES, order=("declared-dead", "taking-over", "returning", "stopping")),
    "disk-full": Row(never=MOVES, settings=PATIENT),
    "failback": Row(_set("refused"), order=(*SWITCHED, "failback")),
    "heartbeat-freeze": Row(preferred=_set("both-own"), peer=TAKES | RESTARTS | {"both-own"}),
    "heartbeat-kill": Row(
        preferred=_set("acquiring", "failback"), peer=TAKES | {"giving-up"}, never=_set("returning"), settings=PATIENT
    ),
    "heartbeat-stop": Row(_set("refused"), order=("stopping", "giving-up", "shutdown-notice", "address-up")),
    "link-down": Row(preferred=_set("declared-dead") | RESTARTS, peer=TAKES | RESTARTS),
    "loss": Row(never=MOVES, settings=PATIENT),
    "node-kill": Row(preferred=_set("failback"), peer=TAKES, never=_set("returning"), order=GONE),
    "node-pause": Row(_set("timeout"), _set("both-own"), TAKES | RESTARTS | {"both-own"}, order=GONE),
    "node-reboot": Row(
        preferred=_set("acquiring", "address-up", "failback"), peer=TAKES, never=_set("returning"), order=GONE
    ),
    "none": Row(never=MOVES, settings=Settings(cadence_ms=5, limit_ms=5000)),
    "partition": Row(
        preferred=_set("declared-dead", "returning", "stopping", "giving-up"), peer=TAKES | RESTARTS, settings=PATIENT
    ),
    "partition-full": Row(preferred=_set("declared-dead", "returning", "stopping"), peer=TAKES | RESTARTS),
    "partition-oneway": Row(preferred=_set("both-own"), peer=TAKES | RESTARTS, settings=PATIENT),
    "standby": Row(_set("refused"), order=SWITCHED),
    "takeover": Row(_set("refused"), order=SWITCHED),
}


@dataclass(frozen=True)
class Run:
    """A finished run of one trial. lab: the pair that it ran on, which may be gone by now. before, after: the nodes'
    files on either side of it. traces: what the fault left on the nodes, though it was healed. secret: the pair's key.
    """

    fault: faults.Fault
    lab: Lab
    folder: RunFolder
    result: dict[str, Any]
    before: dict[str, str]
    after: dict[str, str]
    traces: list[str]
    secret: bytes

    @property
    def events(self) -> list[history.Event]:
        return history.read(self.folder.history)

    @property
    def trial(self) -> dict[str, Any]:
        (trial,) = self.result["trials"]
        return dict(trial)

    def verdict(self, check: str) -> str:
        return next(str(one["verdict"]) for one in self.result["checks"] if one["check"] == check)

    def markers(self) -> list[tuple[str, str]]:
        """(node, marker) of each log line that has one, from the fault to the trial's end, in order of time."""
        struck = next(event["before_ns"] for event in self.events if event["event"] == "fault")
        lines = [event for event in self.events if event["event"] == "log" and event["marker"]]
        lines.sort(key=lambda line: int(line["t_ns"]))
        return [(line["node"], line["marker"]) for line in lines if line["t_ns"] >= struck]


def trial_of(lab: Lab, fault: faults.Fault, root: Path, settings: Settings | None = None, seed: int = 1) -> Run:
    """One trial on a pair that is whole, which it is again afterwards. Raises what the runner raises."""
    await_whole(lab)
    before = lab.files()
    folder = RunFolder.create(root, fault.name)
    runner.run(lab, runner.Scenario(fault, seed=seed, settings=settings or Settings()), folder, watch=lambda _: None)
    await_whole(lab)
    secret = lab.node(lab.spec.preferred).get(commands.AUTHKEYS).split()[-1]
    return Run(fault, lab, folder, judge(folder), before, lab.files(), traces(lab), secret)


def traces(lab: Lab) -> list[str]:
    """What is left of any fault on the nodes, or on record: nothing, if they were healed."""
    found = [f"on record: {name} on {node}" for name, node in faults.unhealed(lab).items()]
    for name, node in lab.nodes.items():
        told = node.must(
            "sh", "-c", "iptables-save; tc qdisc show; cat /proc/self/mounts; ls /etc/apache2/conf-enabled"
        )
        found += [f"{name}: {line}" for line in told.splitlines() if "labkit-" in line or "blackhole" in line]
        limits = node.inspect()["HostConfig"]
        if limits["CpuQuota"] < limits["CpuPeriod"]:
            found.append(f"{name} is limited to {limits['CpuQuota']} us of CPU")
        if loops := node.run("pgrep", "-x", "yes").output.split():
            found.append(f"{name} has busy loops: {loops}")
        daemons = node.must("pgrep", "-f", "master control process").split()
        if len(daemons) != 1:
            found.append(f"{name} has {len(daemons)} daemons")
    return found


class Catalogue:
    """The faults' runs, begun at once on PAIRS pairs of their own. A context manager: it ends what still goes on."""

    def __init__(self, engine: Engine, wanted: Iterable[str], root: Path) -> None:
        self._engine = engine
        self._root = root
        self._runs: dict[str, Future[Run]] = {name: Future() for name in wanted}
        self._todo: queue.SimpleQueue[str] = queue.SimpleQueue()
        for name in sorted(self._runs, key=_order):
            self._todo.put(name)
        count = min(PAIRS, len(self._runs))
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]

    def __enter__(self) -> "Catalogue":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(queue.Empty):
            while True:
                self._runs[self._todo.get_nowait()].cancel()
        for thread in self._threads:
            thread.join()

    def run(self, fault: str) -> Run:
        """The run of a fault, waited for. Raises what went wrong in it."""
        return self._runs[fault].result()

    def _work(self, number: int) -> None:
        """One pair, for as long as there is something to do that its privileges suffice for; then another one. A pair
        that a failed run left behind is made anew, too."""
        with suppress(queue.Empty):
            name = self._todo.get_nowait()
            while True:
                more = _needs_more(name)
                try:
                    with lab_up(self._engine, fast(named(f"catalogue-{number}"), privileged=more)) as lab:
                        while _needs_more(name) == more:
                            self._runs[name].set_result(
                                trial_of(lab, faults.fault(name), self._root, ROWS[name].settings)
                            )
                            name = self._todo.get_nowait()
                except (LabkitError, AssertionError) as error:
                    if not self._runs[name].done():
                        self._runs[name].set_exception(error)
                    name = self._todo.get_nowait()


def _needs_more(name: str) -> bool:
    """Whether a fault needs more than the least privileges, which all others run with."""
    return bool(faults.needs(faults.fault(name)))


def _order(name: str) -> tuple[bool, bool]:
    """Those that take longest to heal go first, those that need a pair of another kind last."""
    return _needs_more(name), not faults.fault(name).expect(fast("any")).dual_owner
