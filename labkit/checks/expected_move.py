"""The service moved to the other node if it should, and stayed if it should not."""

from collections.abc import Sequence

from labkit.checks import Finding, each_trial
from labkit.history import Event, header
from labkit.measure import TrialMeasures

name = "expected-move"
describe = "The other node serves after a fault that should move the service, the same one after any other."


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding:
    expects_move = header(events).get("expects_move")
    if expects_move is None:
        return Finding("unknown", "the run does not say whether a move was expected")
    return each_trial(events, trials, lambda trial: _trial(trial, expects_move))


def _trial(trial: TrialMeasures, expects_move: bool) -> Finding:
    before, after = trial.server_before, trial.server_after
    if before is None or after is None:
        return Finding("unknown", f"served by {before or 'nobody'} before, by {after or 'nobody'} after")
    moved = before != after
    detail = f"moved from {before} to {after}" if moved else f"stayed on {before}"
    if moved == expects_move:
        return Finding("pass", detail)
    return Finding("fail", f"{detail}, and should have {'moved' if expects_move else 'stayed'}")
