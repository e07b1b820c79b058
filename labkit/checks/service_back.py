"""The service came back by itself."""

from collections.abc import Sequence

from labkit.checks import Finding, each_trial
from labkit.history import Event
from labkit.measure import TrialMeasures

name = "service-back"
describe = "After the fault the VIP gives good answers again, before anybody heals anything."


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding:
    return each_trial(events, trials, _trial)


def _trial(trial: TrialMeasures) -> Finding:
    if trial.fault is None:
        return Finding("unknown", "no fault was injected")
    if trial.server_before is None:
        return Finding("unknown", "the service was not there before the fault")
    if trial.server_after is None and trial.cut_short:
        return Finding("unknown", "the trial was cut short before the service had had its time")
    if trial.server_after is None:
        return Finding("fail", "no good answer after the fault")
    return Finding("pass", f"served by {trial.server_after}")
