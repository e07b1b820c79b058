"""What each node was doing, by its own log lines, and when it was silent, by the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from labkit.history import Trial
from labkit.measure.ownership import holdings
from labkit.measure.service import NS_PER_MS

BECOMES: Mapping[str, str] = {
    "starting": "standby",
    "taking-over": "taking over",
    "acquiring": "taking over",
    "address-up": "active",
    "giving-up": "giving up",
    "address-down": "standby",
}
"""Marker -> what the node that logs it is from then on."""

SILENT = "silent"


@dataclass(frozen=True)
class Stay:
    """A node in one state: `active` (it has the VIP), `standby`, `taking over`, `giving up`, or `silent`: no heartbeat
    of it was on the wire, whatever it was doing."""

    node: str
    state: str
    start_ns: int
    end_ns: int


def stays(trial: Trial, nodes: Mapping[str, str], silence_ms: float | None) -> list[Stay]:
    """The states of each node over a trial, node by node, in order of time.

    nodes: MAC address -> node. silence_ms: how long a node must say nothing to be silent. Who answers the watcher's
    first questions is active in the beginning; nothing can be told if nobody does.
    """
    first = next((holding.macs for holding in holdings(trial) if holding.macs), None)
    if first is None:
        return []
    found: list[Stay] = []
    for mac, node in nodes.items():
        changes = [(trial.start_ns, "active" if mac in first else "standby")]
        for line in sorted(trial.of("log"), key=lambda line: int(line["t_ns"])):
            if line["node"] != node:
                continue
            if line.get("marker") in BECOMES:
                changes.append((line["t_ns"], BECOMES[line["marker"]]))
            elif line.get("marker") == "takeover-complete" and changes[-1][1] == "taking over":
                changes.append((line["t_ns"], "active"))  # of a node that had the VIP already
        own = [Stay(node, state, at, until) for (at, state), (until, _) in pairwise([*changes, (trial.end_ns, "")])]
        silences = _silences(trial, mac, silence_ms)
        found += sorted(
            [*(part for stay in own for part in _without(stay, silences)), *(Stay(node, SILENT, *s) for s in silences)],
            key=lambda stay: stay.start_ns,
        )
    return found


def _silences(trial: Trial, mac: str, silence_ms: float | None) -> list[tuple[int, int]]:
    """Between two heartbeats, or after the last one. None without any: the capture may not see how they are sent."""
    beats = sorted(e["t_ns"] for e in trial.of("wire") if e["kind"] == "heartbeat" and e["mac"] == mac)
    if not beats or silence_ms is None:
        return []
    return [(a, b) for a, b in pairwise([*beats, trial.end_ns]) if b - a > silence_ms * NS_PER_MS]


def _without(stay: Stay, silences: list[tuple[int, int]]) -> list[Stay]:
    """What is left of a stay beside the silences."""
    left, at = [], stay.start_ns
    for start, end in silences:
        if at < min(start, stay.end_ns):
            left.append(Stay(stay.node, stay.state, at, min(start, stay.end_ns)))
        at = max(at, end)
    return [*left, *([Stay(stay.node, stay.state, at, stay.end_ns)] if at < stay.end_ns else [])]
