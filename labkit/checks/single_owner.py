"""Never two owners of the VIP at once."""

from collections.abc import Sequence

from labkit.checks import Finding, each_trial
from labkit.history import Event
from labkit.measure import TrialMeasures

name = "single-owner"
describe = "At no time do two nodes answer for the VIP."


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding:
    return each_trial(events, trials, _trial)


def _trial(trial: TrialMeasures) -> Finding:
    if trial.dual_owner_ms is None:
        return Finding("unknown", "no ARP answer for the VIP was heard")
    if trial.dual_owner_ms > 0:
        return Finding("fail", f"two nodes answered for the VIP for {trial.dual_owner_ms:.0f} ms")
    return Finding("pass", "one owner at a time")
