"""How busy the engine's host was in an outage, and whether that was within bounds: a busy one stretches the figures."""

from collections.abc import Collection
from dataclasses import dataclass

from labkit.history import Event, Trial

ON_TIME_LEAST = 0.99  # of the requests have to start within 5 ms of their slot
# On 2 CPUs it was 0.05 to 0.1 in the outages of one pair, and at most 0.59 with 20, whose median was 3 to 6 % longer.
WAITED_MOST = 0.6
BUSY_MOST = 0.95  # where the kernel has no PSI
STOLEN_MOST = 0.05


@dataclass(frozen=True)
class Pressure:
    """The CPUs of the engine's host from the fault until the service was back, or until healing. None: not measured.

    Where nodes run on other hosts, each figure is that of the busiest one. unseen: nodes on hosts of which nobody told.

    waited     share of the time in which some task had to wait for a CPU (PSI, `some` of /proc/pressure/cpu)
    busy       share of all CPU time that was used
    stolen     share of all CPU time that the host's own host took away
    throttled_ms   for how long nodes had used up what their container is allowed, added up, as far as they lived on
    """

    waited: float | None
    busy: float
    stolen: float
    throttled_ms: float | None
    unseen: tuple[str, ...] = ()


def pressure(trial: Trial, start_ns: int, end_ns: int, elsewhere: Collection[str] = ()) -> Pressure | None:
    """None without readings of the client's host on both sides of the time. The agent takes five a second.

    elsewhere: the nodes on other hosts, which are asked before the fault and when the outcome is known.
    """
    here = _between(trial, None, start_ns, end_ns)
    if here is None:
        return None
    there = {node: _between(trial, node, start_ns, end_ns) for node in elsewhere}
    seen = [here, *(one for one in there.values() if one)]
    waited = [one[0] for one in seen if one[0] is not None]
    return Pressure(
        max(waited, default=None),
        max(busy for _, busy, _ in seen),
        max(stolen for _, _, stolen in seen),
        _throttled_ms(trial),
        tuple(sorted(node for node, one in there.items() if one is None)),
    )


def _between(trial: Trial, node: str | None, start_ns: int, end_ns: int) -> tuple[float | None, float, float] | None:
    """waited, busy and stolen of one host, by the readings that enclose the time. node: None for the client's host."""
    readings = [one for one in trial.of("cpu") if one.get("node") == node]
    first = next((one for one in reversed(readings) if one["t_ns"] <= start_ns), None)
    last = next((one for one in readings if one["t_ns"] >= end_ns), None)
    if first is None or last is None or last["all_ms"] <= first["all_ms"]:
        return None
    all_ms = last["all_ms"] - first["all_ms"]
    before_us, after_us = first.get("waited_us"), last.get("waited_us")
    took_ns = last["t_ns"] - first["t_ns"]
    return (
        None if before_us is None or after_us is None else (after_us - before_us) * 1000 / took_ns,
        1 - (last["idle_ms"] - first["idle_ms"]) / all_ms,
        (last["steal_ms"] - first["steal_ms"]) / all_ms,
    )


def flags(cadence: float | None, found: Pressure | None) -> tuple[str, ...]:
    """What of a trial was out of bounds: its figures are not those of a quiet machine.

    cadence: share of the requests that were on time.
    """
    out = ["cadence"] if cadence is not None and cadence < ON_TIME_LEAST else []
    if found is None:
        return tuple(out)
    tight = found.busy > BUSY_MOST if found.waited is None else found.waited > WAITED_MOST
    out += ["pressure"] if tight else []
    out += ["steal"] if found.stolen > STOLEN_MOST else []
    out += ["throttled"] if found.throttled_ms else []
    return tuple(out)


def _throttled_ms(trial: Trial) -> float | None:
    """A node that was killed in between has no second reading, or one that begins anew."""
    by_node: dict[str, list[Event]] = {}
    for event in trial.of("throttled"):
        by_node.setdefault(event["node"], []).append(event)
    spans = [told[-1]["throttled_us"] - told[0]["throttled_us"] for told in by_node.values() if len(told) > 1]
    return sum(span for span in spans if span > 0) / 1000 if spans else None
