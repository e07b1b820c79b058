"""Nobody had to wait for a CPU in the outage, so that it is Heartbeat's, and not the machine's."""

from collections.abc import Sequence

from labkit.checks import Finding, each_trial
from labkit.history import Event, header
from labkit.measure import TrialMeasures

name = "machine-quiet"
describe = "In the outage the nodes got the CPU when they wanted it: little waiting, none stolen, none throttled."
SAID = {
    "pressure": "tasks had to wait for a CPU",
    "steal": "the host's own host took CPU time away",
    "throttled": "a node had used up the CPU time that it is allowed",
}


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding | None:
    if header(events).get("takes_cpu") is not False:
        return None  # it is the fault that keeps the machine busy; or the history is of a version that did not look
    return each_trial(events, trials, _trial)


def _trial(trial: TrialMeasures) -> Finding:
    if trial.pressure is None:
        return Finding("unknown", "nobody looked how busy the machine was")
    wrong = [SAID[flag] for flag in trial.flags if flag in SAID]
    if wrong:
        return Finding("unknown", f"{' and '.join(wrong)}: the outage may be longer than on a quiet machine")
    unseen = [node for node in trial.pressure.unseen if node != trial.node]  # who was killed cannot tell
    if unseen:
        return Finding("unknown", f"nobody told how busy the host of {' and '.join(unseen)} was")
    if trial.pressure.throttled_ms is None:
        return Finding("unknown", "of no node is it known whether it had used up the CPU time that it is allowed")
    return Finding("pass", "the CPU was there when it was wanted")
