"""How often a node took its peer for dead though both were alive."""

from collections.abc import Sequence
from typing import Any

from labkit.history import Event, trials
from labkit.measure.statistics import most_events
from labkit.timing import SECOND

DEAD = "declared-dead"


def false_failovers(events: Sequence[Event]) -> dict[str, Any]:
    """How often a node declared its peer dead between the faults and their cures: seen, over watched_s, per_hour, and
    per_hour_at_most at 95 %. It means something where the fault leaves both nodes alive.

    The rates are None where nothing was watched.
    """
    seen, watched_ns = 0, 0
    for trial in trials(events):
        begin, end = trial.fault("inject"), trial.fault("heal")
        if begin and end:
            watched_ns += end["before_ns"] - begin["after_ns"]
            lines = (line for line in trial.of("log") if line["marker"] == DEAD)
            seen += sum(begin["before_ns"] <= line["t_ns"] <= end["before_ns"] for line in lines)
    hours = watched_ns / SECOND / 3600
    return {
        "seen": seen,
        "watched_s": round(watched_ns / SECOND, 3),
        "per_hour": round(seen / hours, 3) if hours else None,
        "per_hour_at_most": round(most_events(seen) / hours, 3) if hours else None,
    }
