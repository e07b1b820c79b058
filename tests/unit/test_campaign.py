"""Campaigns, as far as they need no lab: the grid, going on, merging, comparing, tuning, the page and the schemas."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit import faults, history, plot
from labkit.campaign import grid, page, tune
from labkit.campaign.compare import compare
from labkit.campaign.grid import Parameters
from labkit.campaign.load import Load
from labkit.campaign.pairs import merge, opened
from labkit.campaign.sweep import PAGE, SWEEP, Sweep
from labkit.campaign.tune import Tried, best, first_deadtime, next_deadtime
from labkit.cli.campaigns import faults_asked
from labkit.errors import BadInput, Unsettled
from labkit.history import Event, History
from labkit.measure import false_failovers, result, summarize
from labkit.progress import Silent
from labkit.runner import Scenario, Watch
from labkit.spec import Spec
from labkit.store import RunFolder, runs
from tests.unit.histories import MASTER, SLAVE, TrialBuilder, failover, run_event

DOCS = Path(__file__).resolve().parents[2] / "docs"
NONE = faults.fault("none")
PARAMETERS = Parameters(Spec(), ("200ms", "1"), ("1", "3"), ("node-kill", "apache-kill"), 2, 7, 1)


def fits(document: Any, name: str) -> None:
    schema = json.loads((DOCS / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(document)), schema)
    assert set(schema["properties"]) == set(document)


# The grid


def test_the_faults_of_a_timing_stand_together() -> None:
    """They share a lab, which takes far longer to make than to heal."""
    cells, _ = grid.plan(PARAMETERS)
    assert [cell.key for cell in cells] == [
        (200, 1000, "node-kill"),
        (200, 1000, "apache-kill"),
        (200, 3000, "node-kill"),
        (200, 3000, "apache-kill"),
        (1000, 3000, "node-kill"),
        (1000, 3000, "apache-kill"),
    ]
    assert {cell.spec.timing.keepalive for cell in cells} == {"200ms", "1"}


def test_impossible_timings_are_named() -> None:
    """With the reason that the spec itself gives."""
    _, skipped = grid.plan(PARAMETERS)
    assert [one.timing for one in skipped] == [{"keepalive_ms": 1000, "deadtime_ms": 1000}]
    assert "Use more than 2 s" in skipped[0].why


def test_a_timing_counts_once_however_it_is_written() -> None:
    """1 and 1000ms are the same keepalive."""
    cells, _ = grid.plan(replace(PARAMETERS, keepalive=("1", "1000ms"), deadtime=("3",), faults=("none",)))
    assert len(cells) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"keepalive": ("1s",)}, "'1s' is not a time"),
        ({"faults": ("node-kill", "nonsense")}, "no fault 'nonsense'"),
        ({"keepalive": ("5",)}, "no timing of the grid is possible"),
    ],
)
def test_what_is_no_grid_is_bad_input(changes: dict[str, Any], told: str) -> None:
    """A slip of the pen is told before anything is made, and not taken for an impossible timing."""
    with pytest.raises(BadInput, match=told):
        grid.plan(replace(PARAMETERS, **changes))


def test_lists_are_separated_by_commas() -> None:
    """Blanks do not count, and an empty value is a slip of the pen."""
    assert grid.listed("--deadtime", "1, 3,1") == ("1", "3")
    faults_with_parameters = ("none", "cpu-starve:cpus=0.1,loops=4", "loss:share=0.5")
    assert grid.listed("--fault", ",".join(faults_with_parameters)) == faults_with_parameters
    with pytest.raises(BadInput, match="--deadtime"):
        grid.listed("--deadtime", "1,,3")


def test_all_stands_for_every_fault() -> None:
    """`sweep --fault all` is the catalogue, whatever is in it; with the least privileges, what these suffice for.
    Nothing said is left to the default."""
    assert faults_asked("all") == tuple(faults.all_faults())
    assert set(faults.all_faults()) - set(faults_asked("all", least=True) or ()) == {"disk-full"}
    assert faults_asked("loss,none") == ("loss", "none")
    assert faults_asked(None) is None


@settings(deadline=None)  # a grid of specs takes its time to validate
@given(
    st.lists(st.sampled_from(["100ms", "200ms", "1", "1.5", "2"]), min_size=1, unique=True),
    st.lists(st.sampled_from(["500ms", "1", "3", "5", "30"]), min_size=1, unique=True),
)
def test_every_timing_is_a_cell_or_skipped(keepalive: list[str], deadtime: list[str]) -> None:
    """None is lost, and skipped are those that Heartbeat refuses, no others."""
    parameters = replace(PARAMETERS, keepalive=tuple(keepalive), deadtime=(*deadtime, "30"))
    cells, skipped = grid.plan(parameters)
    assert len({cell.key[:2] for cell in cells}) + len(skipped) == len(keepalive) * len({*deadtime, "30"})
    assert all(cell.timing["deadtime_ms"] > 2 * cell.timing["keepalive_ms"] for cell in cells)
    assert all(one.timing["deadtime_ms"] <= 2 * one.timing["keepalive_ms"] for one in skipped)


# A sweep that goes on


def cell(keepalive_ms: float, deadtime_ms: float, fault: str, **changes: Any) -> dict[str, Any]:
    return {
        "timing": {"keepalive_ms": keepalive_ms, "deadtime_ms": deadtime_ms},
        "fault": fault,
        "summary": {"outage_ms": asdict(summarize([1000.0, 2000.0]))},
        "predicted": {"outage_ms": [800.0, 2750.0]},
        "checks": [{"check": "single-owner", "verdict": "pass", "detail": ""}],
        "verdict": "pass",
        "error": None,
        "run": f"runs/sweep/{fault}",
    } | changes


BROKEN: dict[str, Any] = {"summary": None, "predicted": None, "checks": [], "verdict": "error", "error": "<gone>\nlog"}


def swept(tmp_path: Path) -> Sweep:
    """One cell done, one broken, four to be measured."""
    sweep = Sweep.new(tmp_path, Spec(), _tuples(PARAMETERS))
    for one in (cell(200, 1000, "node-kill"), cell(200, 1000, "apache-kill", **BROKEN)):
        sweep.done[one["timing"]["keepalive_ms"], one["timing"]["deadtime_ms"], one["fault"]] = one
    sweep.folder.write_json(SWEEP, sweep.document())
    return sweep


def _tuples(parameters: Parameters) -> dict[str, Any]:
    return {name: value for name, value in vars(parameters).items() if name != "spec"}


def test_a_sweep_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    """With the parameters of its folder: what is done is kept, and a cell that could not be run is tried again."""
    sweep = swept(tmp_path)
    resumed = Sweep.resumed(sweep.folder.path, {"trials": 2, "seed": None, "faults": ("node-kill", "apache-kill")})
    assert resumed.parameters == sweep.parameters
    left = grid.missing(resumed.cells, resumed.done)
    assert [one.key for one in left] == [one.key for one in resumed.cells][1:]
    assert not resumed.document()["complete"]
    fits(sweep.document(), "sweep")


@pytest.mark.parametrize("asked", [{"trials": 3}, {"deadtime": ("1",)}, {"seed": 8}])
def test_a_sweep_does_not_change_on_its_way(tmp_path: Path, asked: dict[str, Any]) -> None:
    """Cells of different parameters in one grid could not be compared."""
    with pytest.raises(BadInput, match=next(iter(asked))):
        Sweep.resumed(swept(tmp_path).folder.path, asked)


@pytest.mark.parametrize("text", [None, "", "{}", '{"parameters": {}, "cells": []}'])
def test_what_is_no_sweep_cannot_go_on(tmp_path: Path, text: str | None) -> None:
    """Neither can one whose file is not there or not whole."""
    if text is not None:
        (tmp_path / SWEEP).write_text(text)
    with pytest.raises(BadInput):
        Sweep.resumed(tmp_path, {})


class PretendedPairs:
    """Pairs that run nothing: they write a history at once, do not come up for one fault, and are cut off at a time."""

    def __init__(self, cut_off_at: int | None = None) -> None:
        self.runs = 0
        self.cut_off_at = cut_off_at

    def run(self, spec: Spec, scenario: Scenario, folder: RunFolder, watch: Watch) -> None:
        self.runs += 1
        if self.runs == self.cut_off_at:
            raise KeyboardInterrupt
        if scenario.fault.name == "apache-kill":
            raise Unsettled("gave up\n--- the log")
        with History.create(folder.history) as written:
            for event in [run_event(2, fault=scenario.fault.name), *failover(1), *failover(2)]:
                written.append(event)
                watch(event)


def kept(sweep: Sweep) -> list[tuple[str, str]]:
    """Fault and verdict of the cells in sweep.json."""
    document = json.loads((sweep.folder.path / SWEEP).read_text())
    fits(document, "sweep")
    return [(one["fault"], one["verdict"]) for one in document["cells"]]


def test_a_cell_that_cannot_be_run_is_recorded(tmp_path: Path) -> None:
    """With its error, and the sweep goes on; what was measured has its verdict and its report."""
    sweep = Sweep.new(tmp_path, Spec(), _tuples(PARAMETERS))
    sweep.run(cast(Any, PretendedPairs()), Silent())
    assert kept(sweep) == [("node-kill", "pass"), ("apache-kill", "error")] * 3
    node_kill, apache_kill = sweep.document()["cells"][:2]
    assert apache_kill["error"] == "gave up\n--- the log"
    assert node_kill["summary"]["outage_ms"]["median"] == 1500
    assert (Path(node_kill["run"]) / "report.html").exists()


def test_an_interrupted_sweep_keeps_what_is_done(tmp_path: Path) -> None:
    """Its file and its page have the cells before the interruption, and it can go on to its end."""
    sweep = Sweep.new(tmp_path, Spec(), _tuples(replace(PARAMETERS, faults=("none",))))
    with pytest.raises(KeyboardInterrupt):
        sweep.run(cast(Any, PretendedPairs(cut_off_at=3)), Silent())
    assert kept(sweep) == [("none", "pass")] * 2
    assert "more cells are to be measured" in (sweep.folder.path / PAGE).read_text()
    resumed, pairs = Sweep.resumed(sweep.folder.path, {}), PretendedPairs()
    resumed.run(cast(Any, pairs), Silent())
    assert pairs.runs == 1
    assert kept(resumed) == [("none", "pass")] * 3
    assert resumed.document()["complete"]


def test_the_page_shows_every_cell(tmp_path: Path) -> None:
    """A heat map for each fault, links to the cells' reports, the error of one that could not be run, escaped, and the
    timing that was skipped; nothing is loaded from elsewhere."""
    text = page.render(swept(tmp_path).document())
    assert text.count("Median outages of node-kill") == 2  # wide and narrow
    assert 'href="node-kill/report.html"' in text
    assert "&lt;gone&gt;" in text
    assert "Use more than 2 s" in text
    assert "<h1>1 of 2 cells passed, 1 could not be run, with 2 trials each; 1 timing is impossible; more" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_a_heat_map_tells_what_is_not_known() -> None:
    """The figure stands in each square, a question mark where it was not measured, a dash where there is no cell."""
    svg = plot.heatmap_svg({(200.0, 1000.0): 1410.0, (1000.0, 3000.0): None}, "map", "Map")
    assert ">1.41 s<" in svg
    assert svg.count(">?<") == 1
    assert svg.count(">\N{EN DASH}<") == 2
    assert "currentColor" in svg


# Pairs


@given(st.integers(1, 50), st.integers(1, 12))
def test_every_trial_is_dealt_to_one_pair(trials: int, pairs: int) -> None:
    """None is run twice or left out, and no pair has two more than another."""
    shares = [share.numbers for share in Scenario(NONE, trials, 3).dealt(pairs)]
    assert sorted(number for share in shares for number in share) == list(range(1, trials + 1))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_trial_draws_the_same_whichever_pair_runs_it() -> None:
    """The seed and the trial's number decide; the number of pairs does not."""
    alone, shared = Scenario(NONE, 4, 3), Scenario(NONE, 4, 3).dealt(4)[3]
    assert alone.random(4).random() == shared.random(4).random()
    assert len({alone.random(number).random() for number in range(1, 5)}) == 4
    assert alone.random(1).random() != replace(alone, seed=4).random(1).random()


OTHER_MACS = {MASTER: "02:42:ac:17:01:2e", SLAVE: "02:42:ac:17:01:2f"}


def part(root: RunFolder, name: str, head: Event, *events: Event) -> RunFolder:
    folder = root.part(name)
    folder.write("spec.yaml", name)
    folder.write(f"rendered/{MASTER}/etc/ha.d/ha.cf", name)
    with History.create(folder.history) as written:
        for event in (head, *events):
            written.append(event)
    return folder


def test_pairs_make_one_history(tmp_path: Path) -> None:
    """The trials of all, in order, as if the first pair had run them: the same result, owners of the VIP included."""
    own = {mac: OTHER_MACS[node] for node, mac in run_event()["macs"].items()}
    second = [{**event, "mac": own[event["mac"]]} if "mac" in event else event for event in failover(2, 1700)]
    root = RunFolder.create(tmp_path, "x")
    parts = [
        part(root, "pairs/1", run_event(2), *failover(1), *failover(3, 1300)),
        part(root, "pairs/2", run_event(1, macs=OTHER_MACS), *second),
        RunFolder(root.path / "pairs" / "3"),  # never began
    ]
    merge(root, parts, 3)
    alone = [run_event(3), *failover(1), *failover(2, 1700), *failover(3, 1300)]
    assert history.read(root.history) == alone
    assert root.rendered() == parts[0].rendered()
    assert (root.path / "spec.yaml").read_text() == "pairs/1"


def test_pairs_that_never_began_leave_no_history(tmp_path: Path) -> None:
    """Nothing to merge is no error: the pairs' own trouble is the one to tell."""
    root = RunFolder.create(tmp_path, "x")
    merge(root, [root.part("pairs/1")], 1)
    assert not root.history.exists()


def test_a_killed_run_of_several_pairs_keeps_its_trials(tmp_path: Path) -> None:
    """Killed before or while its pairs became one history, it is listed among the runs, and opening it completes it."""
    root = RunFolder.create(tmp_path, "x")
    assert runs(tmp_path) == []
    part(root, "pairs/1", run_event(2), *failover(1), *failover(3, 1300))
    part(root, "pairs/2", run_event(1, macs=OTHER_MACS))
    (root.path / ".history.jsonl.part").write_text('{"event":"ru')
    assert [one.path for one in runs(tmp_path)] == [root.path]
    assert history.read(opened(root.path).history) == [run_event(3), *failover(1), *failover(3, 1300)]
    assert [one.path for one in runs(tmp_path)] == [root.path]
    assert sorted(one.name for one in root.path.iterdir() if one.name.startswith(".")) == []


# Compare


def side(*outages_ms: int, **changes: Any) -> tuple[dict[str, Any], Event]:
    head = run_event(len(outages_ms), **changes)
    events = [head, *(event for number, ms in enumerate(outages_ms, 1) for event in failover(number, ms))]
    return result(events, "runs/one"), head


SHORT = (1000, 1100, 1200, 1300, 1400)
LONG = (1500, 1600, 1700, 1800, 1900)


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [(SHORT, LONG, "slower"), (LONG, SHORT, "faster"), (SHORT, SHORT, "no different"), (SHORT[:2], LONG, "unknown")],
)
def test_compare_tells_whether_b_is_slower(a: tuple[int, ...], b: tuple[int, ...], told: str) -> None:
    """By the interval of the difference; too few trials are unknown, however far apart they are."""
    document = compare(side(*a), side(*b))
    assert document["b_is"] == told
    fits(document | {"checks": []}, "compare")


def test_compare_says_by_how_much() -> None:
    """The shift, its interval, and how often B is the slower one."""
    document = compare(side(*SHORT), side(*LONG))
    assert document["difference_ms"] == {"median": 500.0, "ci95": [200.0, 800.0]}
    assert document["probability_b_slower"] == 1.0


@pytest.mark.parametrize("changes", [{"fault": "link-down"}, {"profile": "as-printed"}])
def test_what_is_not_comparable_is_refused(changes: dict[str, Any]) -> None:
    """Unless it is asked for, and then it is said."""
    with pytest.raises(BadInput, match="--anyway"):
        compare(side(*SHORT), side(*LONG, **changes))
    document = compare(side(*SHORT), side(*LONG, **changes), anyway=True)
    assert next(iter(changes)) in document["warnings"][0]


def test_what_else_differs_is_said() -> None:
    """Platform, packages and the host may be the reason for a difference, timing is what was compared."""
    document = compare(side(*SHORT), side(*LONG, platform="ubuntu-18.04", host={"kernel": "6.1.0", "cpus": 4}))
    assert document["warnings"] == ["platform: debian-12 and ubuntu-18.04", "host cpus: 2 and 4"]
    assert compare(side(*SHORT), side(*LONG))["warnings"] == []


def test_another_host_of_a_pair_is_a_fact_of_its_own() -> None:
    """What differs there is said by node; a run of a version that did not note it differs from one host in nothing."""

    def warnings(one: Any, other: Any) -> list[str]:
        return list(compare(side(*SHORT, other_hosts=one), side(*LONG, other_hosts=other))["warnings"])

    old, new = {"kernel": "6.1.0", "cpus": 2}, {"kernel": "6.12.0", "cpus": 2}
    assert warnings({"slave-cluster": old}, {"slave-cluster": new}) == [
        "other_hosts slave-cluster kernel: 6.1.0 and 6.12.0"
    ]
    assert warnings({"slave-cluster": old}, {"slave-cluster": old}) == []
    assert warnings({}, {"slave-cluster": new}) == [f"other_hosts slave-cluster: None and {new}"]
    assert warnings(None, {}) == []


# Tune


@given(st.integers(1, 200), st.integers(300, 20_000))
def test_the_search_ends_near_the_largest_deadtime(takeover_10ms: int, target_ms: int) -> None:
    """For an outage of deadtime plus a takeover: what is found holds, and no deadtime that is much larger would."""
    takeover_ms = takeover_10ms * 10.0

    def tried(deadtime_ms: float) -> Tried:
        return Tried(deadtime_ms, deadtime_ms + takeover_ms)

    trying = [tried(first_deadtime(target_ms, lambda ms: ms + 1750))]
    while (deadtime_ms := next_deadtime(trying, target_ms)) is not None:
        assert deadtime_ms not in [one.deadtime_ms for one in trying]
        trying.append(tried(deadtime_ms))
        assert len(trying) < 12
    found, most_ms = best(trying, target_ms), target_ms - takeover_ms
    if found is None:
        assert most_ms < tune.LEAST_MS
    else:
        assert most_ms - 0.05 * target_ms - 2 * tune.STEP_MS <= found.deadtime_ms <= most_ms


@given(st.lists(st.tuples(st.integers(5, 100), st.none() | st.integers(100, 5000)), min_size=1))
def test_a_deadtime_is_chosen_on_evidence(measured: list[tuple[int, int | None]]) -> None:
    """It held, and no smaller one was seen to break: an outage that is short by luck does not count."""
    tried = [Tried(steps * tune.STEP_MS, longest_ms) for steps, longest_ms in measured]
    found = best(tried, 2000)
    if found is not None:
        assert found.holds(2000)
        assert all(one.holds(2000) for one in tried if one.deadtime_ms <= found.deadtime_ms)


def test_the_search_goes_down_where_nothing_was_measured() -> None:
    """An outage that did not end says nothing about how far to go, so half of the deadtime is tried."""
    assert next_deadtime([Tried(2000, None)], 3000) == 1000
    assert next_deadtime([Tried(tune.LEAST_MS, None)], 3000) is None


def test_faults_that_deadtime_does_not_matter_for_are_refused() -> None:
    """The search would never end in a largest one."""
    tune.require_dependence(Spec(), faults.fault("node-kill"))
    with pytest.raises(BadInput, match="does not depend"):
        tune.require_dependence(Spec(), faults.fault("apache-kill"))


def answered(**changes: Any) -> dict[str, Any]:
    document = {
        "tune": "runs/tune",
        "fault": "node-kill",
        "target_ms": 3000.0,
        "timing": {"keepalive_ms": 400.0, "deadtime_ms": 2000.0},
        "outage_ms": asdict(summarize([2100.0, 2400.0])),
        "predicted": {"outage_ms": [1600.0, 3750.0]},
        "false_failovers": {**false_failovers(watched()), "run": "runs/tune/load", "error": None},
        "tried": [asdict(Tried(2000.0, 2400.0, "runs/tune/one"))],
    } | changes
    return document | {"sentences": tune.sentences(document)}


def watched() -> list[Event]:
    """An hour under load with one false failover, and one more after the load was taken away."""
    trial = TrialBuilder().start().fault("inject", 0, 0, "load").log(10, SLAVE, "WARN: ...", "declared-dead")
    trial.log(20, SLAVE, "info: ...", "taking-over").fault("heal", 3_600_000, 3_600_001, "load")
    return [run_event(fault="load"), *trial.log(3_600_002, MASTER, "WARN: ...", "declared-dead").end(3_700_000).events]


def test_false_failovers_are_a_rate_with_a_bound() -> None:
    """Those while the load was on, over the time that it was on; without any time there is no rate."""
    assert false_failovers(watched()) == {"seen": 1, "watched_s": 3600, "per_hour": 1.0, "per_hour_at_most": 4.744}
    assert false_failovers([run_event()])["per_hour_at_most"] is None


def test_tune_answers_in_two_sentences() -> None:
    """What to set and what was measured with it; what that costs under load."""
    document = answered()
    fits(document, "tune")
    assert document["sentences"] == [
        "A deadtime of 2 s with a keepalive of 400 ms kept the outage of node-kill under 3.00 s: the longest of 2 was"
        " 2.40 s (predicted: up to 3.75 s).",
        "Under load 1 false failover was seen in 3600 s, so at 95 % there are at most 5 an hour.",
    ]


def test_tune_says_that_nothing_will_do() -> None:
    """The smallest deadtime that was tried, and what it came to."""
    nothing = {"timing": None, "outage_ms": None, "predicted": None, "false_failovers": None}
    document = answered(**nothing, tried=[asdict(Tried(500.0, 3500.0)), asdict(Tried(250.0, 3200.0))])
    fits(document, "tune")
    assert document["sentences"] == [
        "The outage of node-kill could not be kept under 3.00 s: with a deadtime of 250 ms, the smallest that was"
        " tried, the longest one was 3.20 s."
    ]


def test_load_is_no_fault_of_the_catalogue() -> None:
    """It breaks nothing: nothing is to move, and `labkit faults` does not list it."""
    assert not Load().expect(Spec()).moves
    assert Load.name not in faults.all_faults()
