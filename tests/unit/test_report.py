"""Reports and pictures: what they say, that they escape what they quote, and that they need nothing beside them."""

import re
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

import pytest

from labkit import plot
from labkit.checks import judge_all
from labkit.cli import show
from labkit.history import Event, trials
from labkit.measure import PHASES, measure_trial, result
from labkit.plot.canvas import LETTER_PX
from labkit.report import headline, junit_xml, render_html, render_markdown, verdict
from tests.unit.histories import MASTER, SLAVE, TrialBuilder, at_ns, dual_owner, failover, never_back, no_op, run_event

EVIL = "<script>alert(1)</script> | $x^2$ & `tick`"
FILES = {
    f"{MASTER}/etc/ha.d/ha.cf": "keepalive 2\nucast eth0 172.23.19.47\n",
    f"{SLAVE}/etc/ha.d/ha.cf": "keepalive 2\nucast eth0 172.23.19.46\n",
    f"{MASTER}/etc/ha.d/haresources": f"{MASTER} <vip>\n",
    f"{SLAVE}/etc/ha.d/haresources": f"{MASTER} <vip>\n",
}


def judged(events: list[Event]) -> dict[str, Any]:
    return result(events, "runs/one") | {"checks": [asdict(judgement) for judgement in judge_all(events)]}


def page(events: list[Event]) -> str:
    return render_html(judged(events), events, FILES)


MANY = [run_event(3), *failover(1, 1300), *failover(2, 1500), *failover(3, 1700)]
GAVE_UP = [run_event(2, fault="apache-stop"), *never_back(1), *never_back(2)]
PARTLY = [run_event(2), *failover(1), *never_back(2)]
NOTHING = [run_event(fault="none", expects_move=False, predicted={"outage_ms": [0, 0]}), *no_op()]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        (
            MANY,
            "node-kill on master-cluster: the VIP was back after 1.50 s (median of 3), served by slave-cluster;"
            " 10 of 10 checks passed.",
        ),
        (
            PARTLY,
            "node-kill on master-cluster: the VIP was back after 1.50 s (median of 1 out of 2), served by"
            " slave-cluster, and did not come back in 1 of 2 trials; 6 of 10 checks passed, failed: service-back,"
            " unknown: expected-move, right-server, within-predicted-band.",
        ),
        (
            GAVE_UP,
            "apache-stop on master-cluster: the VIP did not come back; 6 of 10 checks passed, failed: service-back,"
            " unknown: expected-move, right-server, within-predicted-band.",
        ),
        (
            [{**event, "early": True} if event.get("stage") == "heal" else event for event in GAVE_UP],
            "apache-stop on master-cluster: the outage was not measured; 6 of 10 checks passed, unknown:"
            " expected-move, right-server, service-back, within-predicted-band.",
        ),
        (
            NOTHING,
            "none on master-cluster: no outage in 1,000 requests, served by master-cluster; 10 of 10 checks passed.",
        ),
        (
            [run_event()],
            "node-kill: no fault was injected, so there is nothing to tell; 1 of 10 checks passed, unknown:"
            " cadence-kept, expected-move, failback-as-configured, machine-quiet, no-false-failover, right-server,"
            " service-back, single-owner, within-predicted-band.",
        ),
    ],
    ids=["many", "partly", "gave-up", "cut-short", "nothing", "empty"],
)
def test_the_headline_tells_the_whole_result(events: list[Event], sentence: str) -> None:
    """One sentence: what was done, what it cost, who served, what the checks say. The reports begin with it."""
    assert headline(judged(events)) == sentence
    assert f"<h1>{sentence}</h1>" in page(events)


@pytest.mark.parametrize(
    ("verdicts", "overall"),
    [(["pass"], "pass"), (["pass", "unknown"], "unknown"), (["unknown", "fail"], "fail"), ([], "unknown")],
)
def test_the_verdict_is_that_of_the_worst_check(verdicts: list[str], overall: str) -> None:
    """No checks at all are unknown."""
    assert verdict({"checks": [{"verdict": name} for name in verdicts]}) == overall


def test_the_page_needs_nothing_beside_it() -> None:
    """No script, and nothing to fetch: style and pictures are inside, in a wide and a narrow drawing."""
    text = page(MANY)
    assert text.count("<svg") == 6
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\((?!#)", text)
    assert "prefers-color-scheme: dark" in text


def test_ids_of_the_page_are_its_own() -> None:
    """Pictures in one page do not share ids, and each reference finds its id."""
    text = page(MANY)
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', text)) <= {(i, "") for i in ids} | {("", i) for i in ids}


def test_whatever_is_quoted_is_escaped() -> None:
    """Log lines, node names and files are text, in the page and in the summary."""
    trial = TrialBuilder().start().served(EVIL, 0, 1000).asked(1000, 1200, "refused").served(SLAVE, 1200, 2000)
    trial.fault("inject", 1000, 1001, EVIL).log(1100, EVIL, EVIL, "handing-over").end(2000)
    events = [run_event(fault=EVIL, labkit=EVIL, packages={EVIL: EVIL}, macs={EVIL: EVIL}), *trial.events]
    text = render_html(judged(events), events, {EVIL: EVIL})
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    summary = render_markdown(judged(events), events)
    assert "<script" not in summary
    assert {line.count(" | ") for line in summary.splitlines() if "noticed" in line} == {2}
    ElementTree.fromstring(junit_xml(judged(events)).encode())


def compared(number: int, error_ns: int) -> Event:
    shift = {"monotonic_ns": 7, "wall_ns": 9, "error_ns": error_ns}
    return {"event": "clocks", "trial": number, "t_ns": at_ns(0), "node": SLAVE, **shift}


def test_figures_of_two_clocks_say_how_wrong_they_may_be() -> None:
    """Wherever detection and takeover stand: in the page, in the summary and on the terminal, the worst of the trials.
    On one host nothing is said."""
    events = [run_event(2), *failover(1), compared(1, 250_000), *failover(2), compared(2, 1_310_000)]
    assert "wrong by ±1.31 ms" in render_markdown(judged(events), events)
    assert page(events).count("wrong by ±1.31 ms") == 2  # beneath the phases and beneath the trials
    assert "wrong by ±1.31 ms" in str(show.trials(judged(events)).caption)
    assert "±" not in page(MANY) + render_markdown(judged(MANY), MANY)
    assert show.trials(judged(MANY)).caption is None


def test_the_page_tells_of_the_other_hosts() -> None:
    """By the node that runs there, as much as of the client's."""
    text = page([run_event(other_hosts={SLAVE: {"kernel": "6.12.0", "cpus": 8}}), *failover()])
    assert f'<td class="name">host of {SLAVE}: kernel</td><td class="text">6.12.0</td>' in text
    assert f'<td class="name">host of {SLAVE}: cpus</td><td class="text">8</td>' in text


def test_what_was_not_measured_is_no_zero() -> None:
    """It says so, in the page by a dash."""
    assert '<td class="number" data-label="outage">-</td>' in page(GAVE_UP)
    assert "| 1 | not measured | not measured | not measured | 0 ms | 397 of 600 |" in render_markdown(
        judged(GAVE_UP), GAVE_UP
    )


def test_the_page_tells_how_the_nodes_files_differ() -> None:
    """Sizes of each node's file, the lines that differ, and the files themselves."""
    text = page(MANY)
    assert f"<b>etc/ha.d/ha.cf</b>: 36 bytes on {MASTER}, 36 bytes on {SLAVE}; 1 line differs" in text
    assert "the same on both" in text
    assert f"{MASTER} &lt;vip&gt;" in text


def test_marked_log_lines_stand_out() -> None:
    """The lines that the figures rest on are highlighted; the others stand between them."""
    text = page([run_event(), *failover()])
    assert text.count('<li class="marked">') == 8
    assert re.search(r"<li><span[^>]*>-0\.500 s</span> master-cluster info: nothing of interest", text)


def test_the_page_has_every_phase_with_its_median_and_what_shows_it() -> None:
    """Over the trials in which it was seen, beside the trial that is shown; what was not seen says so."""
    rows = dict(re.findall(r'title="[^"]+"><b>([^<]+)</b></td>(.*?)</tr>', page(MANY), re.DOTALL))
    assert list(rows) == list(PHASES)
    assert re.findall(r">([^<>\n]+)</td>", rows["noticed"]) == [
        "+1.050 s", "3 of 3", "+1.050 s", f"{SLAVE}: WARN: node {MASTER}: is dead"
    ]  # fmt: skip
    assert re.findall(r">([^<>\n]+)</td>", rows["refused"]) == ["-", "0 of 3", "-", "not seen"]
    alone = dict(re.findall(r'title="[^"]+"><b>([^<]+)</b></td>(.*?)</tr>', page(MANY[:1] + failover()), re.DOTALL))
    assert re.findall(r">([^<>\n]+)</td>", alone["refused"]) == ["-", "not seen"]


def test_the_page_tells_what_the_client_saw_and_where_the_time_went() -> None:
    """Per trial: answers by node, failures by kind, and the parts of its time."""
    text = page([run_event(), *failover()])
    for label, value in (
        ("good answers", "171 master-cluster, 151 slave-cluster"),
        ("failed in the outage", "149 timeout"),
        ("all requests", "322 good, 29 refused, 149 timeout"),
        ("watching", "2.49 s"),
        ("Heartbeat", "252 ms"),
        ("labkit", "758 ms"),
        ("total", "5.00 s"),
    ):
        assert re.search(rf'data-label="{label}">{value}</td>', text), label


def test_a_flood_of_log_lines_is_cut_down_to_the_marked_ones() -> None:
    """A page stays readable beside a chatty node."""
    trial = TrialBuilder()
    for number in range(1000):
        trial.log(1000 + number, SLAVE, f"chatter {number}")
    text = page([run_event(), *failover(), *trial.events])
    assert "chatter" not in text
    assert text.count('<li class="marked">') == 8


def test_the_trial_nearest_to_the_median_is_shown() -> None:
    """Of three, the middle one."""
    assert "Trial 2, the nearest to the median" in page(MANY)
    assert "Phases of trial 2 and their medians:" in render_markdown(judged(MANY), MANY)


def test_the_summary_for_ci_tells_it_all() -> None:
    """Verdict first, then trials, checks and steps as tables."""
    summary = render_markdown(judged(MANY), MANY)
    assert summary.startswith("## PASS: node-kill on master-cluster: the VIP was back after 1.50 s")
    assert (
        "| 2 | 1.50 s | 1.05 s | 375 ms | 0 ms | 178 of 500 | 300 ms | master-cluster, then slave-cluster |" in summary
    )
    assert "Outage: median 1.50 s, from 1.30 s to 1.70 s, 95th percentile 1.68 s (3 measured, 0 not)." in summary
    assert "| single-owner | pass | one owner at a time |" in summary
    assert "| +1.050 s | +1.050 s | noticed | slave-cluster: WARN: node master-cluster: is dead |" in summary
    assert "| - | - | refused | not seen |" in summary
    assert "| 2 | 171 master-cluster, 151 slave-cluster | 149 timeout | 1.50 s, 2.49 s, 252 ms, 758 ms |" in summary


def test_junit_counts_unknown_as_an_error() -> None:
    """Nothing passes that could not be judged."""
    suite = ElementTree.fromstring(junit_xml(judged(PARTLY)).encode())
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("10", "1", "3")
    failed = suite.find("testcase[@name='service-back']/failure")
    assert failed is not None
    assert failed.get("message") == "trial 2: no good answer after the fault"


def timeline(events: list[Event], width_px: int = plot.WIDE_PX) -> str:
    run, trial = run_event(), trials(events)[0]
    return plot.timeline_svg(run, trial, measure_trial(run, trial), width_px)


def words(svg: str) -> list[str]:
    """The texts of a picture."""
    return [text.strip() for text in ElementTree.fromstring(svg).itertext() if text.strip()]


def test_a_timeline_says_what_it_shows() -> None:
    """Its letters are text: the outage's length, the lanes, who and what was seen in them, and the steps' numbers."""
    seen = words(timeline(failover()))
    assert {"outage 1.50 s", "Answered by", "VIP owner (ARP)", MASTER, SLAVE, "timeout", "7-9"} <= set(seen)
    assert "refused" not in seen  # only while healing, which is out of focus


def test_a_timeline_says_what_each_node_was_doing() -> None:
    """By name where there is room for it."""
    assert {"Nodes", "silent", "standby", "taking over", "active"} <= set(words(timeline(failover())))
    without_capture = [event for event in failover() if event["event"] != "wire"]
    assert "silent" not in words(timeline(without_capture))


@pytest.mark.parametrize(
    ("events", "text"),
    [(dual_owner(), "two owners"), (never_back(), "no good answer any more"), (no_op(), "no outage")],
)
def test_a_timeline_tells_the_odd_cases(events: list[Event], text: str) -> None:
    """Two owners, a service that stayed away, and no outage at all."""
    assert text in words(timeline(events))


def test_pictures_take_the_pages_colours_and_are_the_same_each_time() -> None:
    """Ink is the page's, there is no background, and drawing again gives the same text."""
    svg = timeline(failover(), plot.NARROW_PX)
    assert "currentColor" in svg
    assert "<style" not in svg
    assert f'viewBox="0 0 {plot.NARROW_PX} ' in svg
    assert svg == timeline(failover(), plot.NARROW_PX)


def test_without_a_fault_there_is_no_timeline() -> None:
    """Nothing to centre on."""
    assert timeline(TrialBuilder().start().served(MASTER, 0, 100).end(100).events) == ""


def test_a_waterfall_says_how_long_each_phase_took() -> None:
    """In order of time, each from the one before it; nothing before the first one, and no picture of one alone."""
    seen = words(plot.waterfall_svg({"fault": 0.0, "last heartbeat": -150.0, "noticed": 1050.0, "address up": 1425.0}))
    assert [text for text in seen if text in PHASES or text.startswith("+")] == [
        "last heartbeat", "fault", "noticed", "+1.05 s", "address up", "+375 ms"
    ]  # fmt: skip
    assert plot.waterfall_svg({"fault": 0.0}) == ""


@pytest.mark.parametrize("width_px", [plot.WIDE_PX, plot.NARROW_PX])
def test_a_waterfalls_letters_stay_inside(width_px: int) -> None:
    """Wherever the time went: a length is written where there is room for it."""
    for instants in (
        {"fault": 0.0, "noticed": 1.0, "refused": 5000.0},
        {"fault": 0.0, "noticed": 4999.0, "refused": 5e3},
    ):
        svg = ElementTree.fromstring(plot.waterfall_svg(instants, width_px))
        placed = [text for text in svg.iter("{http://www.w3.org/2000/svg}text") if (text.text or "").startswith("+")]
        assert len(placed) == 2
        for text in placed:
            middle_px, half_px = float(text.get("x", "nan")), len(text.text or "") * LETTER_PX / 2
            assert half_px <= middle_px <= width_px - half_px


def test_a_distribution_says_what_it_shows() -> None:
    """Median, count, what was missed, and the predicted band; nothing at all where nothing was measured."""
    seen = words(plot.distribution_svg([1500.0, None, 1700.0], [900.0, 1900.0]))
    assert {"median 1.60 s of 2, 1 not measured", "predicted 0.90 to 1.90 s"} <= set(seen)
    assert not any("predicted" in text for text in words(plot.distribution_svg([5.0], None)))
    assert plot.distribution_svg([None], [900.0, 1900.0]) == ""


@pytest.mark.parametrize(("ms", "text"), [(None, "not measured"), (0, "0 ms"), (999.4, "999 ms"), (1720, "1.72 s")])
def test_durations_are_written_for_people(ms: float | None, text: str) -> None:
    """Milliseconds below a second, seconds from there on."""
    assert plot.duration(ms) == text
