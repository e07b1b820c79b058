"""The document that `labkit failover --json` answers and that a run keeps as result.json."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from labkit.history import Event, header
from labkit.measure.false_failovers import false_failovers
from labkit.measure.hosts import hosts
from labkit.measure.statistics import summarize
from labkit.measure.trial import TrialMeasures, measure, timing_ms

SUMMED_UP = ("outage_ms", "detection_ms", "takeover_ms", "dual_owner_ms", "failback_outage_ms")


def result(events: Sequence[Event], run: str | None = None) -> dict[str, Any]:
    """The whole answer as plain JSON values; durations in ms to a thousandth, null where not measured.

    `run` is the run's folder. `checks` is empty: the caller fills in what `labkit.checks` says.
    BadInput if the history has no header.
    """
    head = header(events)
    trials = measure(events)
    keepalive_ms, deadtime_ms = timing_ms(head)
    answer = {
        "run": run,
        "platform": head.get("platform"),
        "network": head.get("network"),
        "profile": head.get("profile"),
        "fault": head["fault"],
        "timing": {"keepalive_ms": keepalive_ms, "deadtime_ms": deadtime_ms},
        "trials": [asdict(trial) for trial in trials],
        "summary": {name: asdict(summarize(_values(trials, name))) for name in SUMMED_UP},
        "predicted": head.get("predicted") or {"outage_ms": None},
        "flagged": [trial.number for trial in trials if trial.flags],
        "false_failovers": false_failovers(events) if head.get("both_alive") else None,
        "hosts": [asdict(host) for host in hosts(head, trials)],
        "checks": [],
    }
    rounded: dict[str, Any] = _rounded(answer)
    return rounded


def _values(trials: Sequence[TrialMeasures], name: str) -> list[float | None]:
    return [getattr(trial, name) for trial in trials]


def _rounded(value: Any) -> Any:
    """A copy of plain values with every number to three places, and tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value
