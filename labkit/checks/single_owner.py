"""Two nodes answer for the VIP only where the fault makes them, and then they do."""

from collections.abc import Sequence

from labkit.checks import Finding, each_trial
from labkit.history import Event, header
from labkit.measure import TrialMeasures

name = "single-owner"
describe = "No two nodes answer for the VIP at the same time, unless the fault is one that must lead to it."


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding:
    expected = bool(header(events).get("expects_dual_owner"))
    return each_trial(events, trials, lambda trial: _trial(trial, expected))


def _trial(trial: TrialMeasures, expected: bool) -> Finding:
    if trial.dual_owner_ms is None:
        return Finding("unknown", "no ARP answer for the VIP was heard")
    seen = (
        f"two nodes answered for the VIP for {trial.dual_owner_ms:.0f} ms"
        if trial.dual_owner_ms
        else "one owner at a time"
    )
    if expected:
        return Finding("pass" if trial.dual_owner_ms else "fail", f"{seen}, and two were expected")
    return Finding("fail" if trial.dual_owner_ms else "pass", seen)
