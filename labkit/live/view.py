"""What was seen of a lab so far, as the terminal and the page show it. Pure: events in, a document out.

Nothing here asks for the time: it is that of the newest event, on the engine's monotonic clock.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from labkit.cluster import NodeStatus
from labkit.history import Event
from labkit.language import Language, Text, listed, same
from labkit.live.steps import Step, Steps, outcome
from labkit.plot import duration
from labkit.report import verdict
from labkit.spec import Spec
from labkit.timing import MS, SECOND

SHOWN_S = 60  # of the past
RATE_S = 5  # over which heartbeats are counted
STEADY_ROUNDS = 2  # ARP rounds in a row that must agree before an owner counts as new
MOST_SAID = 12
MOST_STEPS = 200
MEASURES = ("outage_ms", "detection_ms", "takeover_ms", "failback_outage_ms", "server_after")
Stage = Literal["preparing", "watching", "broken", "healing", "judging"]

AND = Text(" and ", " y ")
OWNED = Text("{owner} has the VIP", "{owner} tiene la IP virtual")
NOBODY = Text("nobody has the VIP", "nadie tiene la IP virtual")
TWO = Text("two owners: {owners} answer for the VIP", "dos dueños: {owners} responden por la IP virtual")
SERVING = Text("the client is served by {server}", "al cliente lo atiende {server}")
UNSERVED = Text("the client gets no page: {outcome}", "el cliente no recibe la página: {outcome}")
NOT_SEEN = Text("nothing was seen yet", "aún no se ha visto nada")
PRESSED = Text("pressed: {fault}; the lab is made ready", "pulsado: {fault}; se prepara el laboratorio")
FAILED = Text("the trial of {fault} failed: {reason}", "el ensayo de {fault} falló: {reason}")
OUTAGE = Text("the client was without the page for {outage}", "el cliente estuvo sin la página {outage}")
NO_OUTAGE = Text("no outage", "ninguna interrupción")
UNMEASURED = Text("the outage was not measured", "la interrupción no se midió")
SUMMARY = Text(
    "{good} good answers and {failed} requests without one in the last minute",
    "{good} respuestas buenas y {failed} peticiones sin una en el último minuto",
)
STAGE: Mapping[Stage, Text] = {
    "preparing": Text("the lab is made ready", "se prepara el laboratorio"),
    "watching": Text("the client is watched before the fault", "se observa al cliente antes del fallo"),
    "broken": Text("the fault is in; waiting for what becomes of it", "el fallo está puesto; se espera lo que resulte"),
    "healing": Text(
        "the fault is healed; waiting until the pair is whole", "el fallo se cura; se espera al par completo"
    ),
    "judging": Text("measuring and judging", "se mide y se juzga"),
}
CONTAINER: Mapping[str, Text] = {
    "running": Text("runs", "en marcha"),
    "paused": Text("frozen", "congelado"),
    "exited": Text("off", "apagado"),
    "created": Text("off", "apagado"),
    "restarting": Text("starts", "arranca"),
    "dead": Text("off", "apagado"),
}


@dataclass
class Second:
    """What was seen in one second. good: answers by node; failed: requests without one; heartbeats: packets by node.

    owners: None until that is known.
    """

    good: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    heartbeats: dict[str, int] = field(default_factory=dict)
    owners: tuple[str, ...] | None = None


@dataclass
class Pressed:
    """A trial that goes on or is over. result: once it is measured; nothing if it came to nothing."""

    fault: str
    seen: Steps
    result: dict[str, Any] | None = None
    stage: Stage = "preparing"
    node: str | None = None
    steps: list[Step] = field(default_factory=list)


class View:
    """Everything that is known. Told from several threads, asked from others."""

    def __init__(self, spec: Spec, macs: Mapping[str, str], heard: Callable[[Text], None] = lambda text: None) -> None:
        """heard: told each piece of news at once, on whatever thread brought it."""
        self._spec = spec
        self._heard = heard
        self._macs = dict(macs)
        self._lock = threading.Lock()
        self._start_ns = 0
        self._now_ns = 0
        self._seconds: dict[int, Second] = {}
        self._beats: dict[str, deque[int]] = {node: deque() for node in spec.nodes}
        self._round: set[str] = set()
        self._rounds: deque[tuple[str, ...]] = deque(maxlen=STEADY_ROUNDS)
        self._owners: tuple[str, ...] | None = None
        self._answer: Event | None = None
        self._good_ns = 0
        self._states: dict[str, str] = {}
        self._statuses: dict[str, NodeStatus] = {}
        self._trial: Pressed | None = None
        self._last: Pressed | None = None
        self._results: list[dict[str, Any]] = []
        self._said: deque[tuple[int, int, Text]] = deque(maxlen=MOST_SAID)
        self._count = 0
        self._holder: str | None = None
        self._ended: str | None = None

    # What the watcher's own observers see

    def take(self, event: Event) -> None:
        """Takes an event of the probe, of the ARP watcher or of the wire."""
        with self._lock:
            kind, t_ns = event["event"], event["t_ns"]
            self._start_ns = self._start_ns or t_ns
            if kind != "wire":  # whose stamps come by way of the wall clock, which can be set
                self._now_ns = max(self._now_ns, t_ns)
            if kind == "request":
                self._answered(event)
            elif kind == "arp-probe":
                self._round_over(t_ns)
            elif kind == "arp" and event["kind"] == "reply":
                self._round.add(self._named(event["mac"]))
            elif kind == "wire" and self._named(event["mac"]) in self._beats:
                self._beat(self._named(event["mac"]), t_ns)
            for old in [one for one in self._seconds if one <= self._now_ns // SECOND - SHOWN_S]:
                del self._seconds[old]

    def _second(self, t_ns: int) -> Second:
        return self._seconds.setdefault(t_ns // SECOND, Second(owners=self._owners))

    def _named(self, mac: str) -> str:
        return self._macs.get(mac, mac)

    def _answered(self, request: Event) -> None:
        """A time-out tells of the past: what was due after it may have been answered already."""
        due_ns, second = request["t_ns"], self._second(request["t_ns"])
        if request["outcome"] == "good":
            second.good[request["server"]] = second.good.get(request["server"], 0) + 1
            self._good_ns = max(self._good_ns, due_ns)
        else:
            second.failed += 1
            if due_ns < self._good_ns:
                return
        before, self._answer = self._answer, request
        if before is None or before["server"] != request["server"]:  # None for all that is not good
            self._say(self._client())

    def _client(self) -> Text:
        if self._answer is None:
            return NOT_SEEN
        if self._answer["outcome"] == "good":
            return SERVING.filled(server=self._answer["server"])
        return UNSERVED.filled(outcome=outcome(self._answer))

    def _round_over(self, t_ns: int) -> None:
        """One round is from one question to the next. One lost answer does not make the VIP nobody's."""
        self._rounds.append(tuple(sorted(self._round)))
        self._round = set()
        if len(self._rounds) == STEADY_ROUNDS and len(set(self._rounds)) == 1 and self._rounds[0] != self._owners:
            self._owners = self._rounds[0]
            self._say(self._owned())
        self._second(t_ns).owners = self._owners

    def _owned(self) -> Text:
        if self._owners is None:
            return NOT_SEEN
        names = [same(owner) for owner in self._owners]
        if len(names) > 1:
            return TWO.filled(owners=listed(names, AND))
        return OWNED.filled(owner=names[0]) if names else NOBODY

    def _beat(self, node: str, t_ns: int) -> None:
        beats = self._beats[node]
        beats.append(t_ns)
        while beats[0] < t_ns - RATE_S * SECOND:
            beats.popleft()
        heartbeats = self._second(t_ns).heartbeats
        heartbeats[node] = heartbeats.get(node, 0) + 1

    def looked(self, states: Mapping[str, str], macs: Mapping[str, str], holder: str | None) -> None:
        """The nodes' containers as the engine has them, MAC address -> node, and who else is changing the lab."""
        with self._lock:
            self._states = dict(states)
            self._macs.update(macs)
            self._holder = holder

    def told(self, statuses: Mapping[str, NodeStatus] | None) -> None:
        """What the nodes say of themselves; None while they are not asked."""
        with self._lock:
            self._statuses = dict(statuses or {})

    # A trial

    def pressed(self, fault: str) -> None:
        """A trial begins."""
        with self._lock:
            self._trial = Pressed(fault, Steps(self._macs))
            self._say(PRESSED.filled(fault=fault))

    def follow(self, event: Event) -> None:
        """Takes an event of the run that measures the trial."""
        with self._lock:
            trial = self._trial
            if trial is None:
                return
            trial.steps += trial.seen.take(event)
            if event["event"] == "trial-start":
                self._enter(trial, "watching")
            elif event["event"] == "trial-end":
                self._enter(trial, "judging")
            elif event["event"] == "fault":
                trial.node = event["node"]
                self._enter(trial, "broken" if event["stage"] == "inject" else "healing")

    def _enter(self, trial: Pressed, stage: Stage) -> None:
        trial.stage = stage
        self._say(STAGE[stage])

    def measured(self, result: Mapping[str, Any], report: str) -> None:
        """The trial is over. result: as judged. report: where its page lies, relative to this view's own."""
        with self._lock:
            (trial,) = result["trials"]
            shown = {"fault": result["fault"], "trial": trial, "verdict": verdict(result), "report": report}
            self._results.append(shown)
            if self._trial is not None:
                self._trial.result = shown
            self._last, self._trial = self._trial, None
            self._say(listed([same(result["fault"]), _outage(trial)], same(": ")))

    def failed(self, fault: str, reason: Text) -> None:
        """The trial came to nothing."""
        with self._lock:
            self._last, self._trial = self._trial, None
            self._say(FAILED.filled(fault=fault, reason=reason))

    def ended(self, why: str) -> None:
        """Nothing more is going to be seen."""
        with self._lock:
            self._ended = why

    def _say(self, what: Text) -> None:
        self._count += 1
        self._said.append((self._count, self._now_ns, what))
        self._heard(what)

    # What is shown

    def document(self, language: Language) -> dict[str, Any]:
        """All of it as plain JSON values: sentences in that language, instants as ms ago, null what is not known."""
        with self._lock:
            trial = self._trial or self._last
            return {
                "seen_ms": (self._now_ns - self._start_ns) / MS,
                "owners": None if self._owners is None else list(self._owners),
                "owned": self._owned().within(language),
                "client": self._client().within(language),
                "served": self._answer is not None and self._answer["outcome"] == "good",
                "without_answer_ms": self._without_answer_ms(),
                "nodes": [self._node(node, language) for node in self._spec.nodes],
                "seconds": self._past(),
                "summary": self._summary().within(language),
                "trial": None if trial is None else self._shown(trial, language),
                "busy": self._trial is not None,
                "holder": self._holder,
                "results": [_result(one, language) for one in reversed(self._results)],
                "said": [
                    {"number": number, "ago_ms": (self._now_ns - t_ns) / MS, "text": text.within(language)}
                    for number, t_ns, text in self._said
                ],
                "ended": self._ended,
            }

    def _without_answer_ms(self) -> float | None:
        """For how long there has been no good answer, while requests fail."""
        if not self._good_ns or self._answer is None or self._answer["outcome"] == "good":
            return None
        return (self._now_ns - self._good_ns) / MS

    def _node(self, node: str, language: Language) -> dict[str, Any]:
        beats = self._beats[node]
        recent = sum(beat >= self._now_ns - RATE_S * SECOND for beat in beats)
        state, status = self._states.get(node), self._statuses.get(node)
        served = self._answer is not None and self._answer["outcome"] == "good" and self._answer["server"] == node
        watched_s = min(RATE_S, (self._now_ns - self._start_ns) / SECOND)
        return {
            "name": node,
            "address": str(self._spec.nodes[node].address),
            "state": state,
            "state_in_words": CONTAINER.get(state, same(state)).within(language) if state else None,
            "vip": None if self._owners is None else node in self._owners,
            "serves": served,
            "heartbeat_ago_ms": max(self._now_ns - beats[-1], 0) / MS if beats else None,
            "heartbeats_per_s": recent / watched_s if watched_s >= 1 else None,
            "silent": bool(beats) and self._now_ns - beats[-1] > self._spec.timing.deadtime_ms * MS,
            "resources": status.resources if status else None,
            "apache2": status.apache2 if status else None,
        }

    def _past(self) -> list[dict[str, Any] | None]:
        """The last SHOWN_S whole seconds and the present one, the oldest first; null for one in which nothing was."""
        last = self._now_ns // SECOND
        return [
            None if (one := self._seconds.get(second)) is None else asdict(one)
            for second in range(last - SHOWN_S + 1, last + 1)
        ]

    def _summary(self) -> Text:
        good = sum(sum(one.good.values()) for one in self._seconds.values())
        return SUMMARY.filled(good=good, failed=sum(one.failed for one in self._seconds.values()))

    def _shown(self, trial: Pressed, language: Language) -> dict[str, Any]:
        return {
            "fault": trial.fault,
            "node": trial.node,
            "stage": trial.stage if trial is self._trial else None,
            "stage_in_words": STAGE[trial.stage].within(language) if trial is self._trial else None,
            "result": None if trial.result is None else _result(trial.result, language),
            "steps": [
                {"after_ms": one.after_ms, "kind": one.kind, "what": one.what.within(language), "detail": one.detail}
                for one in sorted(trial.steps[-MOST_STEPS:], key=lambda one: one.after_ms)
            ],
        }


def _outage(trial: Mapping[str, Any]) -> Text:
    if trial["outage_ms"] is None:
        return UNMEASURED
    return OUTAGE.filled(outage=duration(trial["outage_ms"])) if trial["outage_ms"] else NO_OUTAGE


def _result(one: Mapping[str, Any], language: Language) -> dict[str, Any]:
    trial = one["trial"]
    return {
        "fault": one["fault"],
        "node": trial["node"],
        "outage": _outage(trial).within(language),
        **{name: trial[name] for name in MEASURES},
        "verdict": one["verdict"],
        "report": one["report"],
    }
