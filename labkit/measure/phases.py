"""The account of an outage: from a fault to the first good answer after it, by the nodes' logs, the wire and the probe.

`phases` are the fixed stations that every such way has, `steps` is all that was seen on it, in order of time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.history import Event, Trial
from labkit.measure.service import NS_PER_MS, Service, in_hand_ns

DETECTION = frozenset({"declared-dead", "monitor-tripped", "handing-over", "shutdown-notice", "standby-requested"})
"""Markers with which a node says that it knows of the fault, or was told to act."""

PHASES: Mapping[str, str] = {
    "fault": "the fault is injected; its bracket begins",
    "last good answer": "the last good answer before the outage is in hand",
    "last heartbeat": "the struck node's last heartbeat is on the wire, before it is silent until it is declared dead",
    "noticed": "the first log line by which a node knows: declared dead, monitor tripped, told to act",
    "acquiring": "the node that serves afterwards begins to acquire the resources",
    "address up": "it configures the VIP",
    "gratuitous ARP": "it announces the VIP, as the capture of the wire has it",
    "refused": "the first request of the outage that is refused: a node has the VIP, and nobody listens there",
    "first good answer": "the first good answer after the outage is in hand",
}
"""Every phase, in the order of the way, with what it tells."""


@dataclass(frozen=True)
class Phase:
    """A station on the way. `t_ms`: relative to the instant before the fault was injected; None if it was not seen.

    `source` quotes the log line, packet or request that shows it.
    """

    name: str
    t_ms: float | None = None
    source: str | None = None


@dataclass(frozen=True)
class Step:
    """Something that was seen on the way; the same as a phase that has its instant."""

    name: str
    t_ms: float
    source: str


@dataclass(frozen=True)
class Setting:
    """What a trial's account rests on besides its events.

    end_ns: where it ends if no good answer ends it. service: what the client saw. nodes: MAC address -> node.
    silence_ms: how long a node must say nothing to count as silent, see `silence_ms()`.
    """

    fault: Event
    end_ns: int
    service: Service
    nodes: Mapping[str, str]
    silence_ms: float | None


_Seen = tuple[int, str]
"""An instant, and what shows it."""


def silence_ms(keepalive_ms: float | None, deadtime_ms: float | None) -> float | None:
    """Time without a heartbeat after which a node is silent. One that talks is heard each keepalive; one that is
    declared dead was not for deadtime, and the last keepalive of that may have been under way."""
    return None if keepalive_ms is None or deadtime_ms is None else deadtime_ms - keepalive_ms


def detection(trial: Trial, fault: Event, end_ns: int, server_before: str | None) -> Event | None:
    """The first log line from the fault to `end_ns` by which a node noticed it, or None.

    That the faulted node declares its peer dead is no such line: the peer is well. Nor is it when a monitor trips on a
    node that does not serve.
    """
    for line in _marked(trial, fault["before_ns"], end_ns):
        own_peer = line["marker"] == "declared-dead" and line["node"] == fault["node"]
        idle = line["marker"] == "monitor-tripped" and line["node"] != server_before
        if line["marker"] in DETECTION and not own_peer and not idle:
            return line
    return None


def takeover_ms(trial: Trial, detected: Event, server_after: str | None, end_ns: int) -> float | None:
    """From detection to the first `address-up` after it on the node that serves afterwards, or None."""
    line = _first(trial, detected["t_ns"], end_ns, server_after, "address-up")
    return None if line is None else float(line["t_ns"] - detected["t_ns"]) / NS_PER_MS


def phases(trial: Trial, setting: Setting, detected: Event | None) -> tuple[Phase, ...]:
    """All of PHASES in their order; those that were not seen have no instant."""
    fault, service = setting.fault, setting.service
    server, end_ns = service.server_after, setting.end_ns
    since_ns = detected["t_ns"] if detected else fault["before_ns"]
    width_ms = (fault["after_ns"] - fault["before_ns"]) / NS_PER_MS
    seen: dict[str, _Seen | None] = {
        "fault": (fault["before_ns"], f"{fault['fault']} on {fault['node']}, within {width_ms:.1f} ms from here"),
        "last good answer": _answered(service.last_good),
        "last heartbeat": _last_heartbeat(trial, setting, detected),
        "noticed": _said(detected),
        "acquiring": _said(_first(trial, since_ns, end_ns, server, "taking-over", "acquiring")),
        "address up": _said(_first(trial, since_ns, end_ns, server, "address-up")),
        "gratuitous ARP": _announced(trial, setting, server, since_ns),
        "refused": _refused(trial, service),
        "first good answer": _answered(service.first_good),
    }
    zero_ns = fault["before_ns"]
    return tuple(
        Phase(name, (at[0] - zero_ns) / NS_PER_MS, at[1]) if (at := seen[name]) else Phase(name) for name in PHASES
    )


def steps(trial: Trial, setting: Setting, known: tuple[Phase, ...]) -> tuple[Step, ...]:
    """All that was seen, in order of time, up to the first good answer after the outage; without an outage, or with one
    that did not end, up to the end.

    `known` phases that stand in no log, each node's first line with each marker, and the first failure of each kind.
    """
    zero_ns, end_ns = setting.fault["before_ns"], setting.end_ns
    if setting.service.first_good:
        end_ns = in_hand_ns(setting.service.first_good)
    logged = {"noticed", "acquiring", "address up", "refused"}
    found = [Step(p.name, p.t_ms, p.source) for p in known if p.t_ms is not None and p.source and p.name not in logged]
    failed = [r for r in trial.of("request") if r["outcome"] != "good" and zero_ns <= in_hand_ns(r) <= end_ns]
    for outcome in sorted({r["outcome"] for r in failed}):
        first = min((r for r in failed if r["outcome"] == outcome), key=in_hand_ns)
        found.append(Step(f"first {outcome}", (in_hand_ns(first) - zero_ns) / NS_PER_MS, _request(first)))
    lines: dict[tuple[str, str], Event] = {}
    for line in _marked(trial, zero_ns, end_ns):
        lines.setdefault((line["node"], line["marker"]), line)
    found += [Step(m, (line["t_ns"] - zero_ns) / NS_PER_MS, _quoted(line)) for (_, m), line in lines.items()]
    return tuple(sorted(found, key=lambda step: step.t_ms))


def _last_heartbeat(trial: Trial, setting: Setting, detected: Event | None) -> _Seen | None:
    """None unless the struck node was silent on the wire before it was declared dead: where its heartbeats are lost on
    the way, the wire has them all, and which of them was the last that its peer heard cannot be told."""
    if detected is None or detected["marker"] != "declared-dead" or setting.silence_ms is None:
        return None
    beats = (e for e in _wire(trial, setting, "heartbeat", setting.fault["node"]) if e["t_ns"] <= detected["t_ns"])
    last = max(beats, key=lambda beat: int(beat["t_ns"]), default=None)
    if last is None or detected["t_ns"] - last["t_ns"] < setting.silence_ms * NS_PER_MS:
        return None
    return last["t_ns"], f"capture: heartbeat of {setting.fault['node']}"


def _announced(trial: Trial, setting: Setting, server: str | None, since_ns: int) -> _Seen | None:
    packets = (e for e in _wire(trial, setting, "gratuitous", server) if since_ns <= e["t_ns"] <= setting.end_ns)
    first = min(packets, key=lambda packet: int(packet["t_ns"]), default=None)
    return None if first is None else (first["t_ns"], f"capture: gratuitous ARP of {server} for the VIP")


def _wire(trial: Trial, setting: Setting, kind: str, node: str | None) -> list[Event]:
    return [e for e in trial.of("wire") if e["kind"] == kind and node and setting.nodes.get(e["mac"]) == node]


def _refused(trial: Trial, service: Service) -> _Seen | None:
    if service.last_good is None or service.first_good is None:
        return None
    start_ns, end_ns = in_hand_ns(service.last_good), in_hand_ns(service.first_good)
    refused = (r for r in trial.of("request") if r["outcome"] == "refused" and start_ns <= in_hand_ns(r) <= end_ns)
    first = min(refused, key=in_hand_ns, default=None)
    return None if first is None else (in_hand_ns(first), _request(first))


def _marked(trial: Trial, start_ns: int, end_ns: int) -> list[Event]:
    """Log lines with a marker between two instants, in order of time."""
    lines = (line for line in trial.of("log") if line.get("marker") and start_ns <= line["t_ns"] <= end_ns)
    return sorted(lines, key=lambda line: int(line["t_ns"]))


def _first(trial: Trial, start_ns: int, end_ns: int, node: str | None, *markers: str) -> Event | None:
    """A node's first line with one of the markers."""
    lines = _marked(trial, start_ns, end_ns)
    return next((line for line in lines if line["node"] == node and line["marker"] in markers), None)


def _said(line: Event | None) -> _Seen | None:
    return None if line is None else (line["t_ns"], _quoted(line))


def _answered(request: Event | None) -> _Seen | None:
    return None if request is None else (in_hand_ns(request), _request(request))


def _quoted(line: Event) -> str:
    return f"{line['node']}: {line['text']}"


def _request(request: Event) -> str:
    return f"request {request['slot']}, {request.get('server') or request['outcome']}"
