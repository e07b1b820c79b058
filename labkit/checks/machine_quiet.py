"""Nobody had to wait for a CPU in the outage, so that it is Heartbeat's, and not the machine's.

The client's host alone is looked at. Where nodes run on others, a takeover may have waited there unseen.
"""

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
    unseen = sorted(header(events).get("other_hosts") or {})
    return each_trial(events, trials, lambda trial: _trial(trial, unseen))


def _trial(trial: TrialMeasures, unseen: Sequence[str]) -> Finding:
    """unseen: the nodes on hosts at which nobody looks."""
    if trial.pressure is None:
        return Finding("unknown", "nobody looked how busy the machine was")
    wrong = [SAID[flag] for flag in trial.flags if flag in SAID]
    if wrong:
        return Finding("unknown", f"{' and '.join(wrong)}: the outage may be longer than on a quiet machine")
    if unseen:
        nodes = " and ".join(unseen)
        return Finding("unknown", f"nobody looks how busy the host of {nodes} is; the client's was quiet")
    if trial.pressure.throttled_ms is None:
        return Finding("unknown", "of no node is it known whether it had used up the CPU time that it is allowed")
    return Finding("pass", "the CPU was there when it was wanted")
