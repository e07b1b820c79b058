"""Assertions: their grammar, and that none passes without evidence."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from labkit.errors import BadInput
from labkit.history import History
from labkit.judging import judge
from labkit.measure import Assertion, parse_duration, result, summarize
from labkit.measure.answer import SUMMED_UP
from labkit.measure.assertion import METRICS, STATISTICS
from labkit.store import RunFolder
from tests.unit.histories import failover, run_event

SUMMARY = result([run_event(2), *failover(1, 1500), *failover(2, 1700)])["summary"]


def verdict(text: str, outages_ms: Sequence[float | None] = (1500.0, 1700.0)) -> str:
    figures = {name: vars(summarize(outages_ms)) for name in SUMMED_UP}
    return Assertion.parse(text).judge(figures)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("outage.max < 2s", "pass"),
        ("outage.max<1.7s", "fail"),
        ("outage.max <= 1.7 s", "pass"),
        (" outage.median >= 1600ms ", "pass"),
        ("outage.min > 1600ms", "fail"),
        ("outage.min == 1500ms", "pass"),
        ("outage.p95 < 6s", "pass"),
        ("outage.missed == 0", "pass"),
        ("outage.missed > 0", "fail"),
    ],
)
def test_what_is_asserted_is_judged(text: str, expected: str) -> None:
    """Each operator, with seconds, milliseconds and counts, blanks or none."""
    assert verdict(text) == expected


def test_every_metric_and_statistic_can_be_asserted() -> None:
    """The names are those of a result's summary."""
    for metric in METRICS:
        for statistic in STATISTICS:
            unit = "" if statistic == "missed" else "s"
            assert Assertion.parse(f"{metric}.{statistic} < 99{unit}").judge(SUMMARY)[0] == "pass"


def test_what_was_not_measured_does_not_pass() -> None:
    """No figure at all is unknown, and so is one that some trials do not have; one that is too high anyway fails."""
    assert verdict("outage.max < 2s", [None, None]) == "unknown"
    assert verdict("outage.max < 2s", []) == "unknown"
    assert verdict("outage.missed == 0", []) == "unknown"
    assert verdict("outage.max < 2s", [1500.0, None]) == "unknown"
    assert verdict("outage.max < 1s", [1500.0, None]) == "fail"
    assert verdict("outage.missed == 0", [1500.0, None]) == "fail"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("downtime.max < 2s", "outage, detection, takeover, dual_owner, failback_outage"),
        ("outage.mean < 2s", "median, min, max, p95, missed"),
        ("outage.max < 2", "3s or 1500ms"),
        ("outage.max < 2h", "3s or 1500ms"),
        ("outage.missed < 2s", "no unit"),
        ("outage.max != 2s", "no assertion"),
        ("outage < 2s", "no assertion"),
        ("", "no assertion"),
    ],
)
def test_what_cannot_be_asserted_is_bad_input(text: str, told: str) -> None:
    """The error says what would do."""
    with pytest.raises(BadInput, match=told):
        Assertion.parse(text)


@pytest.mark.parametrize(("text", "ms"), [("3s", 3000), ("1500ms", 1500), ("0.5 s", 500)])
def test_durations_have_units(text: str, ms: float) -> None:
    """Unlike Heartbeat's own times, so that nobody has to guess."""
    assert parse_duration(text) == ms


def test_an_assertion_is_a_check_of_the_run(tmp_path: Path) -> None:
    """It stands among the checks of the result, with its evidence, and in the JUnit file."""
    folder = RunFolder.create(tmp_path, "x")
    with History.create(folder.history) as history:
        for event in [run_event(), *failover()]:
            history.append(event)
    judged = judge(folder, [Assertion.parse("outage.max < 1s")])
    assert judged["checks"][-1] == {"check": "outage.max < 1s", "verdict": "fail", "detail": "1500 ms"}
    assert "outage.max &lt; 1s" in (folder.path / "junit.xml").read_text()
