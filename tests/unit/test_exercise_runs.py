"""What exercises make of a run that the student names, and of the figures that he reads from it."""

from typing import Any

import pytest

from labkit.exercises import Seen, Variant, _tools_runs, failback_off, measure_a_failover
from labkit.history import Event
from labkit.spec import Spec
from tests.unit.histories import MACS, SLAVE, TrialBuilder, failover, run_event

CONFIG = {node: {"/etc/ha.d/authkeys": "c0de"} for node in MACS}
ANSWERS = {"run": "runs/x", "outage": "1.5", "detection": "1.05", "takeover": "375 ms", "setting": "Deadtime"}
RUN = [run_event(), *failover()]


def seen(answers: dict[str, str], run: list[Event] | None = RUN, **facts: Any) -> Seen:
    told = {"macs": MACS, "config": CONFIG, "wrong": None if run else "none"} | facts
    return Seen(Spec(), Variant(), told, {"measured": run} if run else {}, answers)


def verdicts(what: Seen) -> dict[str, str]:
    return {one.check: one.verdict for one in measure_a_failover.judge(what)}


def test_the_figures_of_the_run_that_is_named_pass() -> None:
    """In seconds, or with their unit as the report prints them; a setting in any case."""
    assert set(verdicts(seen(ANSWERS)).values()) == {"pass"}


@pytest.mark.parametrize(
    ("key", "given"), [("outage", "1.8"), ("takeover", "375"), ("detection", ""), ("detection", "?")]
)
def test_one_wrong_figure_fails_alone(key: str, given: str) -> None:
    """Another figure, another unit, none, and no number."""
    found = verdicts(seen(ANSWERS | {key: given}))
    assert [check for check, verdict in found.items() if verdict == "fail"] == [key]


@pytest.mark.parametrize("given", ["keepalive", "keepalive deadtime", "dead", ""])
def test_the_setting_is_one(given: str) -> None:
    """Whoever names several has not answered."""
    assert verdicts(seen(ANSWERS | {"setting": given}))["setting"] == "fail"


@pytest.mark.parametrize(
    ("run", "facts"),
    [
        (None, {}),
        (RUN, {"macs": dict.fromkeys(MACS, "02:42:00:00:00:00")}),
        (RUN, {"config": {node: {"/etc/ha.d/authkeys": "another"} for node in MACS}}),
        ([run_event(), *failover(run_on=False)], {}),
    ],
)
def test_figures_of_a_run_that_does_not_count_fail(run: list[Event] | None, facts: dict[str, Any]) -> None:
    """No run, one on other addresses, one with another key, and one that did not come to its end."""
    found = verdicts(seen(ANSWERS, run, **facts))
    assert {check for check, verdict in found.items() if verdict == "pass"} <= {"setting"}


@pytest.mark.parametrize(
    ("given", "seconds"), [("2.42", 2.42), ("2,42 s", 2.42), ("702 ms", 0.702), ("two", None), ("", None)]
)
def test_seconds_are_read_as_students_write_them(given: str, seconds: float | None) -> None:
    """With a point or a comma, bare or with a unit."""
    assert _tools_runs.seconds(given) == (None if seconds is None else pytest.approx(seconds))


def returned(marker: str) -> list[Event]:
    """A node that died and came back, and the line by which its resources followed."""
    return [run_event(), *failover(), *TrialBuilder().log(4500, SLAVE, "...", marker).events]


@pytest.mark.parametrize(
    ("run", "verdict"),
    [(returned("takeover-requested"), "pass"), (returned("failback"), "fail"), ([run_event(), *failover()], "fail")],
)
def test_resources_stay_if_they_had_to_be_fetched(run: list[Event], verdict: str) -> None:
    """A failback of Heartbeat's own is one too many; without either line nobody knows that they were away."""
    facts = {"macs": MACS, "config": CONFIG, "wrong": "none", "files": dict.fromkeys(MACS, "off")}
    what = Seen(Spec(), Variant(), facts | {"daemons": dict.fromkeys(MACS, "off")}, {"returned": run})
    assert {one.check: one.verdict for one in failback_off.judge(what)}["stays"] == verdict


def test_a_second_outage_counts_if_heartbeat_made_it() -> None:
    """The time after a failback that labkit asked for is not what was asked about."""
    facts = {"files": dict.fromkeys(MACS, "on"), "daemons": dict.fromkeys(MACS, "on")}
    own = returned("failback")
    again_ms = 0.0
    for run, right in ((own, True), (returned("takeover-requested"), False)):
        trial = seen({}, run).trial("measured")
        assert trial is not None
        again_ms = trial["failback_outage_ms"]
        what = seen({"run": "x", "failback": f"{again_ms:.0f} ms"}, run, **facts)
        found = {one.check: one.verdict for one in failback_off.judge(what)}
        assert found["run"] == "pass"
        assert (found["failback"] == "pass") is right
    assert again_ms > 0
