"""Fencing: the order of the survivor's lines decides, and two owners are not explained away."""

from labkit.exercises import Seen, Variant, fencing
from labkit.history import Event
from labkit.spec import Spec
from tests.unit.histories import MASTER, SLAVE, TrialBuilder, dual_owner, failover, run_event

READY = {"configured": True, "answers": True, "known": True}
SHOT = (f"Resetting node {MASTER} with [x]", f"node {MASTER} now reset.", f"Resources being acquired from {MASTER}.")


def verdicts(trial: list[Event], lines: tuple[str, ...] = SHOT) -> dict[str, str]:
    """Of a pair whose devices are ready, when the survivor has logged these lines and no others in the trial."""
    log = TrialBuilder()
    for number, text in enumerate(lines):
        log.log(1000 + number, SLAVE, text)
    events = [run_event(), *(event for event in trial if event["event"] != "log"), *log.events]
    facts = {"settled": True, "devices": {MASTER: READY, SLAVE: READY}}
    seen = Seen(Spec(), Variant(), facts, {fencing.TRIAL: events} if trial else {})
    return {one.check: one.verdict for one in fencing.judge(seen)}


def test_shot_and_then_taken_passes() -> None:
    """All three checks, from the history of the trial."""
    assert set(verdicts(failover()).values()) == {"pass"}


def test_taken_before_the_shot_fails() -> None:
    """The same lines in another order, or without the shot, are no fencing."""
    assert verdicts(failover(), (SHOT[2], *SHOT[:2]))["shot-before-taken"] == "fail"
    assert verdicts(failover(), SHOT[2:])["shot-before-taken"] == "fail"


def test_two_owners_fail() -> None:
    """Whatever the log says."""
    assert verdicts(dual_owner())["never-two-owners"] == "fail"


def test_without_a_trial_nothing_passes_on_configuration_alone() -> None:
    """Not done yet is a failure, and not unknown."""
    assert verdicts([]) == {"ready-to-shoot": "pass", "shot-before-taken": "fail", "never-two-owners": "fail"}
