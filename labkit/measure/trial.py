"""All figures of one trial."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from labkit.heartbeat.times import parse_time
from labkit.history import Event, Trial, header, trials
from labkit.measure.cost import Cost, cost
from labkit.measure.ownership import dual_owner_ms
from labkit.measure.phases import Phase, Setting, Step, detection, phases, silence_ms, steps, takeover_ms
from labkit.measure.pressure import Pressure, flags, pressure
from labkit.measure.service import NS_PER_MS, Service, failures_in, in_hand_ns, observe

ON_TIME_US = 5000


@dataclass(frozen=True)
class TrialMeasures:
    """What one trial showed. Durations in ms; None where not measured.

    number                     which trial
    fault, node                what was injected and where; None if it never was
    cut_short                  whether nobody waited until the service was back, or had its time; None without a fault
    server_before, _after      who answered last before the fault, and last before healing (or the trial's end)
    outage_ms                  longest time between two good answers from the fault until healing, see `Service`
    outage_start_ms            when the last good answer before it was in hand, relative to the fault's `before_ns`
    outage_error_ms            one cadence. Answers are that far apart even when all is well, so the service itself was
                               away for `outage_ms` less one cadence, give or take one
    fault_error_ms             width of the bracket in which the fault really struck
    clock_error_ms             by how much the stamps of nodes on other hosts may be wrong, and with them detection_ms,
                               takeover_ms and what else comes from logs. None on one host: there is one clock
    detection_ms               from the fault's `before_ns` to the first line by which a node noticed it
    takeover_ms                from there to the VIP's start on the node that serves afterwards
    phases                     the account of the outage: every phase of PHASES, those not seen without an instant
    steps                      all that was seen on the way, in order of time
    outage_outcomes            requests that failed in the outage, by outcome
    failback_outage_ms         as outage_ms, from the beginning of healing until the trial's end
    failback_requests_failed   failed requests that were due after the beginning of healing
    dual_owner_ms              how long two MAC addresses answered for the VIP, over the whole trial
    requests, requests_failed  counts over the whole trial
    outcomes                   the same by outcome
    answered_by                good answers by the node that gave them
    cadence_within_5ms         share of requests that started within 5 ms of their slot, 0 to 1, from `armed` until
                               healing: what is late before or afterwards bends no outage
    cost                       where the trial's time went
    pressure                   how busy the engine's host was in the outage
    flags                      what was out of bounds: cadence, pressure, steal, throttled; none on a quiet machine
    """

    number: int
    outage_error_ms: float
    requests: int
    requests_failed: int
    outcomes: dict[str, int]
    answered_by: dict[str, int]
    cadence_within_5ms: float | None
    dual_owner_ms: float | None
    fault: str | None = None
    node: str | None = None
    cut_short: bool | None = None
    server_before: str | None = None
    server_after: str | None = None
    outage_ms: float | None = None
    outage_start_ms: float | None = None
    fault_error_ms: float | None = None
    clock_error_ms: float | None = None
    detection_ms: float | None = None
    takeover_ms: float | None = None
    outage_outcomes: dict[str, int] | None = None
    phases: tuple[Phase, ...] = ()
    steps: tuple[Step, ...] = ()
    failback_outage_ms: float | None = None
    failback_requests_failed: int | None = None
    cost: Cost | None = None
    pressure: Pressure | None = None
    flags: tuple[str, ...] = ()


def measure(events: Sequence[Event]) -> list[TrialMeasures]:
    """The figures of every trial that was begun. BadInput if the history has no header."""
    run = header(events)
    return [measure_trial(run, trial) for trial in trials(events)]


def measure_trial(run: Event, trial: Trial) -> TrialMeasures:
    """The figures of one trial. `run` is the history's header."""
    requests = trial.of("request")
    good = [request for request in requests if request["outcome"] == "good"]
    measures = TrialMeasures(
        number=trial.number,
        outage_error_ms=run["cadence_ms"],
        requests=len(requests),
        requests_failed=len(requests) - len(good),
        outcomes=_counted(requests),
        answered_by=_counted(good, "server"),
        cadence_within_5ms=_on_time(trial),
        clock_error_ms=max((event["error_ns"] / NS_PER_MS for event in trial.of("clocks")), default=None),
        dual_owner_ms=dual_owner_ms(trial),
    )
    inject, heal = trial.fault("inject"), trial.fault("heal")
    service = failback = None
    if inject:
        end_ns = heal["before_ns"] if heal else trial.end_ns
        service = observe(requests, inject["before_ns"], end_ns, _silence_ms(run))
        measures = _with_fault(measures, trial, _setting(run, inject, end_ns, service))
        measures = replace(measures, cut_short=heal.get("early", False) if heal else not trial.of("trial-end"))
    if heal:
        failback = observe(requests, heal["before_ns"], trial.end_ns, _silence_ms(run))
        measures = _with_failback(measures, trial, heal["before_ns"], failback)
    if service and failback:
        measures = replace(measures, cost=cost(trial, service, failback))
    if inject and service:
        until_ns = in_hand_ns(service.first_good) if service.first_good else end_ns
        elsewhere = run.get("other_hosts") or {}
        measures = replace(measures, pressure=pressure(trial, inject["before_ns"], until_ns, elsewhere))
    return replace(measures, flags=flags(measures.cadence_within_5ms, measures.pressure))


def _on_time(trial: Trial) -> float | None:
    """The share of the requests due in the measured time. A slot that the probe itself missed has none, and counts."""
    armed, heal = trial.of("armed"), trial.fault("heal")
    start_ns = armed[0]["t_ns"] if armed else trial.start_ns
    end_ns = heal["before_ns"] if heal else trial.end_ns
    due = [one for one in trial.of("request") if start_ns <= one["t_ns"] <= end_ns]
    late_us: dict[int, int] = {one["slot"]: one["late_us"] for one in due}
    if not late_us:
        return None
    return sum(late <= ON_TIME_US for late in late_us.values()) / (max(late_us) - min(late_us) + 1)


def _setting(run: Event, inject: Event, end_ns: int, service: Service) -> Setting:
    nodes = {mac: node for node, mac in run.get("macs", {}).items()}
    return Setting(inject, end_ns, service, nodes, silence_ms(*timing_ms(run)))


def _with_fault(measures: TrialMeasures, trial: Trial, setting: Setting) -> TrialMeasures:
    fault, service, end_ns = setting.fault, setting.service, setting.end_ns
    fault_ns = fault["before_ns"]
    detected = detection(trial, fault, end_ns, service.server_before)
    known = phases(trial, setting, detected)
    return replace(
        measures,
        fault=fault["fault"],
        node=fault["node"],
        server_before=service.server_before,
        server_after=service.server_after,
        outage_ms=service.outage_ms,
        outage_start_ms=(in_hand_ns(service.last_good) - fault_ns) / NS_PER_MS if service.last_good else None,
        outage_outcomes=None if service.outage_ms is None else _counted(failures_in(trial.of("request"), service)),
        fault_error_ms=(fault["after_ns"] - fault_ns) / NS_PER_MS,
        detection_ms=(detected["t_ns"] - fault_ns) / NS_PER_MS if detected else None,
        takeover_ms=takeover_ms(trial, detected, service.server_after, end_ns) if detected else None,
        phases=known,
        steps=steps(trial, setting, known),
    )


def _with_failback(measures: TrialMeasures, trial: Trial, heal_ns: int, failback: Service) -> TrialMeasures:
    failed = sum(r["outcome"] != "good" and r["t_ns"] >= heal_ns for r in trial.of("request"))
    return replace(measures, failback_outage_ms=failback.outage_ms, failback_requests_failed=failed)


def _counted(requests: Sequence[Event], field: str = "outcome") -> dict[str, int]:
    """How many requests have each value of a field."""
    return dict(sorted(Counter(str(request.get(field)) for request in requests).items()))


def timing_ms(run: Event) -> tuple[float | None, float | None]:
    """keepalive and deadtime of a run, by its header; None where that does not say."""
    timing = run.get("spec", {}).get("timing", {})
    keepalive, deadtime = (timing.get(name) for name in ("keepalive", "deadtime"))
    return (
        None if keepalive is None else parse_time(str(keepalive)),
        None if deadtime is None else parse_time(str(deadtime)),
    )


def _silence_ms(run: Event) -> float:
    return float(run["limit_ms"] + run["cadence_ms"])
