"""What a lab has to bear while it is watched for false failovers: busy loops beside Heartbeat, at its own priority.

On each node one loop for each CPU of the engine's host, as a service that computes would do it. The kernel shares the
CPUs out evenly, so Heartbeat, which needs little, still gets its turns, but later. Nothing is to happen. Not one of the
catalogue's faults: nothing is broken.
"""

from collections.abc import Sequence
from typing import Any

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation
from labkit.history import Event, trials
from labkit.measure import most_events
from labkit.spec import Spec

LOOP = "yes"
DEAD = "declared-dead"
NS_PER_S = 1_000_000_000


class Load:
    """As a fault, so that a runner can run it."""

    name = "load"
    describe = "busy loops on both nodes, one for each CPU"

    def expect(self, spec: Spec) -> Expectation:
        return Expectation(moves=False, outage_ms=(0.0, 0.0), why="both nodes are well, only busy")

    def inject(self, lab: Lab, node: str) -> Bracket:
        loops = f"for loop in $(seq {lab.engine.facts.cpus}); do setsid {LOOP} >/dev/null 2>&1 & done"
        first, second = (lab.act(name, "sh", "-c", loops) for name in lab.nodes)
        return Bracket(first.before_ns, second.after_ns)

    def heal(self, lab: Lab, node: str) -> Bracket:
        first, second = (lab.stamped(name, "pkill", "-KILL", "-x", LOOP)[0] for name in lab.nodes)
        return Bracket(first.before_ns, second.after_ns)


def false_failovers(events: Sequence[Event]) -> dict[str, Any]:
    """How often a node declared its peer dead under load: seen, over watched_s, per_hour, and per_hour_at_most at 95 %.

    The rates are None where nothing was watched.
    """
    seen, watched_ns = 0, 0
    for trial in trials(events):
        begin, end = trial.fault("inject"), trial.fault("heal")
        if begin and end:
            watched_ns += end["before_ns"] - begin["after_ns"]
            lines = (line for line in trial.of("log") if line["marker"] == DEAD)
            seen += sum(begin["before_ns"] <= line["t_ns"] <= end["before_ns"] for line in lines)
    hours = watched_ns / NS_PER_S / 3600
    return {
        "seen": seen,
        "watched_s": round(watched_ns / NS_PER_S, 3),
        "per_hour": round(seen / hours, 3) if hours else None,
        "per_hour_at_most": round(most_events(seen) / hours, 3) if hours else None,
    }
