"""Where the time of a trial went: the outage itself, watching, Heartbeat's own work afterwards, and labkit's."""

from dataclasses import dataclass

from labkit.heartbeat.commands import YOUNG_MS
from labkit.history import Trial
from labkit.measure.service import NS_PER_MS, Service, in_hand_ns

DAEMON = "heartbeat"  # the program whose lines show that the cluster is at work


@dataclass(frozen=True)
class Cost:
    """The wall time of a trial, in ms; the parts add up to the total.

    outage_ms    from the fault to the first good answer; 0 without an outage, until healing if nobody answered
    watch_ms     deliberate: the pause before the fault, and the look at the service between its return and healing
    recovery_ms  the cure, and Heartbeat at work: from the daemon's first line after healing began to its last, to the
                 first good answer after the failback, or until it is old enough to be struck again (see
                 `commands.YOUNG_MS`); also before the fault, where the fault prepares the lab
    overhead_ms  the rest: labkit's own commands, and the engine's
    """

    outage_ms: float
    watch_ms: float
    recovery_ms: float
    overhead_ms: float
    total_ms: float


def cost(trial: Trial, service: Service, failback: Service) -> Cost | None:
    """None for a trial that did not come to its end.

    service: what the client saw between fault and healing. failback: the same from healing to the end.
    """
    started, armed, ended = (next(iter(trial.of(kind)), None) for kind in ("trial-start", "armed", "trial-end"))
    inject, heal = trial.fault("inject"), trial.fault("heal")
    if not (started and armed and ended and inject and heal):
        return None
    fault_ns, heal_ns = inject["before_ns"], heal["before_ns"]
    back_ns = in_hand_ns(service.first_good) if service.first_good else fault_ns if service.outage_ms == 0 else heal_ns
    total_ns = ended["t_ns"] - started["t_ns"]
    watch_ns = armed["t_ns"] - started["t_ns"] + heal_ns - back_ns
    again_ns = [in_hand_ns(failback.first_good)] if failback.first_good else []
    recovering = [(heal_ns, heal["after_ns"]), *_busy(trial, heal_ns, ended["t_ns"], again_ns)]
    recovery_ns = _covered_ns([*_busy(trial, armed["t_ns"], fault_ns, []), *recovering])
    parts_ns = (back_ns - fault_ns, watch_ns, recovery_ns)
    outage_ms, watch_ms, recovery_ms, overhead_ms, total_ms = (
        part / NS_PER_MS for part in (*parts_ns, total_ns - sum(parts_ns), total_ns)
    )
    return Cost(outage_ms, watch_ms, recovery_ms, overhead_ms, total_ms)


def _busy(trial: Trial, start_ns: int, end_ns: int, also_ns: list[int]) -> list[tuple[int, int]]:
    """From the first to the last sign of the cluster at work between two instants; nothing without any."""
    lines = [line for line in trial.of("log") if line.get("program") == DAEMON]
    grown_ns = [line["t_ns"] + int(YOUNG_MS * NS_PER_MS) for line in lines if line.get("marker") == "starting"]
    said_ns = [line["t_ns"] for line in lines]
    signs = [t_ns for t_ns in (*said_ns, *grown_ns, *also_ns) if start_ns <= t_ns <= end_ns]
    return [(min(signs), max(signs))] if signs else []


def _covered_ns(spans: list[tuple[int, int]]) -> int:
    """How much time lies in any of the spans."""
    total_ns = reached_ns = 0
    for start_ns, end_ns in sorted(spans):
        total_ns += max(0, end_ns - max(start_ns, reached_ns))
        reached_ns = max(reached_ns, end_ns)
    return total_ns
