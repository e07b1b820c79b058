"""Figures of a busy machine: how busy it was in an outage, what is flagged, and what the check and the tables say."""

from typing import Any

import pytest

from labkit.campaign.compare import compare
from labkit.campaign.sweep import told
from labkit.checks import Finding, machine_quiet
from labkit.cluster.busy import parsed
from labkit.history import Event, Trial
from labkit.measure import Pressure, measure, result
from labkit.measure.pressure import BUSY_MOST, ON_TIME_LEAST, STOLEN_MOST, WAITED_MOST, flags, pressure
from tests.unit.histories import MASTER, SLAVE, TrialBuilder, at_ns, failover, run_event

QUIET = Pressure(waited=0.2, busy=0.5, stolen=0.0, throttled_ms=None)


def cpu(ms: float, idle_ms: int, steal_ms: int = 0, waited_us: int | None = 0) -> Event:
    """A reading of a host with two CPUs."""
    told = {"idle_ms": idle_ms, "steal_ms": steal_ms, "all_ms": int(2 * ms), "waited_us": waited_us}
    return {"event": "cpu", "trial": 1, "t_ns": at_ns(ms), **told}


def throttled(node: str, *told_us: int) -> list[Event]:
    return [
        {"event": "throttled", "trial": 1, "t_ns": at_ns(0), "node": node, "throttled_us": value} for value in told_us
    ]


def seen(*events: Event, start_ms: float = 1000, end_ms: float = 3000) -> Pressure | None:
    return pressure(Trial(1, events), at_ns(start_ms), at_ns(end_ms))


def test_it_is_what_lies_between_the_readings_around_the_outage() -> None:
    """The last reading before it and the first one after it; what was before and what comes later does not count."""
    readings = [
        cpu(0, 0),
        cpu(900, 100),
        cpu(2000, 600),
        cpu(3100, 2300, 440, 1_100_000),
        cpu(5000, 2300, 2000, 3_000_000),
    ]
    found = seen(*readings)
    assert found is not None
    assert found.busy == pytest.approx(0.5)
    assert found.stolen == pytest.approx(0.1)
    assert found.waited == pytest.approx(0.5)
    assert found.throttled_ms is None


def test_without_readings_on_both_sides_nothing_is_known() -> None:
    """No figure is made up where the agent was silent; a kernel without PSI leaves only that part out."""
    assert seen() is None
    assert seen(cpu(1500, 0), cpu(3100, 0)) is None
    assert seen(cpu(900, 0), cpu(2900, 0)) is None
    found = seen(cpu(900, 0, waited_us=None), cpu(3100, 0, waited_us=None))
    assert found is not None
    assert found.waited is None


def test_throttling_adds_up_over_the_nodes_that_lived_on() -> None:
    """A node that was killed, or whose counter began anew, tells nothing."""
    readings = [cpu(900, 0), cpu(3100, 2000)]
    both = seen(*readings, *throttled(MASTER, 1000, 4000), *throttled(SLAVE, 500, 2500))
    again = seen(*readings, *throttled(MASTER, 9000, 0), *throttled(SLAVE, 500, 500))
    killed = seen(*readings, *throttled(MASTER, 9000))
    assert [one and one.throttled_ms for one in (both, again, killed)] == [5.0, 0, None]


@pytest.mark.parametrize(
    ("cadence", "found", "expected"),
    [
        (1.0, QUIET, ()),
        (None, None, ()),
        (ON_TIME_LEAST, QUIET, ()),
        (ON_TIME_LEAST - 0.001, QUIET, ("cadence",)),
        (1.0, Pressure(WAITED_MOST + 0.01, 0.5, 0.0, None), ("pressure",)),
        (1.0, Pressure(0.1, BUSY_MOST + 0.01, 0.0, None), ()),
        (1.0, Pressure(None, BUSY_MOST + 0.01, 0.0, None), ("pressure",)),
        (1.0, Pressure(0.1, 0.5, STOLEN_MOST + 0.01, 0.0), ("steal",)),
        (1.0, Pressure(0.1, 0.5, 0.0, 3.0), ("throttled",)),
        (0.5, Pressure(1.0, 1.0, 0.5, 3.0), ("cadence", "pressure", "steal", "throttled")),
    ],
)
def test_flags(cadence: float | None, found: Pressure | None, expected: tuple[str, ...]) -> None:
    """Each bound on its own; where the kernel has PSI, a CPU that is well used is no harm yet."""
    assert flags(cadence, found) == expected


def run(waited_ms: float, **changes: Any) -> list[Event]:
    """A failover on a machine on which somebody waited so long for a CPU, from before the fault until 5 s later."""
    events = [event for event in failover() if event["event"] != "cpu"]
    return [run_event(**changes), *events, *TrialBuilder().cpu(0).cpu(5000, waited_ms).events]


def verdict(events: list[Event]) -> str | None:
    finding = machine_quiet.judge(events, measure(events))
    return None if finding is None else finding.verdict


def test_the_check_is_unknown_on_a_busy_machine() -> None:
    """Nobody can tell what the outage would have been; nor where nobody looked in that trial."""
    assert verdict(run(waited_ms=1000)) == "pass"
    assert verdict(run(waited_ms=4900)) == "unknown"
    assert verdict([event for event in run(0) if event["event"] != "cpu"]) == "unknown"


def test_the_busiest_host_counts() -> None:
    """Where a node runs on another host, its readings count as the client's do; without any the check is unknown, but
    for the node that was struck and may be dead."""

    def elsewhere(node: str, *waited_ms: float) -> list[Event]:
        told = [TrialBuilder().cpu(900, 0, node=node).cpu(5100, one, node=node).events for one in waited_ms]
        return [*run(0, other_hosts={node: {"cpus": 2}}), *(event for events in told for event in events)]

    assert verdict(elsewhere(SLAVE, 0)) == "pass"
    assert verdict(elsewhere(SLAVE, 4000)) == "unknown"
    unseen = machine_quiet.judge(elsewhere(SLAVE), measure(elsewhere(SLAVE)))
    assert unseen == Finding("unknown", f"nobody told how busy the host of {SLAVE} was")
    assert verdict(elsewhere(MASTER)) == "pass"


@pytest.mark.parametrize("waited", [None, 1234])
def test_a_hosts_reading_is_that_of_the_agent(waited: int | None) -> None:
    """The same figures out of the same files; nothing of a kernel without PSI."""
    psi = "" if waited is None else f"some avg10=0.00 avg60=0.00 avg300=0.00 total={waited}\n"
    told = parsed(f"100\ncpu  10 0 20 300 5 0 1 7 0 0\n{psi}")
    assert told == {"idle_ms": 3050, "steal_ms": 70, "all_ms": 3430, "waited_us": waited}


def test_the_check_is_unknown_where_no_node_told_of_throttling() -> None:
    """One that was killed cannot, and the other one should have; as soon as one did, that counts."""
    silent = [event for event in run(0) if event["event"] != "throttled"]
    assert verdict(silent) == "unknown"
    assert verdict([*silent, *throttled(MASTER, 9000)]) == "unknown"
    assert verdict([*silent, *throttled(MASTER, 9000), *throttled(SLAVE, 500, 500)]) == "pass"
    assert verdict([*silent, *throttled(SLAVE, 500, 900)]) == "unknown"


def test_the_check_says_nothing_where_it_has_nothing_to_say() -> None:
    """About a history of a version that did not look, and about faults that take the CPU themselves."""
    assert verdict(run(waited_ms=4900, takes_cpu=True)) is None
    old = {name: value for name, value in run_event().items() if name != "takes_cpu"}
    assert verdict([old, *failover()]) is None


def test_a_flagged_trial_is_marked_wherever_its_figures_are_shown() -> None:
    """It counts in the statistics: leaving out the slow ones would make a machine look faster than it is."""
    busy, quiet = result(run(waited_ms=4900)), result(run(waited_ms=0))
    assert (busy["flagged"], quiet["flagged"]) == ([1], [])
    assert busy["trials"][0]["flags"] == ["pressure"]
    assert busy["summary"] == quiet["summary"]
    cell = {"error": None, "verdict": "unknown", "summary": busy["summary"], "flagged": busy["flagged"]}
    assert told(cell).endswith("; trials 1 on a busy machine")
    assert "busy" not in told({**cell, "flagged": []})
    warnings = compare((quiet, run_event()), (busy, run_event()))["warnings"]
    assert warnings == ["busy machine: 1 of 1 trials of B are flagged, and their outages may be too long"]
