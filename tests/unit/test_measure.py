"""Figures out of histories that were built by hand, so that each is known in advance."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import BadInput
from labkit.history import Event, trials
from labkit.measure import PHASES, TrialMeasures, measure, result, stays, summarize
from tests.unit.histories import (
    CADENCE_MS,
    LIMIT_MS,
    MACS,
    MASTER,
    SLAVE,
    ZERO_NS,
    TrialBuilder,
    at_ns,
    dual_owner,
    failover,
    never_back,
    no_op,
    run_event,
)


def measured(events: list[Event]) -> TrialMeasures:
    (trial,) = measure([run_event(), *events])
    return trial


def test_a_failover_has_all_its_figures() -> None:
    """A node killed: outage from answer to answer, detection, takeover, failback, and counts of the whole trial."""
    trial = measured(failover())
    assert (trial.server_before, trial.server_after) == (MASTER, SLAVE)
    assert (trial.outage_ms, trial.outage_start_ms, trial.outage_error_ms) == (1500.0, 1.0, CADENCE_MS)
    assert trial.fault_error_ms == 12.5
    assert trial.detection_ms == 1050.0
    assert trial.takeover_ms == 375.0
    assert trial.dual_owner_ms == 0.0
    assert (trial.requests, trial.requests_failed) == (500, 178)
    assert trial.outcomes == {"good": 322, "refused": 29, "timeout": 149}
    assert (trial.failback_outage_ms, trial.failback_requests_failed) == (300.0, 29)
    assert trial.cadence_within_5ms == 1.0


def test_the_phases_of_an_outage_are_always_the_same_and_name_their_sources() -> None:
    """In the order of the way, from log, wire and probe; what was not seen is None, and nothing else is."""
    trial = measured(failover())
    assert [phase.name for phase in trial.phases] == list(PHASES)
    assert {phase.name: phase.t_ms for phase in trial.phases} == {
        "fault": 0.0,
        "last good answer": 1.0,
        "last heartbeat": -150.0,
        "noticed": 1050.0,
        "acquiring": 1080.0,
        "address up": 1425.0,
        "gratuitous ARP": 1479.9,
        "refused": None,
        "first good answer": 1501.0,
    }
    sources = {phase.name: phase.source for phase in trial.phases}
    assert sources["noticed"] == f"{SLAVE}: WARN: node {MASTER}: is dead"
    assert sources["gratuitous ARP"] == f"capture: gratuitous ARP of {SLAVE} for the VIP"
    assert sources["first good answer"] == f"request 250, {SLAVE}"
    assert sources["refused"] is None


def test_the_steps_of_an_outage_are_in_order_of_time() -> None:
    """All that was seen from the last heartbeat to the first good answer, and nothing twice."""
    assert [(step.name, step.t_ms) for step in measured(failover()).steps] == [
        ("last heartbeat", -150.0),
        ("fault", 0.0),
        ("last good answer", 1.0),
        ("first timeout", 810.0),
        ("declared-dead", 1050.0),
        ("taking-over", 1080.0),
        ("address-up", 1425.0),
        ("gratuitous ARP", 1479.9),
        ("first good answer", 1501.0),
    ]


def test_without_a_capture_the_wire_tells_nothing() -> None:
    """A run of which only the history is left has the other phases all the same."""
    trial = measured([event for event in failover() if event["event"] != "wire"])
    unseen = {phase.name for phase in trial.phases if phase.t_ms is None}
    assert unseen == {"last heartbeat", "gratuitous ARP", "refused"}


def test_a_node_that_goes_on_talking_has_no_last_heartbeat() -> None:
    """Where heartbeats are lost on the way, the wire has them all: it cannot tell which one the peer heard last."""
    builder = TrialBuilder().beating(MASTER, 1050, 2100)
    trial = measured([*failover(), *builder.events])
    assert {phase.name: phase.t_ms for phase in trial.phases}["last heartbeat"] is None


def test_the_first_refused_request_of_the_outage_is_a_phase() -> None:
    """Not one that was refused before it, or after it."""
    trial = TrialBuilder().start().asked(0, 20, "refused").served(MASTER, 20, 1000).asked(1000, 1100, "timeout")
    trial.asked(1100, 1200, "refused").served(SLAVE, 1200, 1500).request(1500, "refused").served(SLAVE, 1510, 2000)
    known = measured(trial.fault("inject", 990, 991).end(2000).events).phases
    assert {phase.name: phase.t_ms for phase in known}["refused"] == 1101.0 - 990.0


def test_a_monitor_that_trips_where_nothing_is_served_noticed_nothing() -> None:
    """apache2 does not run on a node that gave its resources back; its monitor says so, whatever the fault was."""
    trial = TrialBuilder().start().served(MASTER, 0, 2000).fault("inject", 1000, 1001)
    trial.log(1100, SLAVE, "'apache2' process is not running", "monitor-tripped")
    assert measured(trial.end(2000).events).detection_ms is None


def test_what_the_client_saw_is_told_apart() -> None:
    """By outcome for the whole trial and for the outage, and by node."""
    trial = measured(failover())
    assert trial.answered_by == {MASTER: 171, SLAVE: 151}
    assert trial.outage_outcomes == {"timeout": 149}
    assert measured(no_op()).outage_outcomes == {}
    assert measured(never_back()).outage_outcomes is None


def cost_of(events: list[Event]) -> dict[str, float]:
    cost = measured(events).cost
    assert cost is not None
    return asdict(cost)


def test_a_trials_time_is_accounted_for() -> None:
    """1,501 ms of outage; 990 before the fault and 1,499 until healing to watch; 1 for the cure, and Heartbeat from its
    first line after that, at 4,050 ms, to the first good answer at 4,301; the rest is labkit's."""
    assert cost_of(failover()) == {
        "outage_ms": 1501.0, "watch_ms": 2489.0, "recovery_ms": 252.0, "overhead_ms": 758.0, "total_ms": 5000.0
    }  # fmt: skip
    without = cost_of(no_op())
    assert (without["outage_ms"], without["recovery_ms"], without["watch_ms"]) == (0.0, 0.1, 7990.0)
    assert cost_of(never_back())["outage_ms"] == 3900.0
    assert measured([event for event in failover() if event["event"] != "trial-end"]).cost is None


@pytest.mark.parametrize("events", [failover(), no_op(), never_back(), dual_owner()])
def test_the_parts_of_a_trials_time_add_up(events: list[Event]) -> None:
    """None of them is negative, and nothing counts twice."""
    cost = cost_of(events)
    assert sum(cost.values()) == pytest.approx(2 * cost["total_ms"])
    assert min(cost.values()) >= 0


def test_a_daemon_that_has_to_grow_old_is_still_recovering() -> None:
    """For its first 5 s it asks its peer for more patience; what the cure and the growing share counts once."""
    trial = TrialBuilder().start().served(MASTER, 0, 9000).armed(950).fault("inject", 1000, 1001)
    trial.fault("heal", 2000, 2300).log(2200, MASTER, "Configuration validated. Starting heartbeat", "starting")
    assert cost_of(trial.log(7500, MASTER, "chatter of the failback").end(9000).events)["recovery_ms"] == 5500.0


def states(events: list[Event], silence_ms: float | None = 800.0) -> dict[str, list[tuple[str, float, float]]]:
    """Node -> (state, from, to) in ms on the trial's clock."""
    (trial,) = trials(events)
    found: dict[str, list[tuple[str, float, float]]] = {}
    for stay in stays(trial, {mac: node for node, mac in MACS.items()}, silence_ms):
        span = ((stay.start_ns - ZERO_NS) / 1e6, (stay.end_ns - ZERO_NS) / 1e6)
        found.setdefault(stay.node, []).append((stay.state, *span))
    return found


def test_each_node_is_in_one_state_at_a_time() -> None:
    """By its own lines, and silent from its last heartbeat to the next one."""
    assert states(failover()) == {
        MASTER: [
            ("active", 0, 850),
            ("silent", 850, 4060),
            ("standby", 4060, 4100),
            ("active", 4100, 5000),
        ],
        SLAVE: [
            ("standby", 0, 2080),
            ("taking over", 2080, 2425),
            ("active", 2425, 4080),
            ("giving up", 4080, 4090),
            ("standby", 4090, 5000),
        ],
    }


def test_a_node_that_has_the_vip_already_is_active_when_its_takeover_is_complete() -> None:
    """It configures no address then; and without heartbeats on the wire nobody is silent."""
    trial = TrialBuilder().start().owned(0, 1000, MASTER, SLAVE).log(200, SLAVE, "acquired", "taking-over")
    found = states(trial.log(300, SLAVE, "complete", "takeover-complete").end(1000).events)
    assert found[SLAVE] == [("active", 0, 200), ("taking over", 200, 300), ("active", 300, 1000)]
    assert found[MASTER] == [("active", 0, 1000)]


def test_where_nobody_has_the_vip_in_the_beginning_no_state_is_told() -> None:
    """Nothing says who was active."""
    assert states(TrialBuilder().start().owned(0, 500).end(500).events) == {}


def test_doing_nothing_costs_nothing() -> None:
    """The reference: 1,000 answered requests are an outage of exactly 0, and nothing was detected."""
    trial = measured(no_op())
    assert (trial.requests, trial.requests_failed) == (1000, 0)
    assert (trial.outage_ms, trial.failback_outage_ms, trial.dual_owner_ms) == (0.0, 0.0, 0.0)
    assert (trial.detection_ms, trial.takeover_ms, trial.outage_start_ms) == (None, None, None)
    assert [phase.name for phase in trial.phases if phase.t_ms is not None] == ["fault"]
    assert [step.name for step in trial.steps] == ["fault"]


def test_a_service_that_stays_away_has_no_outage_figure() -> None:
    """Good answers inside the fault's bracket are no return, and healing a dead service is no failback."""
    trial = measured(never_back())
    assert (trial.server_before, trial.server_after) == (MASTER, None)
    assert (trial.outage_ms, trial.failback_outage_ms) == (None, None)
    assert trial.steps[-1].name == "first refused"


def test_rounds_with_two_owners_count_with_their_length() -> None:
    """Two MAC addresses answer from 1,500 ms to 3,000 ms, which the client's outage of 110 ms does not show."""
    trial = measured(dual_owner())
    assert trial.dual_owner_ms == 1500.0
    assert trial.outage_ms == 110.0


def test_a_late_round_counts_as_long_as_it_was() -> None:
    """A watcher that was held up for 170 ms saw two owners for 170 ms, not for the 50 ms that were planned."""
    builder = TrialBuilder().start().owned(0, 50, MASTER, SLAVE).owned(170, 200, MASTER).owned(220, 240, MASTER)
    assert measured(builder.end(300).events).dual_owner_ms == 170.0


def test_gratuitous_arps_are_no_answers() -> None:
    """A node that announces the VIP while the other answers for it is no second owner."""
    builder = TrialBuilder().start().owned(0, 200, MASTER)
    builder.add("arp", t_ns=at_ns(60), mac="02:42:ac:17:13:2f", kind="gratuitous")
    assert measured(builder.events).dual_owner_ms == 0.0


def test_a_watcher_that_heard_nobody_measured_nothing() -> None:
    """Without a single answer nothing can be said about two."""
    assert measured(TrialBuilder().start().owned(0, 500).events).dual_owner_ms is None


def test_a_trial_without_data_is_all_null() -> None:
    """Interrupted before anything happened: nothing is 0 that was not measured."""
    trial = measured(TrialBuilder().start().add("interrupted", t_ns=at_ns(5), reason="Ctrl-C").events)
    everything = asdict(trial)
    assert {name for name, value in everything.items() if value == 0} == {"requests", "requests_failed"}
    assert everything["outage_ms"] is None
    assert trial.phases == ()


def test_slow_answers_are_no_outage() -> None:
    """Nobody failed: answers that overtake each other, and one that took 400 ms, are slow, not missing."""
    builder = TrialBuilder().start().served(MASTER, 0, 1000).served(MASTER, 1000, 1200, took_ms=400)
    builder.served(MASTER, 1200, 3000).fault("inject", 1000, 1001).end(3000)
    assert measured(builder.events).outage_ms == 0.0


def test_answers_count_in_the_order_in_which_they_were_in_hand() -> None:
    """The last request that is answered before the gap was asked first: the gap begins with its answer."""
    builder = TrialBuilder().start().served(MASTER, 0, 990).request(990, server=MASTER, took_ms=60)
    builder.served(MASTER, 1000, 1020).asked(1020, 1500, "refused").served(SLAVE, 1500, 3000)
    trial = measured(builder.fault("inject", 1005, 1006).end(3000).events)
    assert trial.outage_start_ms == 45.0
    assert trial.outage_ms == 1501.0 - 1050.0


def test_requests_that_were_under_way_when_the_fault_struck_count() -> None:
    """On a slow path every failed request was due before the last good answer: the gap between answers still counts."""
    builder = TrialBuilder().start().served(MASTER, 0, 1010, took_ms=45).asked(1010, 1030, "reset", took_ms=46)
    trial = measured(builder.served(SLAVE, 1060, 2000, took_ms=45).fault("inject", 1050, 1051).end(2000).events)
    assert trial.outage_ms == 1105.0 - 1045.0


def test_a_noisy_moment_before_the_fault_does_not_hide_its_outage() -> None:
    """No answer was in hand for two cadences before the fault: the one before them opens the outage all the same."""
    builder = TrialBuilder().start().served(MASTER, 0, 980).asked(980, 2000, "timeout", took_ms=LIMIT_MS)
    trial = measured(builder.served(SLAVE, 2000, 3000).fault("inject", 1000, 1001).end(3000).events)
    assert (trial.outage_ms, trial.outage_start_ms) == (2001.0 - 971.0, -29.0)


def test_only_the_longest_gap_after_the_fault_is_the_outage() -> None:
    """A longer one that was over before the fault is somebody else's."""
    builder = TrialBuilder().start().served(MASTER, 0, 100).asked(100, 900, "refused").served(MASTER, 900, 1010)
    builder.asked(1010, 1100, "refused").served(SLAVE, 1100, 1200).asked(1200, 1250, "refused")
    trial = measured(builder.served(SLAVE, 1250, 2000).fault("inject", 1005, 1006).end(2000).events)
    assert trial.outage_ms == 100.0


def test_a_probe_that_falls_silent_measured_nothing() -> None:
    """After the fault come three good answers and then nothing at all: that is no outage of 0."""
    builder = TrialBuilder().start().served(MASTER, 0, 1030).fault("inject", 1000, 1001)
    trial = measured(builder.end(5000).events)
    assert (trial.outage_ms, trial.server_after) == (None, None)


def test_a_service_that_was_down_before_the_fault_has_no_outage_figure() -> None:
    """There is no answer to measure from, though somebody answers afterwards."""
    builder = TrialBuilder().start().served(MASTER, 0, 500).asked(500, 1500, "refused").served(SLAVE, 1500, 2000)
    trial = measured(builder.fault("inject", 1000, 1001).end(2000).events)
    assert (trial.outage_ms, trial.server_before, trial.server_after) == (None, None, SLAVE)


@pytest.mark.parametrize("marker", ["monitor-tripped", "handing-over", "shutdown-notice", "standby-requested"])
def test_the_faulted_node_may_notice_by_itself(marker: str) -> None:
    """A monitor or a shutdown speaks on the node with the fault; its silence is noticed by the other."""
    builder = TrialBuilder().start().served(MASTER, 0, 2000).fault("inject", 1000, 1001)
    builder.log(900, MASTER, "before the fault", marker).log(1100, MASTER, "peer is dead", "declared-dead")
    assert measured([*builder.log(1300, MASTER, "noticed", marker).end(2000).events]).detection_ms == 300.0


def test_what_is_said_while_healing_is_no_detection() -> None:
    """A handing-over that belongs to the failback says nothing about the fault."""
    builder = TrialBuilder().start().served(MASTER, 0, 3000).fault("inject", 1000, 1001).fault("heal", 2000, 2001)
    assert measured(builder.log(2100, SLAVE, "gives back", "standby-requested").end(3000).events).detection_ms is None


def test_late_requests_lower_the_cadence_share() -> None:
    """5 ms late is on time, more is not."""
    builder = TrialBuilder().start().request(0, late_ms=5.0).request(10, late_ms=5.001).request(20).request(30)
    assert measured(builder.events).cadence_within_5ms == 0.75


@given(down_ms=st.floats(10, 5000), fault_ms=st.floats(500, 600), took_ms=st.floats(0.1, 9), fails=st.floats(0.1, 799))
def test_a_known_gap_is_measured_within_a_cadence(
    down_ms: float, fault_ms: float, took_ms: float, fails: float
) -> None:
    """Whenever the service goes away, for however long, and however slowly requests fail, the figure is right.

    Answers are a cadence apart even when all is well, so the gap is longer than the absence by one, give or take one.
    """
    builder = TrialBuilder().start().fault("inject", fault_ms, fault_ms)
    for slot in range(700):
        due_ms = slot * CADENCE_MS
        if fault_ms <= due_ms < fault_ms + down_ms:
            builder.request(due_ms, "timeout", took_ms=fails)
        else:
            builder.request(due_ms, server=MASTER if due_ms < fault_ms else SLAVE, took_ms=took_ms)
    outage_ms = measured(builder.end(7000).events).outage_ms
    assert outage_ms is not None
    assert abs(outage_ms - CADENCE_MS - down_ms) <= CADENCE_MS + 0.01


def test_a_summary_tells_how_many_were_missed() -> None:
    """Trials without a figure are counted, not averaged in; the percentile interpolates and stays inside."""
    summary = summarize([3.0, None, 1.0, 2.0, 5.0])
    assert (summary.n, summary.missed) == (4, 1)
    assert (summary.median, summary.min, summary.max) == (2.5, 1.0, 5.0)
    assert summary.p95 == pytest.approx(4.7)


def test_a_summary_of_one_or_none() -> None:
    """A single value is all of its figures; without values there are none."""
    one = {"n": 1, "missed": 0, "median": 7.0, "min": 7.0, "max": 7.0, "p95": 7.0, "ci95": None}
    assert asdict(summarize([7.0])) == one
    nothing = {"n": 0, "missed": 2, "median": None, "min": None, "max": None, "p95": None, "ci95": None}
    assert asdict(summarize([None, None])) == nothing


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_figures_never_leave_the_measured_range(values: list[float]) -> None:
    """min <= median <= max, and p95 too, whatever was measured."""
    summary = summarize(values)
    assert summary.min is not None
    assert summary.median is not None
    assert summary.max is not None
    assert summary.p95 is not None
    slack = 1e-9 * summary.max
    assert summary.min - slack <= summary.median <= summary.max + slack
    assert summary.min - slack <= summary.p95 <= summary.max + slack


def test_the_answer_is_the_documented_one() -> None:
    """The keys of `labkit failover --json`, plain JSON values, and timing in ms out of what the spec says."""
    answer = result([run_event(2), *failover(1), *failover(2, 1700)], "runs/one")
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert list(answer) == [
        "run", "platform", "network", "profile", "fault", "timing", "trials", "summary", "predicted",
        "false_failovers", "hosts", "checks"
    ]  # fmt: skip
    assert (answer["run"], answer["platform"], answer["fault"]) == ("runs/one", "debian-12", "node-kill")
    assert answer["timing"] == {"keepalive_ms": 200.0, "deadtime_ms": 1000.0}
    assert answer["predicted"] == {"outage_ms": [900.0, 1900.0]}
    assert answer["summary"]["outage_ms"] == {
        "n": 2, "missed": 0, "median": 1600.0, "min": 1500.0, "max": 1700.0, "p95": 1690.0, "ci95": None
    }  # fmt: skip
    assert [trial["number"] for trial in answer["trials"]] == [1, 2]
    assert answer["checks"] == []
    assert answer["false_failovers"] is None  # a node was killed
    rate = result([run_event(fault="loss", both_alive=True), *no_op()])["false_failovers"]
    assert (rate["seen"], rate["per_hour"]) == (0, 0)
    assert rate["watched_s"] > 0
    assert rate["per_hour_at_most"] > 0


def test_nothing_predicted_is_null() -> None:
    """Without a prediction the answer says so in the same place."""
    assert result([run_event(predicted=None), *no_op()])["predicted"] == {"outage_ms": None}


def test_a_history_without_header_has_no_answer() -> None:
    """It is bad input, not an empty answer."""
    with pytest.raises(BadInput):
        result([])
