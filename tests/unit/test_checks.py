"""Checks: each verdict of each check, and that nothing ever passes without evidence."""

from collections.abc import Sequence

import pytest

from labkit.checks import Finding, Judgement, all_checks, each_trial, judge_all, judge_one
from labkit.errors import BadInput
from labkit.history import Event
from labkit.measure import TrialMeasures, measure
from tests.unit.histories import MASTER, SLAVE, TrialBuilder, dual_owner, failover, never_back, no_op, run_event

NAMES = ["cadence-kept", "expected-move", "service-back", "single-owner", "within-predicted-band"]


def verdicts(events: Sequence[Event]) -> dict[str, str]:
    return {judgement.check: judgement.verdict for judgement in judge_all(events)}


def detail(events: Sequence[Event], check: str) -> str:
    return next(judgement.detail for judgement in judge_all(events) if judgement.check == check)


def test_all_checks_are_discovered() -> None:
    """One file each, named as in results, each with a sentence about itself."""
    assert list(all_checks()) == NAMES
    assert all(check.describe.endswith(".") for check in all_checks().values())


def test_a_clean_failover_passes_everything() -> None:
    """Two trials as they should be."""
    assert verdicts([run_event(2), *failover(1), *failover(2, 1700)]) == dict.fromkeys(NAMES, "pass")


def test_a_history_without_trials_is_unknown_to_every_check() -> None:
    """No data is never a pass."""
    assert verdicts([run_event()]) == dict.fromkeys(NAMES, "unknown")


def test_an_empty_trial_is_unknown_to_every_check() -> None:
    """A trial that was begun and nothing more is no data either."""
    assert verdicts([run_event(), *TrialBuilder().start().events]) == dict.fromkeys(NAMES, "unknown")


def test_missing_trials_leave_a_run_unknown() -> None:
    """One good trial out of three is not what was asked for."""
    events = [run_event(3), *failover()]
    assert verdicts(events) == dict.fromkeys(NAMES, "unknown")
    assert detail(events, "service-back") == "1 of 3 trials were run"


def test_one_bad_trial_fails_the_run_and_is_named() -> None:
    """A failure counts more than a pass or an unknown beside it."""
    events = [run_event(4), *failover(1), *never_back(2), *failover(4)]
    assert verdicts(events)["service-back"] == "fail"
    assert detail(events, "service-back") == "trial 2: no good answer after the fault"


def test_what_several_trials_share_is_told_once() -> None:
    """Different details are told apart, by the numbers of their trials."""
    events = [run_event(3, expects_move=False), *failover(1), *failover(2), *no_op(3)]
    assert detail(events, "single-owner") == "one owner at a time"
    assert detail(events, "expected-move") == f"trial 1, 2: moved from {MASTER} to {SLAVE}, and should have stayed"


def test_two_owners_fail() -> None:
    """For however long."""
    events = [run_event(), *dual_owner()]
    assert verdicts(events)["single-owner"] == "fail"
    assert detail(events, "single-owner") == "two nodes answered for the VIP for 1500 ms"


@pytest.mark.parametrize(
    ("expects_move", "events", "verdict"),
    [
        (True, failover(), "pass"),
        (False, failover(), "fail"),
        (True, no_op(), "fail"),
        (False, no_op(), "pass"),
        (None, no_op(), "unknown"),
        (True, never_back(), "unknown"),
    ],
)
def test_a_move_is_judged_by_what_the_fault_should_do(
    expects_move: bool | None, events: list[Event], verdict: str
) -> None:
    """Moving when it should not is as wrong as staying when it should not."""
    assert verdicts([run_event(expects_move=expects_move), *events])["expected-move"] == verdict


@pytest.mark.parametrize(
    ("band", "verdict"),
    [
        ([900, 1900], "pass"),
        ([1510, 1900], "pass"),
        ([900, 1490], "pass"),
        ([1511, 1900], "fail"),
        ([900, 1489], "fail"),
    ],
)
def test_the_band_holds_to_one_cadence(band: list[float], verdict: str) -> None:
    """An outage of 1,500 ms that is known to 10 ms."""
    assert verdicts([run_event(predicted={"outage_ms": band}), *failover()])["within-predicted-band"] == verdict


def test_a_fault_without_a_prediction_is_not_held_to_one() -> None:
    """The check says nothing where nothing is predicted, and is unknown where the run does not say."""
    without = {key: value for key, value in run_event().items() if key != "predicted"}
    assert "within-predicted-band" not in verdicts([run_event(predicted={"outage_ms": None}), *failover()])
    assert verdicts([without, *failover()])["within-predicted-band"] == "unknown"


@pytest.mark.parametrize(("late", "verdict"), [(0, "pass"), (10, "pass"), (11, "unknown")])
def test_one_request_in_a_hundred_may_be_late(late: int, verdict: str) -> None:
    """Of 1,000 requests."""
    events = no_op()
    for event in [event for event in events if event["event"] == "request"][:late]:
        event["late_us"] = 5001
    assert verdicts([run_event(), *events])["cadence-kept"] == verdict


class Crashing:
    name = "crashing"
    describe = "Always crashes."

    def judge(self, events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding:
        raise ZeroDivisionError("no data")


def test_a_check_that_crashes_is_unknown() -> None:
    """And says why."""
    judgement = judge_one("crashing", Crashing(), [run_event()], [])
    assert judgement == Judgement("crashing", "unknown", "the check itself failed: ZeroDivisionError: no data")


def test_unknown_trials_keep_a_run_from_passing() -> None:
    """One unknown trial among good ones."""
    events = [run_event(2), *failover(1), *failover(2)]

    def judge(trial: TrialMeasures) -> Finding:
        return Finding("pass" if trial.number == 1 else "unknown", "so it is")

    assert each_trial(events, measure(events), judge) == Finding("unknown", "trial 2: so it is")


def test_a_history_without_header_cannot_be_judged() -> None:
    """That is bad input, not a list of unknowns."""
    with pytest.raises(BadInput):
        judge_all(failover())
