"""Whoever answered had to. `expected-move` asks who serves in the end; this asks about every single answer."""

from collections.abc import Sequence

from labkit.checks import Finding, each_trial_with_events
from labkit.history import Event, Trial, header
from labkit.measure import TrialMeasures
from labkit.measure.service import in_hand_ns

name = "right-server"
describe = "Each good answer comes from the node that should give it: after a move from the new one alone."


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding:
    run = header(events)
    moves = run.get("expects_move")
    nodes = list(run.get("spec", {}).get("nodes", {}))
    if moves is None or len(nodes) != 2:
        return Finding("unknown", "the run does not say which nodes there were, or whether a move was expected")
    # Where two nodes own the VIP, clients are led to either; as printed, they do from the beginning.
    either = run.get("expects_dual_owner") or run.get("profile") == "as-printed"

    def one(measures: TrialMeasures, trial: Trial) -> Finding:
        if strangers := sorted(set(measures.answered_by) - set(nodes)):
            return Finding("fail", f"{' and '.join(strangers)} answered, and is no node of the lab")
        if measures.server_before is None or measures.server_after is None:
            return Finding("unknown", "the service was not there, before the fault or after it")
        if either:
            return Finding("pass", "only nodes of the lab answered; either may, because both own the VIP for a while")
        peer = next(node for node in nodes if node != measures.server_before)
        return _after(trial, peer if moves else measures.server_before)

    return each_trial_with_events(events, trials, one)


def _after(trial: Trial, right: str) -> Finding:
    """Whether `right` alone answered what was asked after its first answer since the fault, until healing."""
    inject, heal = trial.fault("inject"), trial.fault("heal")
    if inject is None:
        return Finding("unknown", "no fault was injected")
    end_ns = heal["before_ns"] if heal else trial.end_ns
    good = [r for r in trial.of("request") if r["outcome"] == "good" and inject["before_ns"] <= r["t_ns"] < end_ns]
    since_ns = min((in_hand_ns(r) for r in good if r["server"] == right), default=None)
    if since_ns is None:
        return Finding("fail", f"{right} should have answered after the fault, and never did")
    wrong = sorted((r["t_ns"], r["server"]) for r in good if r["server"] != right and r["t_ns"] >= since_ns)
    if wrong:
        after_s = (wrong[0][0] - inject["before_ns"]) / 1e9
        again = (
            f"{len(wrong)} answers came from {wrong[0][1]} again, the first asked for {after_s:.2f} s after the fault"
        )
        return Finding("fail", f"{right} served, and then {again}")
    return Finding("pass", f"{right} alone served, once it did")
