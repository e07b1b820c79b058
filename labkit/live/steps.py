"""A trial's steps as they happen, in ms after the fault. Pure: events in, steps out."""

from dataclasses import dataclass
from typing import Literal

from labkit.history import Event
from labkit.language import Text, same
from labkit.timing import MS

FAULT = Text("{fault} on {node} (took {took})", "{fault} en {node} (tardó {took})")
HEALED = Text("healed: {fault} on {node}", "curado: {fault} en {node}")
CLAIMED = Text("ARP: {who} answers for the VIP", "ARP: {who} responde por la IP virtual")
SERVED = Text("client: good, {server}", "cliente: bien, {server}")
FAILED = Text("client: {outcome}", "cliente: {outcome}")
OUTCOME = {  # what the agent calls the ends of a request that are not good
    "timeout": Text("timeout", "sin respuesta a tiempo"),
    "refused": Text("refused", "rechazado"),
    "reset": Text("reset", "cortado"),
    "unreachable": Text("unreachable", "inalcanzable"),
    "http-error": Text("http-error", "error HTTP"),
    "wrong-page": Text("wrong-page", "otra página"),
}

Kind = Literal["fault", "healed", "good", "bad", "seen"]


@dataclass(frozen=True)
class Step:
    """One step. after_ms: after the fault's beginning. detail: the log line that shows it, or nothing."""

    after_ms: float
    kind: Kind
    what: Text
    detail: str = ""


def outcome(request: Event) -> Text:
    """How a request that got no good answer ended."""
    name = request["outcome"]
    return OUTCOME.get(name, same(name))


class Steps:
    """The steps of one trial. Told every event of the run.

    A fault's own instant is known when injecting has ended, so what came in meanwhile is kept until then. A step that
    repeats (a monitor that trips every second) is shown once.
    """

    def __init__(self, macs: dict[str, str]) -> None:
        self._macs = macs
        self._zero_ns: int | None = None
        self._kept: list[tuple[int, Kind, Text, str]] = []
        self._told: list[Step] = []
        self._said: set[str] = set()
        self._client = ""
        self._good_due_ns = 0

    def take(self, event: Event) -> list[Step]:
        """Takes one event, and gives the steps that are known since then, in order."""
        kind = event["event"]
        if kind == "fault":
            self._fault(event)
        elif kind == "log" and event["marker"]:
            self._once(event["t_ns"], "seen", same(f"{event['node']}: {event['marker']}"), event["text"])
        elif kind == "request":
            self._answer(event)
        elif kind == "arp" and event["kind"] == "reply":
            who = self._macs.get(event["mac"], event["mac"])
            self._once(event["t_ns"], "seen", CLAIMED.filled(who=who))
        told, self._told = self._told, []
        return told

    def _fault(self, event: Event) -> None:
        names = {"fault": event["fault"], "node": event["node"]}
        if event["stage"] != "inject":
            self._said.clear()
            self._tell(event["after_ns"], "healed", HEALED.filled(**names))
            return
        self._zero_ns = before_ns = event["before_ns"]
        took_ms = (event["after_ns"] - before_ns) / MS
        self._tell(before_ns, "fault", FAULT.filled(**names, took=f"{took_ms:.0f} ms"))
        for kept in sorted((one for one in self._kept if one[0] >= before_ns), key=lambda one: one[0]):
            self._tell(*kept)
        self._kept = []

    def _answer(self, event: Event) -> None:
        good = event["outcome"] == "good"
        if good:
            self._good_due_ns = max(self._good_due_ns, event["t_ns"])
        elif event["t_ns"] < self._good_due_ns:
            return  # a time-out, known only now, of a request that was due before service came back
        what = SERVED.filled(server=event["server"]) if good else FAILED.filled(outcome=outcome(event))
        if what.en == self._client or (not good and what.en in self._said):
            return
        if good and self._client:  # service is back: the next failure is news again
            self._said = {said for said in self._said if not said.startswith("client: ")}
        self._client = what.en
        self._once(event["t_ns"] + event["took_us"] * 1000, "good" if good else "bad", what)

    def _once(self, t_ns: int, kind: Kind, what: Text, detail: str = "") -> None:
        if what.en not in self._said:
            self._said.add(what.en)
            self._tell(t_ns, kind, what, detail)

    def _tell(self, t_ns: int, kind: Kind, what: Text, detail: str = "") -> None:
        if self._zero_ns is None:
            self._kept.append((t_ns, kind, what, detail))
        else:
            self._told.append(Step((t_ns - self._zero_ns) / MS, kind, what, detail))
