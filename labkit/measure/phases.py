"""What happened between a fault and the first good answer after it, by the nodes' logs, the wire and the probe."""

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.history import Event, Trial
from labkit.measure.service import NS_PER_MS, Service, in_hand_ns

DETECTION = frozenset({"declared-dead", "monitor-tripped", "handing-over", "shutdown-notice", "standby-requested"})
"""Markers with which a node says that it knows of the fault, or was told to act."""


@dataclass(frozen=True)
class Phase:
    """One step on the way from a fault to the first good answer.

    `t_ms` is relative to the instant before the fault was injected. `source` quotes the line or event that shows it.
    """

    name: str
    t_ms: float
    source: str


def detection(trial: Trial, fault: Event, end_ns: int) -> Event | None:
    """The first log line from the fault to `end_ns` by which a node noticed it, or None.

    That the faulted node declares its peer dead is no such line: the peer is well.
    """
    for line in _marked(trial, fault["before_ns"], end_ns):
        if line["marker"] in DETECTION and not (line["marker"] == "declared-dead" and line["node"] == fault["node"]):
            return line
    return None


def takeover_ms(trial: Trial, detected: Event, server_after: str | None, end_ns: int) -> float | None:
    """From detection to the first `address-up` after it on the node that serves afterwards, or None."""
    for line in _marked(trial, detected["t_ns"], end_ns):
        if line["marker"] == "address-up" and line["node"] == server_after:
            return float(line["t_ns"] - detected["t_ns"]) / NS_PER_MS
    return None


def phases(trial: Trial, fault: Event, end_ns: int, service: Service, nodes: Mapping[str, str]) -> list[Phase]:
    """The steps in order of time: from the last good answer before an outage to the first one after it.

    Of each log marker the first line of each node counts. Without an outage, or with one that did not end, the steps go
    on to `end_ns`. `nodes` maps a MAC address to its node.
    """
    zero_ns = fault["before_ns"]
    found: list[tuple[int, str, str]] = [(zero_ns, "fault", f"{fault['fault']} on {fault['node']}")]
    if service.last_good:
        found.append((in_hand_ns(service.last_good), "last good answer", _request(service.last_good)))
    if service.first_good:
        end_ns = in_hand_ns(service.first_good)
        found.append((end_ns, "first good answer", _request(service.first_good)))
    failed = [r for r in trial.of("request") if r["outcome"] != "good" and in_hand_ns(r) >= zero_ns]
    for outcome in sorted({r["outcome"] for r in failed}):
        first = min((r for r in failed if r["outcome"] == outcome), key=in_hand_ns)
        found.append((in_hand_ns(first), f"first {outcome}", _request(first)))
    said: set[tuple[str, str]] = set()
    for line in _marked(trial, zero_ns, end_ns):
        if (line["node"], line["marker"]) not in said:
            said.add((line["node"], line["marker"]))
            found.append((line["t_ns"], line["marker"], f"{line['node']}: {line['text']}"))
    announced = [e for e in trial.of("arp") if e["kind"] == "gratuitous" and e["t_ns"] >= zero_ns]
    if announced:
        first = min(announced, key=lambda e: int(e["t_ns"]))
        found.append((first["t_ns"], "gratuitous-arp on the wire", nodes.get(first["mac"], first["mac"])))
    return [Phase(name, (t_ns - zero_ns) / NS_PER_MS, source) for t_ns, name, source in sorted(found) if t_ns <= end_ns]


def _marked(trial: Trial, start_ns: int, end_ns: int) -> list[Event]:
    """Log lines with a marker between two instants, in order of time."""
    lines = (line for line in trial.of("log") if line.get("marker") and start_ns <= line["t_ns"] <= end_ns)
    return sorted(lines, key=lambda line: int(line["t_ns"]))


def _request(request: Event) -> str:
    return f"request {request['slot']}, {request.get('server') or request['outcome']}"
