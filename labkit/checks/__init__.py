"""Checks: what a run must show. One file each, judged from the history alone, so an old run can be judged again.

A check passes only on evidence: one that lacks data, or crashes, is `unknown`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from labkit import plugins
from labkit.history import Event, Trial, header
from labkit.history import trials as trials_of
from labkit.measure import TrialMeasures, measure

Verdict = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True)
class Finding:
    """What a check says, with its evidence in one line."""

    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Judgement:
    """A finding with the name of its check: one entry of a result's `checks`."""

    check: str
    verdict: Verdict
    detail: str


class Check(Protocol):
    """What a module of this package offers. `name` is for people and JSON, `describe` one sentence for help texts."""

    name: str
    describe: str

    def judge(self, events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding | None:
        """None: the check has nothing to say about such a run."""


def all_checks() -> dict[str, Check]:
    """Every check by name, sorted."""
    import labkit.checks as package

    return plugins.discover(package, Check)  # type: ignore[type-abstract]  # modules satisfy it, not classes


def judge_all(events: Sequence[Event]) -> list[Judgement]:
    """What every check says of a history. BadInput if it has no header; a check that crashes is `unknown`."""
    trials = measure(events)
    judgements = (judge_one(name, check, events, trials) for name, check in all_checks().items())
    return [judgement for judgement in judgements if judgement is not None]


def judge_one(name: str, check: Check, events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Judgement | None:
    try:
        finding = check.judge(events, trials)
        return None if finding is None else Judgement(name, finding.verdict, finding.detail)
    except Exception as error:
        return Judgement(name, "unknown", f"the check itself failed: {type(error).__name__}: {error}")


def each_trial(
    events: Sequence[Event], trials: Sequence[TrialMeasures], judge: Callable[[TrialMeasures], Finding]
) -> Finding:
    """Judge a run trial by trial: one that fails, fails the run; one that is unknown or missing leaves it unknown.

    The detail is about the trials that decided it.
    """
    findings = {trial.number: judge(trial) for trial in trials}
    verdicts = {finding.verdict for finding in findings.values()}
    missing = header(events)["trials"] - len(trials)
    if "fail" in verdicts:
        return _about("fail", findings)
    if "unknown" in verdicts:
        return _about("unknown", findings)
    if missing > 0 or not trials:
        return Finding("unknown", f"{len(trials)} of {header(events)['trials']} trials were run")
    return _about("pass", findings)


def each_trial_with_events(
    events: Sequence[Event], trials: Sequence[TrialMeasures], judge: Callable[[TrialMeasures, Trial], Finding]
) -> Finding:
    """The same for a judge who needs a trial's events, too."""
    by_number = {trial.number: trial for trial in trials_of(events)}
    return each_trial(events, trials, lambda measures: judge(measures, by_number[measures.number]))


def _about(verdict: Verdict, findings: dict[int, Finding]) -> Finding:
    """One finding out of those with `verdict`: equal details are told once."""
    numbers: dict[str, list[int]] = {}
    for number, finding in findings.items():
        if finding.verdict == verdict:
            numbers.setdefault(finding.detail, []).append(number)
    if list(numbers.values()) == [list(findings)]:
        return Finding(verdict, next(iter(numbers)))
    return Finding(verdict, "; ".join(f"trial {', '.join(map(str, n))}: {detail}" for detail, n in numbers.items()))
