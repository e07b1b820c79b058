"""The probe kept its schedule, so that the figures mean what they say."""

from collections.abc import Sequence

from labkit.checks import Finding, each_trial
from labkit.history import Event
from labkit.measure import ON_TIME_LEAST, TrialMeasures

name = "cadence-kept"
describe = "At least 99 % of the requests start within 5 ms of their slot."


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding:
    finding = each_trial(events, trials, _trial)
    shares = [trial.cadence_within_5ms for trial in trials if trial.cadence_within_5ms is not None]
    if finding.verdict == "pass":
        return Finding("pass", f"at least {min(shares):.2%} of the requests were on time")
    return Finding(finding.verdict, f"{finding.detail}; the least was {min(shares):.2%}" if shares else finding.detail)


def _trial(trial: TrialMeasures) -> Finding:
    share = trial.cadence_within_5ms
    if share is None:
        return Finding("unknown", "there were no requests")
    if share < ON_TIME_LEAST:
        return Finding("unknown", f"under {ON_TIME_LEAST:.0%} of the requests were on time: the machine was too busy")
    return Finding("pass", "on time")
