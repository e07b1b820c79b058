"""Nobody took a node for dead, or its service over, without a reason.

A fault that should move the service is reason enough, from its injection until it is healed: what it may lead to is for
`expected-move` and `single-owner`. While it is healed the nodes come and go, so nothing is asked of that time. As
printed, both nodes have the VIP, and a service that stays tells nothing about what they think of each other; so there,
too, only the time before the fault counts.
"""

from collections.abc import Sequence

from labkit.checks import Finding, each_trial_with_events
from labkit.history import Event, Trial, header
from labkit.measure import TrialMeasures

name = "no-false-failover"
describe = "Before a fault, and after one that should move nothing, no node declares its peer dead or takes over."
WORDS = {
    "declared-dead": "declared its peer dead",
    "taking-over": "began to take over",
    "handing-over": "handed over",
    "standby-requested": "knew of a hand-over",
}


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding:
    run = header(events)
    if (moves := run.get("expects_move")) is None:
        return Finding("unknown", "the run does not say whether a move was expected")
    reason = moves or run.get("profile") == "as-printed"
    return each_trial_with_events(events, trials, lambda _, trial: _trial(trial, reason))


def _trial(trial: Trial, reason: bool) -> Finding:
    """reason: whether the fault is one for the nodes to act."""
    armed = next(iter(trial.of("armed")), None)
    inject, heal = trial.fault("inject"), trial.fault("heal")
    if not (armed and inject and heal and trial.of("trial-end")):  # at its end every log has been read so far
        return Finding("unknown", "the trial did not come to its end, so not every log line was heard")
    start_ns = inject["before_ns"]
    for line in sorted(trial.of("log"), key=lambda line: int(line["t_ns"])):
        calm = line["t_ns"] < armed["t_ns"] or (not reason and start_ns <= line["t_ns"] < heal["before_ns"])
        if calm and line.get("marker") in WORDS:
            at_s = (line["t_ns"] - start_ns) / 1e9
            when = f"{abs(at_s):.2f} s {'before' if at_s < 0 else 'after'} the fault"
            return Finding("fail", f"{line['node']} {WORDS[line['marker']]} {when}: {line['text']}")
    when = "before the fault" if reason else "before the fault or after it"
    return Finding("pass", f"no node took its peer for dead, or took over, {when}")
