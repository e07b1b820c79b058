"""Scenario -> history: injects a fault into a lab, watches, heals, and does it again. Rank 6.

Judges nothing. Heals in `finally`, so that a lab which is kept is whole whatever happened.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from hashlib import sha256
from typing import Literal, Protocol

import labkit
from labkit import faults
from labkit.cluster import Bracket, Lab
from labkit.cluster.lab import settled
from labkit.errors import Unsettled
from labkit.faults import Fault
from labkit.heartbeat import commands
from labkit.history import Event, History
from labkit.probe import Agent, Capture, LogFollower, Settings
from labkit.spec import to_yaml
from labkit.store import CAPTURE, RunFolder
from labkit.timing import MS, SECOND, now_ns, pause_until

Watch = Callable[[Event], None]

CALM_ANSWERS = 50  # good answers in a row, half a second of them, after which service counts as steady
STEADY_S = 30.0  # longest wait for that, in a lab that is at rest
# How long beyond twice deadtime a move that is expected is waited for: if the new owner does not announce itself, the
# client's ARP entry has to age, which takes Linux up to 45 s, and 8 s more until it asks anew.
MOVE_MARGIN_S = 60.0
STAY_MARGIN_S = 5.0  # how long beyond deadtime a service that is expected to stay is watched


Turn = Literal["measure", "mend"]


class Turns(Protocol):
    """Says when a pair may measure a trial and when it may mend itself, where several share a machine."""

    def take(self, kind: Turn) -> None: ...

    def give(self, kind: Turn) -> None: ...


class Alone:
    """The turns of a pair that has the machine to itself."""

    def take(self, kind: Turn) -> None:
        pass

    give = take


@dataclass(frozen=True)
class Scenario:
    """What to run. seed: draws each fault's instant relative to the heartbeat, so that trials sample the whole band.

    share: the numbers of the trials that are to be run, all if None. pairs: how many labs are at work on the engine.
    worker: what the machine is called where several share the trials.
    """

    fault: Fault
    trials: int = 1
    seed: int = 0
    share: Sequence[int] | None = None
    pairs: int = 1
    worker: str | None = None
    settings: Settings = field(default_factory=Settings)

    @property
    def numbers(self) -> Sequence[int]:
        """The trials that are to be run, from 1."""
        return range(1, self.trials + 1) if self.share is None else self.share

    def dealt(self, hands: int) -> list["Scenario"]:
        """The trials dealt out like cards."""
        return [replace(self, share=self.numbers[first::hands]) for first in range(hands)]

    def random(self, number: int) -> random.Random:
        """What a trial draws from: the same whichever lab runs it, and whatever trials came before."""
        return random.Random(f"{self.seed}/{number}")


def run(
    lab: Lab,
    scenario: Scenario,
    folder: RunFolder,
    watch: Watch,
    disposable: bool = False,
    turns: Turns | None = None,
) -> None:
    """Runs a scenario on a lab that is up, and fills the run's folder: history, capture, logs and files.

    watch: told each event as it happens. disposable: the lab is thrown away afterwards, so an error leaves it unhealed.
    turns: shared with the labs that run at the same time.
    Raises Unsettled if the lab does not come to rest before a trial or after healing; what was measured is kept.
    """
    faults.require(lab.spec, scenario.fault)
    faults.heal_left(lab)
    lab.await_nodes(settled, "both nodes are settled")
    folder.write("spec.yaml", to_yaml(lab.spec))
    for name, text in lab.files().items():
        folder.write(f"rendered/{name}", text)
    with lab.asking(), History.create(folder.history) as history:
        history.append(_header(lab, scenario))
        _Run(lab, scenario, folder, history, watch, disposable, turns or Alone()).all_trials()


class _Run:
    """The state of a run: its observers and the trial that goes on."""

    def __init__(
        self,
        lab: Lab,
        scenario: Scenario,
        folder: RunFolder,
        history: History,
        watch: Watch,
        disposable: bool,
        turns: Turns,
    ) -> None:
        self.turns = turns
        self.lab = lab
        self.scenario = scenario
        self.folder = folder
        self.history = history
        self.watch = watch
        self.disposable = disposable
        self.trial: int | None = None
        self.young_until_ns = 0

    def note(self, *events: Event) -> None:
        """Writes events of the present trial; between trials nothing is recorded."""
        for event in events:
            if event.get("marker") == "starting":
                self.young_until_ns = max(self.young_until_ns, event["t_ns"] + int(commands.YOUNG_MS * MS))
        if self.trial is not None:
            noted = [{**event, "trial": self.trial} for event in events]
            self.history.append(*noted)
            for event in noted:
                self.watch(event)

    def all_trials(self) -> None:
        capture = Capture(self.lab)
        agent = Agent(self.lab, self.scenario.settings, lambda events: self.note(*events))
        self.lab.clock = agent.now_ns
        followers = [
            LogFollower(node, self.wall_offset(name, agent), self.note) for name, node in self.lab.nodes.items()
        ]
        try:
            self.lab.compare_clocks()
            with self.mending():
                self.lab.restore()  # later trials find what the one before has restored
            self.grown_up("start", agent, followers)
            for number in self.scenario.numbers:
                self.one_trial(number, agent, followers)
        finally:
            self.trial = None
            self.lab.clock = None
            self.lab.shifts = {}
            for follower in followers:
                follower.close()
            agent.close()
            self.folder.write(CAPTURE, capture.stop())
            for name, log in self.lab.logs().items():
                self.folder.write(f"logs/{name}.log", log)

    def wall_offset(self, node: str, agent: Agent) -> Callable[[], int | None]:
        """A node's wall time minus the run's monotonic one, in ns, as last known."""

        def offset() -> int | None:
            shift = self.lab.shifts.get(node)
            return shift.wall_ns if shift else None if node in self.lab.elsewhere else agent.offset_ns

        return offset

    def one_trial(self, number: int, agent: Agent, followers: list[LogFollower]) -> None:
        lab = self.lab
        lab.random = self.scenario.random(number)
        with ExitStack() as measuring:
            self.await_turn(agent, measuring)
            self.trial = number
            try:
                lab.compare_clocks()
                self.note({"event": "trial-start", "t_ns": agent.now_ns()})
                for node, shift in lab.shifts.items():
                    self.note({"event": "clocks", "t_ns": agent.now_ns(), "node": node, **asdict(shift)})
                agent.wait(lambda seen: seen.good_in_a_row >= CALM_ANSWERS, STEADY_S, "the VIP answers steadily")
                active = agent.seen.server
                assert active is not None
                pause_until(now_ns() + int(lab.random.uniform(0, lab.spec.timing.keepalive_ms) * MS))
                self.note({"event": "armed", "t_ns": agent.now_ns()})
                self.note_pressure(agent)
                with self.struck(active, measuring) as bracket:
                    self.await_outcome(agent, bracket)
                    self.note_pressure(agent)
                agent.wait(lambda seen: seen.good_in_a_row >= CALM_ANSWERS, STEADY_S, "the VIP answers steadily again")
                self.grown_up(f"trial-{number}", agent, followers)
                self.note({"event": "trial-end", "t_ns": agent.now_ns()})
            except BaseException as error:
                reason = f"{type(error).__name__}: {error}"
                self.note({"event": "interrupted", "t_ns": agent.latest_ns(), "reason": reason})
                raise
            finally:
                self.trial = None

    def await_turn(self, agent: Agent, measuring: ExitStack) -> None:
        """Returns when the trial may begin. A pair that waits for others does not probe, so that it disturbs nobody.

        measuring: gives the turn back, and knows of it before an agent that has gone can raise.
        """
        with agent.resting() if self.scenario.pairs > 1 else nullcontext():
            self.turns.take("measure")
            measuring.callback(self.turns.give, "measure")

    @contextmanager
    def mending(self) -> Iterator[None]:
        self.turns.take("mend")
        try:
            yield
        finally:
            self.turns.give("mend")

    def grown_up(self, mark: str, agent: Agent, followers: list[LogFollower]) -> None:
        """Every log line until now was heard, and no daemon is so young that its death would be noticed late.

        A pair can be whole sooner than that. Without the wait, a trial that follows at once would measure the patience
        that the daemon asks for in its first seconds, not its deadtime.
        """
        for follower in followers:
            follower.catch_up(mark)
        what = "the daemons are old enough to ask for no patience"
        agent.wait(lambda seen: seen.latest_ns >= self.young_until_ns, 2 * commands.YOUNG_MS / 1000, what)

    @contextmanager
    def struck(self, node: str, measuring: ExitStack) -> Iterator[Bracket]:
        """The fault from its injection to its cure, which comes even when injecting failed. measuring: ends before."""
        fault, healing, early = self.scenario.fault, not self.disposable, True
        try:
            bracket = faults.inject(self.lab, fault, node)
            self.note_fault("inject", node, bracket)
            yield bracket
            healing, early = True, False
        finally:
            measuring.close()
            if healing:
                with self.mending():
                    self.note_fault("heal", node, faults.heal(self.lab, fault, node), early=early)
                    self.lab.restore()

    def await_outcome(self, agent: Agent, bracket: Bracket) -> None:
        """Until the service has moved and is steady, or for a fixed time where it should not move. A time-out is an
        outcome, too. What counts is who served when the fault struck: injecting may prepare the lab before that."""
        spec = self.lab.spec
        deadtime_s = spec.timing.deadtime_ms / 1000
        if faults.expect(self.scenario.fault, spec).moves:
            before = agent.seen.server_at(bracket.before_ns)
            with suppress(Unsettled):
                agent.wait(
                    lambda seen: seen.server != before and seen.good_in_a_row >= CALM_ANSWERS,
                    2 * deadtime_s + MOVE_MARGIN_S,
                    f"another node than {before} serves",
                )
        else:
            until_ns = bracket.after_ns + int((deadtime_s + STAY_MARGIN_S) * SECOND)
            agent.wait(lambda seen: seen.latest_ns >= until_ns, deadtime_s + 2 * STAY_MARGIN_S, "the watch is over")

    def note_pressure(self, agent: Agent) -> None:
        """What the agent does not tell: for how long each node that runs has waited because it had used up the CPU time
        that it is allowed, and how busy the hosts of nodes on other engines are."""
        for name, reading in self.lab.other_hosts_cpu().items():
            self.note({"event": "cpu", "t_ns": agent.now_ns(), "node": name, **reading})
        for name, told_us in self.lab.throttled_us().items():
            self.note({"event": "throttled", "t_ns": agent.latest_ns(), "node": name, "throttled_us": told_us})

    def note_fault(self, stage: str, node: str, bracket: Bracket, **more: bool) -> None:
        """early: healed before the outcome was awaited."""
        event = {"event": "fault", "stage": stage, "fault": self.scenario.fault.name, "node": node}
        self.note({**event, **bracket._asdict(), **more})


def _header(lab: Lab, scenario: Scenario) -> Event:
    """The first line of a history: all that is needed to repeat the run. Wall time stands here and nowhere else."""
    expected = faults.expect(scenario.fault, lab.spec)
    return {
        "event": "run",
        "labkit": labkit.__version__,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "spec": lab.spec.model_dump(mode="json"),
        "platform": lab.platform,
        "network": lab.network,
        "grant": lab.grant,
        "profile": lab.spec.profile,
        "fault": scenario.fault.name,
        "expects_move": expected.moves,
        "expects_dual_owner": expected.dual_owner,
        "both_alive": expected.both_alive,
        "takes_cpu": expected.takes_cpu,
        "why": expected.why,
        "trials": len(scenario.numbers),
        "seed": scenario.seed,
        "pairs": scenario.pairs,
        "worker": scenario.worker,
        **asdict(scenario.settings),
        "macs": {node: mac for mac, node in lab.macs().items()},
        "config": _digests(lab),
        "predicted": {"outage_ms": None if expected.outage_ms is None else list(expected.outage_ms)},
        "images": lab.images(),
        "packages": lab.packages(),
        "host": asdict(lab.engine.facts),
        "other_hosts": {node: asdict(engine.facts) for node, engine in lab.elsewhere.items()},
    }


def _digests(lab: Lab) -> dict[str, dict[str, str]]:
    """Node -> path -> SHA-256 of each configuration file, authkeys among them: its key is random, and stays secret."""
    return {
        name: {path: sha256(container.get(path)).hexdigest() for path in lab.configuration}
        for name, container in lab.nodes.items()
    }
