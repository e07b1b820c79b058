"""Checks: each verdict of each check, and that nothing ever passes without evidence."""

from collections.abc import Sequence

import pytest

from labkit.checks import Finding, Judgement, all_checks, each_trial, judge_all, judge_one
from labkit.errors import BadInput
from labkit.history import Event
from labkit.measure import TrialMeasures, measure
from tests.unit.histories import (
    MASTER,
    SLAVE,
    TrialBuilder,
    at_ns,
    dual_owner,
    failover,
    never_back,
    no_op,
    run_event,
)

NAMES = [
    "cadence-kept",
    "config-identical",
    "expected-move",
    "failback-as-configured",
    "hosts-agree",
    "machine-quiet",
    "no-false-failover",
    "right-server",
    "service-back",
    "single-owner",
    "within-predicted-band",
]
OF_ONE_HOST = [name for name in NAMES if name != "hosts-agree"]  # tests/unit/test_shares.py has several
NOT_JUDGED = dict.fromkeys(OF_ONE_HOST, "unknown") | {"config-identical": "pass"}  # which the header alone decides


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
    assert verdicts([run_event(2), *failover(1), *failover(2, 1700)]) == dict.fromkeys(OF_ONE_HOST, "pass")


def test_a_history_without_trials_is_unknown_to_every_check() -> None:
    """No data is never a pass; what the header says is data."""
    assert verdicts([run_event()]) == NOT_JUDGED


def test_an_empty_trial_is_unknown_to_every_check() -> None:
    """A trial that was begun and nothing more is no data either."""
    assert verdicts([run_event(), *TrialBuilder().start().events]) == NOT_JUDGED


@pytest.mark.parametrize("healed", [True, False])
def test_a_trial_that_was_cut_short_says_nothing_about_the_service(healed: bool) -> None:
    """Ctrl-C heals before the takeover could be seen, kill -9 not even that; with time enough, it fails."""
    whole = never_back(1)
    events = [{**event, "early": True} if event.get("stage") == "heal" else event for event in whole]
    if not healed:
        events = [event for event in whole if (event.get("t_ns") or event["before_ns"]) < at_ns(4900)]
    assert verdicts([run_event(), *whole])["service-back"] == "fail"
    assert verdicts([run_event(), *events])["service-back"] == "unknown"


def test_missing_trials_leave_a_run_unknown() -> None:
    """One good trial out of three is not what was asked for."""
    events = [run_event(3), *failover()]
    assert verdicts(events) == NOT_JUDGED
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


@pytest.mark.parametrize(("late", "verdict"), [(0, "pass"), (6, "pass"), (7, "unknown")])
def test_one_request_in_a_hundred_may_be_late(late: int, verdict: str) -> None:
    """Of the 602 requests between arming and healing; all others may."""
    events = no_op()
    requests = [event for event in events if event["event"] == "request"]
    for event in [*requests[:199], *requests[300 : 300 + late], *requests[801:]]:
        event["late_us"] = 5001
    assert verdicts([run_event(), *events])["cadence-kept"] == verdict


def test_a_busy_machine_is_told_of_once() -> None:
    """However many trials it spoilt, and with the worst of them."""
    events = [run_event(2), *failover(1), *failover(2)]
    requests = [event for event in events if event["event"] == "request"]
    for event in [*requests[150:200], *requests[-300:-240]]:
        event["late_us"] = 5001
    assert detail(events, "cadence-kept") == (
        "under 99% of the requests were on time: the machine was too busy; the least was 80.13%"
    )


def healed(trial: TrialBuilder) -> list[Event]:
    """A trial of a fault at 1,000 ms, healed at 2,500 ms and ended at 4,000 ms; the nodes say nothing else."""
    trial.armed(950).fault("inject", 1000, 1001).fault("heal", 2500, 2501)
    return trial.end(4000).events


def moved() -> TrialBuilder:
    """The slave serves from 1,200 to 3,000 ms, the master before and after."""
    trial = TrialBuilder().start().served(MASTER, 0, 1000).asked(1000, 1200, "refused").served(SLAVE, 1200, 3000)
    return trial.served(MASTER, 3000, 4000)


def test_answers_from_the_old_server_after_the_new_one_are_wrong() -> None:
    """`expected-move` looks at the last answer alone, and is content; a client that was led back is no good service."""
    trial = TrialBuilder().start().served(MASTER, 0, 1000).served(SLAVE, 1200, 1500).served(MASTER, 1500, 1520)
    events = [run_event(), *healed(trial.served(SLAVE, 1520, 4000))]
    assert verdicts(events)["expected-move"] == "pass"
    assert verdicts(events)["right-server"] == "fail"
    told = "2 answers came from master-cluster again, the first asked for 0.50 s after the fault"
    assert detail(events, "right-server") == f"{SLAVE} served, and then {told}"
    assert verdicts([run_event(expects_dual_owner=True), *events[1:]])["right-server"] == "pass"


def test_an_old_answer_that_comes_late_is_right() -> None:
    """A request that was due before the new server's first answer may still be answered by the old one."""
    trial = TrialBuilder().start().served(MASTER, 0, 990).request(1190, server=MASTER, took_ms=200)
    assert verdicts([run_event(), *healed(trial.served(SLAVE, 1200, 4000))])["right-server"] == "pass"


def test_the_right_server_is_the_one_that_the_fault_says() -> None:
    """Whoever serves after a fault that should move nothing, it has to be the same node all the time."""
    assert verdicts([run_event(), *healed(moved())])["right-server"] == "pass"
    assert verdicts([run_event(expects_move=False), *healed(moved())])["right-server"] == "fail"
    assert verdicts([run_event(expects_move=None), *healed(moved())])["right-server"] == "unknown"


def test_a_stranger_must_not_answer() -> None:
    """Not even while it is healed, and not where two nodes may answer either."""
    trial = moved().request(3990, server="somebody-else")
    events = [run_event(expects_dual_owner=True), *healed(trial)]
    assert detail(events, "right-server") == "somebody-else answered, and is no node of the lab"


@pytest.mark.parametrize(
    ("at_ms", "expects_move", "profile", "verdict"),
    [
        (900, True, "corrected", "fail"),
        (900, False, "as-printed", "fail"),
        (1300, True, "corrected", "pass"),
        (1300, False, "corrected", "fail"),
        (1300, False, "as-printed", "pass"),
        (2600, False, "corrected", "pass"),
    ],
)
def test_nobody_may_take_over_without_a_reason(at_ms: float, expects_move: bool, profile: str, verdict: str) -> None:
    """Never before the fault; after it if that is what the fault is for; and as they have to while they are healed."""
    trial = moved().log(at_ms, SLAVE, f"WARN: node {MASTER}: is dead", "declared-dead")
    events = [run_event(expects_move=expects_move, profile=profile), *healed(trial)]
    assert verdicts(events)["no-false-failover"] == verdict


def test_a_log_that_was_not_read_to_its_end_proves_nothing() -> None:
    """Without the trial's end there may be a line that nobody has heard."""
    events = [run_event(), *[event for event in failover() if event["event"] != "trial-end"]]
    assert verdicts(events)["no-false-failover"] == "unknown"
    assert verdicts(events)["failback-as-configured"] == "unknown"


def auto_failback(on: bool, profile: str = "corrected") -> Event:
    spec = run_event()["spec"]
    return run_event(profile=profile, spec=spec | {"timing": spec["timing"] | {"auto_failback": on}})


GAVE_BACK = (2600, SLAVE, f"[168]: info: {SLAVE} wants to go standby [foreign]", "standby-requested")
GAVE_EMPTY = (2600, MASTER, f"[168]: info: {MASTER} wants to go standby [foreign]", "standby-requested")
CAME_BACK = (2700, MASTER, "info: Initial resource acquisition complete (auto_failback)", "failback")
ASKED = (2600, MASTER, "info: Running /etc/ha.d//rc.d/hb_takeover hb_takeover", "takeover-requested")
WAS_AWAY = (1100, SLAVE, f"WARN: node {MASTER}: is dead", "declared-dead")


@pytest.mark.parametrize(
    ("on", "lines", "verdict"),
    [
        (True, [WAS_AWAY, GAVE_BACK], "pass"),
        (True, [WAS_AWAY, CAME_BACK, ASKED], "pass"),
        (True, [WAS_AWAY, ASKED], "fail"),
        (True, [WAS_AWAY, GAVE_EMPTY, ASKED], "fail"),
        (True, [ASKED], "pass"),
        (True, [], "pass"),
        (False, [WAS_AWAY, ASKED], "pass"),
        (False, [WAS_AWAY, GAVE_BACK], "fail"),
        (False, [WAS_AWAY, CAME_BACK], "fail"),
    ],
)
def test_failback_is_judged_by_the_configuration(
    on: bool, lines: list[tuple[float, str, str, str]], verdict: str
) -> None:
    """With auto_failback a node that was away must not have to ask; without it nothing may come back unasked. What the
    preferred node gives back to its peer, which prefers nothing, is no failback of its own."""
    trial = moved()
    for line in lines:
        trial.log(*line)
    events = healed(trial)
    assert verdicts([auto_failback(on), *events])["failback-as-configured"] == verdict
    assert "failback-as-configured" not in verdicts([auto_failback(on, "as-printed"), *events])


def test_the_preferred_node_has_to_serve_in_the_end() -> None:
    """However it got there."""
    trial = TrialBuilder().start().served(MASTER, 0, 1000).served(SLAVE, 1200, 4000).log(*GAVE_BACK)
    events = [auto_failback(True), *healed(trial)]
    assert detail(events, "failback-as-configured") == f"{SLAVE} serves in the end, and {MASTER} is preferred"


@pytest.mark.parametrize(
    ("config", "verdict"),
    [
        ({MASTER: {"/etc/ha.d/haresources": "1", "/etc/ha.d/authkeys": "2"}}, "unknown"),
        ({MASTER: {"/etc/ha.d/haresources": "1"}, SLAVE: {"/etc/ha.d/haresources": "1"}}, "unknown"),
        (None, "unknown"),
        (
            {
                MASTER: {"/etc/ha.d/haresources": "1", "/etc/ha.d/authkeys": "2", "/etc/ha.d/ha.cf": "3"},
                SLAVE: {"/etc/ha.d/haresources": "1", "/etc/ha.d/authkeys": "2", "/etc/ha.d/ha.cf": "4"},
            },
            "pass",
        ),
        (
            {
                MASTER: {"/etc/ha.d/haresources": "1", "/etc/ha.d/authkeys": "2"},
                SLAVE: {"/etc/ha.d/haresources": "5", "/etc/ha.d/authkeys": "2"},
            },
            "fail",
        ),
    ],
)
def test_the_files_that_must_be_alike_are_compared(config: object, verdict: str) -> None:
    """haresources and authkeys by their digests; ha.cf may differ, for it names the peer's address."""
    events = [run_event(config=config), *failover()]
    assert verdicts(events)["config-identical"] == verdict
    if verdict == "fail":
        assert detail(events, "config-identical") == f"not the same on {MASTER} and {SLAVE}: haresources"


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
