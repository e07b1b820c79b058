"""The preferred node gets its resources back by itself if auto_failback is on, and does not if it is off.

In the end of each trial labkit sees to it that the preferred node has the VIP, and asks for it with hb_takeover where
Heartbeat leaves it away: after a hand-over, which auto_failback does not undo, and where auto_failback is off. The log
tells which of the two it was. Only a node that was away has anything to come back to.
"""

import re
from collections.abc import Sequence

from labkit.checks import Finding, each_trial_with_events
from labkit.history import Event, Trial, header
from labkit.measure import TrialMeasures
from labkit.measure.service import in_hand_ns

name = "failback-as-configured"
describe = "With auto_failback the service follows a preferred node that returns, without it does not."


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding | None:
    run = header(events)
    if run.get("profile") == "as-printed":
        return None  # both nodes have the VIP all the time
    spec = run.get("spec", {})
    on, nodes = spec.get("timing", {}).get("auto_failback"), list(spec.get("nodes", {}))
    if on is None or not nodes:
        return Finding("unknown", "the run does not say which node is preferred, or whether auto_failback was on")
    return each_trial_with_events(events, trials, lambda _, trial: _trial(trial, nodes[0], on))


def _trial(trial: Trial, preferred: str, on: bool) -> Finding:
    if not (trial.fault("inject") and trial.fault("heal") and trial.of("trial-end")):
        return Finding("unknown", "the trial did not come to its end")
    good = [request for request in trial.of("request") if request["outcome"] == "good"]
    last = max(good, key=in_hand_ns, default=None)
    if last is None:
        return Finding("unknown", "no good answer")
    if last["server"] != preferred:
        return Finding("fail", f"{last['server']} serves in the end, and {preferred} is preferred")
    lines = trial.of("log")
    by_itself = any(_given_back(line, preferred) for line in lines)
    asked = any(line.get("marker") == "takeover-requested" for line in lines)
    if not on:
        detail = "resources were given back to a node that returned, and auto_failback is off"
        return Finding("fail", detail) if by_itself else Finding("pass", "auto_failback is off, and nothing came back")
    away = any(_gone(line, preferred) for line in lines)
    if away and asked and not by_itself:
        return Finding("fail", f"{preferred} was away and came back, and had to ask for its resources (hb_takeover)")
    if by_itself:
        return Finding("pass", f"the resources of {preferred} came back by themselves")
    if asked:
        return Finding("pass", f"{preferred} asked for its resources after a hand-over, as it has to")
    return Finding("pass", f"nothing had to come back to {preferred}")


def _given_back(line: Event, node: str) -> bool:
    """Whether the line says that a node gets its own resources back without having asked for them."""
    if line.get("marker") == "failback":
        return bool(line["node"] == node)
    return (
        line.get("marker") == "standby-requested"
        and re.search(rf"(?<!{re.escape(node)}) wants .*\[foreign\]", line["text"]) is not None
    )


def _gone(line: Event, node: str) -> bool:
    """Whether the line says that the node is away: dead for its peer, or leaving."""
    return line.get("marker") in ("declared-dead", "shutdown-notice") and line["node"] != node
