"""All figures of one trial."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from labkit.history import Event, Trial, header, trials
from labkit.measure.ownership import dual_owner_ms
from labkit.measure.phases import Phase, detection, phases, takeover_ms
from labkit.measure.service import NS_PER_MS, in_hand_ns, observe

ON_TIME_US = 5000


@dataclass(frozen=True)
class TrialMeasures:
    """What one trial showed. Durations in ms; None where not measured.

    number                     which trial
    fault, node                what was injected and where; None if it never was
    server_before, _after      who answered last before the fault, and last before healing (or the trial's end)
    outage_ms                  longest time between two good answers from the fault until healing, see `Service`
    outage_start_ms            when the last good answer before it was in hand, relative to the fault's `before_ns`
    outage_error_ms            one cadence. Answers are that far apart even when all is well, so the service itself was
                               away for `outage_ms` less one cadence, give or take one
    fault_error_ms             width of the bracket in which the fault really struck
    detection_ms               from the fault's `before_ns` to the first line by which a node noticed it
    takeover_ms                from there to the VIP's start on the node that serves afterwards
    phases                     the steps of the outage, see `Phase`
    failback_outage_ms         as outage_ms, from the beginning of healing until the trial's end
    failback_requests_failed   failed requests that were due after the beginning of healing
    dual_owner_ms              how long two MAC addresses answered for the VIP, over the whole trial
    requests, requests_failed  counts over the whole trial
    outcomes                   the same by outcome
    cadence_within_5ms         share of requests that started within 5 ms of their slot, 0 to 1
    """

    number: int
    outage_error_ms: float
    requests: int
    requests_failed: int
    outcomes: dict[str, int]
    cadence_within_5ms: float | None
    dual_owner_ms: float | None
    fault: str | None = None
    node: str | None = None
    server_before: str | None = None
    server_after: str | None = None
    outage_ms: float | None = None
    outage_start_ms: float | None = None
    fault_error_ms: float | None = None
    detection_ms: float | None = None
    takeover_ms: float | None = None
    phases: tuple[Phase, ...] = ()
    failback_outage_ms: float | None = None
    failback_requests_failed: int | None = None


def measure(events: Sequence[Event]) -> list[TrialMeasures]:
    """The figures of every trial that was begun. BadInput if the history has no header."""
    run = header(events)
    return [measure_trial(run, trial) for trial in trials(events)]


def measure_trial(run: Event, trial: Trial) -> TrialMeasures:
    """The figures of one trial. `run` is the history's header."""
    requests = trial.of("request")
    outcomes = Counter(str(request["outcome"]) for request in requests)
    on_time = sum(request["late_us"] <= ON_TIME_US for request in requests)
    measures = TrialMeasures(
        number=trial.number,
        outage_error_ms=run["cadence_ms"],
        requests=len(requests),
        requests_failed=len(requests) - outcomes["good"],
        outcomes=dict(sorted(outcomes.items())),
        cadence_within_5ms=on_time / _slots(requests) if requests else None,
        dual_owner_ms=dual_owner_ms(trial),
    )
    inject, heal = trial.fault("inject"), trial.fault("heal")
    if inject:
        measures = _with_fault(measures, run, trial, inject, heal["before_ns"] if heal else trial.end_ns)
    if heal:
        measures = _with_failback(measures, run, trial, heal["before_ns"])
    return measures


def _slots(requests: list[Event]) -> int:
    """How many requests were due. A slot that the probe itself missed has no request, and was not on time."""
    numbers = [request["slot"] for request in requests]
    return int(max(numbers) - min(numbers)) + 1


def _with_fault(measures: TrialMeasures, run: Event, trial: Trial, inject: Event, end_ns: int) -> TrialMeasures:
    fault_ns = inject["before_ns"]
    service = observe(trial.of("request"), fault_ns, end_ns, _silence_ms(run))
    detected = detection(trial, inject, end_ns)
    nodes = {mac: node for node, mac in run.get("macs", {}).items()}
    return replace(
        measures,
        fault=inject["fault"],
        node=inject["node"],
        server_before=service.server_before,
        server_after=service.server_after,
        outage_ms=service.outage_ms,
        outage_start_ms=(in_hand_ns(service.last_good) - fault_ns) / NS_PER_MS if service.last_good else None,
        fault_error_ms=(inject["after_ns"] - fault_ns) / NS_PER_MS,
        detection_ms=(detected["t_ns"] - fault_ns) / NS_PER_MS if detected else None,
        takeover_ms=takeover_ms(trial, detected, service.server_after, end_ns) if detected else None,
        phases=tuple(phases(trial, inject, end_ns, service, nodes)),
    )


def _with_failback(measures: TrialMeasures, run: Event, trial: Trial, heal_ns: int) -> TrialMeasures:
    requests = trial.of("request")
    return replace(
        measures,
        failback_outage_ms=observe(requests, heal_ns, trial.end_ns, _silence_ms(run)).outage_ms,
        failback_requests_failed=sum(r["outcome"] != "good" and r["t_ns"] >= heal_ns for r in requests),
    )


def _silence_ms(run: Event) -> float:
    return float(run["limit_ms"] + run["cadence_ms"])
