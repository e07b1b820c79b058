"""Campaigns that several hosts share, as far as they need no lab: shards, merging, and hosts that are compared."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import history
from labkit.campaign.grid import Parameters, parse_shard
from labkit.campaign.pairs import Pairs
from labkit.campaign.shares import SHARES, merge, pool
from labkit.campaign.sweep import PAGE, SWEEP, Sweep
from labkit.checks import judge_all
from labkit.errors import BadInput, Unsettled
from labkit.history import Event, History
from labkit.judging import judge
from labkit.measure import difference, hosts, measure, result
from labkit.progress import Silent
from labkit.runner import Scenario, Watch
from labkit.spec import Spec
from labkit.store import RunFolder
from tests.unit.histories import MACS, failover, run_event
from tests.unit.test_campaign import DOCS, fits

ASKED: dict[str, Any] = {"keepalive": ("200ms",), "deadtime": ("1",), "faults": ("node-kill",), "trials": 7, "seed": 5}


class SeededPairs:
    """Pairs that run nothing: each trial's outage is what its draw makes it, on a host with MAC addresses of its own
    that is slower by some time; those of one fault do not come up."""

    def __init__(self, mac: str = "2e", slower_ms: int = 0, broken: str = "", platform: str = "debian-12") -> None:
        self.macs = {node: f"{address[:-2]}{mac}:{at}" for at, (node, address) in enumerate(MACS.items())}
        self.slower_ms = slower_ms
        self.broken = broken
        self.platform = platform

    def run(self, spec: Spec, scenario: Scenario, folder: RunFolder, watch: Watch) -> None:
        if scenario.fault.name == self.broken:
            raise Unsettled("gave up")
        own = {MACS[node]: address for node, address in self.macs.items()}
        head = run_event(
            len(scenario.numbers),
            fault=scenario.fault.name,
            macs=self.macs,
            worker=scenario.worker,
            platform=self.platform,
            host={"kernel": "6.1.0", "cpus": len(self.macs["master-cluster"])},
        )
        with History.create(folder.history) as written:
            written.append(head)
            for number in scenario.numbers:
                outage_ms = round(1000 + 500 * scenario.random(number).random(), -1) + self.slower_ms
                for event in failover(number, int(outage_ms)):
                    written.append({**event, "mac": own[event["mac"]]} if "mac" in event else event)
        folder.write("spec.yaml", "spec")


def swept(root: Path, pairs: SeededPairs, **changes: Any) -> Sweep:
    sweep = Sweep.new(root, Spec(), {**ASKED, **changes})
    sweep.run(cast(Pairs, pairs), Silent())
    return sweep


def trials_of(sweep: Sweep) -> list[dict[str, Any]]:
    """The trials of the one cell, from its result."""
    (cell,) = sweep.document()["cells"]
    found: list[dict[str, Any]] = json.loads((Path(cell["run"]) / "result.json").read_text())["trials"]
    return found


# Shards


@given(st.integers(1, 60), st.integers(1, 60))
def test_shards_share_all_trials(trials: int, count: int) -> None:
    """Each trial is in one shard; no shard is empty, and more shards than trials are refused."""
    parameters = Parameters(Spec(), ("200ms",), ("1",), ("none",), trials, 3, 1)
    shards = [replace(parameters, shard=f"{one}/{count}") for one in range(1, count + 1)]
    if count > trials:
        with pytest.raises(BadInput, match="too few"):
            _ = shards[0].numbers
        return
    assert sorted(number for shard in shards for number in shard.numbers) == list(parameters.numbers)
    assert all(shard.numbers for shard in shards)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2", "1/2 "])
def test_what_is_no_shard_is_bad_input(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(BadInput, match="write 2/3"):
        parse_shard(text)


def test_merged_shards_are_the_whole_sweep(tmp_path: Path) -> None:
    """The same seeds give the same trials: what two machines measured and one machine would have is the same, but for
    the hosts, which are told; every shard's own run lies in the merged sweep's folder."""
    whole = swept(tmp_path / "whole", SeededPairs())
    shards = [swept(tmp_path / "b", SeededPairs("aa"), shard="2/2"), swept(tmp_path / "a", SeededPairs(), shard="1/2")]
    assert [one["number"] for one in trials_of(shards[0])] == [2, 4, 6]
    moved = [one.folder.path.rename(tmp_path / str(at)) for at, one in enumerate(shards)]  # as artifacts are
    merged = merge(tmp_path / "merged", moved, Silent())
    assert trials_of(merged) == trials_of(whole)
    assert merged.parameters == whole.parameters
    document = merged.document()
    fits(document, "sweep")
    assert document["complete"]
    (cell,) = document["cells"]
    assert cell["summary"] == whole.document()["cells"][0]["summary"]
    assert [(one["worker"], one["trials"]) for one in cell["hosts"]] == [
        ("shard 1/2", [1, 3, 5, 7]),
        ("shard 2/2", [2, 4, 6]),
    ]
    kept = sorted((merged.folder.path / SHARES).glob("*/*/history.jsonl"))
    assert [len(history.trials(history.read(path))) for path in kept] == [4, 3]
    assert json.loads((merged.folder.path / SWEEP).read_text()) == document
    assert (merged.folder.path / PAGE).exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([{"shard": "1/2"}], "shards are missing: 2/2"),
        ([{"shard": "1/2"}, {"shard": "1/2"}], "the same shard, 1/2"),
        ([{"shard": "1/2"}, {"shard": "2/3"}], "of different numbers"),
        ([{"shard": "1/2"}, {"shard": "2/2", "seed": 6}], "another seed"),
        ([{"shard": "1/2"}, {}], "made without --shard"),
    ],
    ids=["missing", "twice", "numbers", "seed", "whole"],
)
def test_what_are_not_the_shards_of_one_sweep_is_refused(
    tmp_path: Path, changes: list[dict[str, Any]], told: str
) -> None:
    """Trials that are missing, or drawn otherwise, would make another distribution."""
    paths = [swept(tmp_path, SeededPairs(), **one).folder.path for one in changes]
    with pytest.raises(BadInput, match=told):
        merge(tmp_path / "merged", paths, Silent())


def test_a_cell_that_a_shard_lacks_is_told(tmp_path: Path) -> None:
    """It has an error that names the shard, and the command that measures it; the other cells are there."""
    two = ("node-kill", "apache-kill")
    shards = [
        swept(tmp_path, SeededPairs(broken=broken), faults=two, shard=f"{at}/2").folder.path
        for at, broken in enumerate(("", "node-kill"), 1)
    ]
    merged = merge(tmp_path / "merged", shards, Silent())
    node_kill, apache_kill = merged.document()["cells"]
    assert "shard 2/2 has not measured node-kill" in node_kill["error"]
    assert f"labkit sweep --resume {shards[1]}" in node_kill["error"]
    assert apache_kill["error"] is None
    assert node_kill["verdict"] == "error"


def test_workers_that_are_called_the_same_are_two_hosts(tmp_path: Path) -> None:
    """Each shard may have been run by workers of its own: those of one name are told apart by their hosts' facts."""
    root = RunFolder.create(tmp_path, "x")
    shares = []
    for number, kernel in ((1, "6.1.0"), (2, "6.2.0"), (3, "6.2.0")):
        worker = {"worker": "one", "trials": [number], "host": {"kernel": kernel, "cpus": 2}, "differs": []}
        share = root.part(f"shares/{number}")
        with History.create(share.history) as written:
            for event in (run_event(1, worker=None, workers=[worker], host=worker["host"]), *failover(number)):
                written.append(event)
        share.write("spec.yaml", "spec")
        shares.append(share)
    pool(root, shares, 3)
    found = history.header(history.read(root.history))["workers"]
    assert [(one["worker"], one["trials"], one["differs"]) for one in found] == [
        ("one", [1], []),
        ("one (2)", [2, 3], ["host kernel: 6.1.0 and 6.2.0"]),
    ]


def test_platforms_are_not_pooled(tmp_path: Path) -> None:
    """`auto` may choose another one on another host, whose outages are another distribution."""
    shards = [
        swept(tmp_path, SeededPairs(platform=platform), shard=f"{at}/2").folder.path
        for at, platform in enumerate(("debian-12", "ubuntu-18.04"), 1)
    ]
    (cell,) = merge(tmp_path / "merged", shards, Silent()).document()["cells"]
    assert cell["error"].startswith("shard 1/2 has debian-12, shard 2/2 has ubuntu-18.04")


# Hosts


def pooled(tmp_path: Path, *slower_ms: int, trials: int = 24) -> tuple[RunFolder, list[Event]]:
    """A run that so many hosts share, each slower than it should be by some time."""
    root = RunFolder.create(tmp_path, "x")
    scenario = Parameters(Spec(), ("200ms",), ("1",), ("node-kill",), trials, 5, 1)
    cell = Sweep.new(tmp_path, Spec(), {**ASKED, "trials": trials}).cells[0]
    shares = []
    for at, (ms, share) in enumerate(zip(slower_ms, scenario.scenario(cell).dealt(len(slower_ms)), strict=True)):
        shares.append(root.part(f"shares/{at}"))
        SeededPairs(f"a{at}", ms).run(Spec(), replace(share, worker=f"w{at}"), shares[-1], lambda event: None)
    pool(root, shares, trials)
    return root, history.read(root.history)


def finding(events: Sequence[Event]) -> dict[str, str]:
    return {judgement.check: judgement.verdict for judgement in judge_all(events)}


def test_hosts_that_measure_the_same_are_pooled(tmp_path: Path) -> None:
    """The check passes, and every host's share is told."""
    root, events = pooled(tmp_path, 0, 0)
    document = judge(root)
    assert finding(events)["hosts-agree"] == "pass"
    assert [one["finding"] for one in document["hosts"]] == ["no different"] * 2
    assert [one["outage_ms"]["n"] for one in document["hosts"]] == [12, 12]


def test_a_slow_host_does_not_go_unnoticed(tmp_path: Path) -> None:
    """Whoever reads the result or a report of the run is told which host, and by how much."""
    root, events = pooled(tmp_path, 0, 0, 900)
    document = judge(root)
    check = next(one for one in document["checks"] if one["check"] == "hosts-agree")
    assert check["verdict"] == "unknown"
    assert "w2 is slower than the others" in check["detail"]
    assert [one["finding"] for one in document["hosts"]].count("slower") == 1
    text = (root.path / "report.html").read_text()
    assert "w2 is slower than the others" in text
    assert "<b>w2</b>" in text
    assert "w2 is slower than the others" in (root.path / "report.md").read_text()
    assert document["hosts"][2]["difference_ms"]["median"] > 500
    assert finding(events)["service-back"] == "pass"


def test_too_few_trials_tell_nothing_of_a_host(tmp_path: Path) -> None:
    """Then it is unknown whether the figures may be pooled, and it is not said that they may."""
    _, events = pooled(tmp_path, 0, 900, trials=5)
    assert finding(events)["hosts-agree"] == "unknown"
    assert {one.finding for one in hosts(history.header(events), measure(events))} == {"unknown"}


def test_one_host_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    """A run of one host, shared or not, has no such check."""
    alone = [run_event(), *failover()]
    assert result(alone)["hosts"] == []
    assert "hosts-agree" not in finding(alone)
    assert "hosts-agree" not in finding(pooled(tmp_path, 0)[1])


def test_the_same_trial_is_not_pooled_twice(tmp_path: Path) -> None:
    """It would count double; a copy of a share given by mistake is noticed."""
    root, _ = pooled(tmp_path, 0, 0)
    again = RunFolder.create(tmp_path, "y")
    shares = [RunFolder(path) for path in sorted((root.path / "shares").iterdir())]
    with pytest.raises(BadInput, match="trial 1 was run twice"):
        pool(again, [*shares, shares[0]], 24)


def test_many_hosts_are_no_reason_to_find_one_that_differs() -> None:
    """Asked of many hosts, each interval is wider, so that chance alone seldom makes one of them differ."""
    some, others = [float(ms) for ms in range(1000, 1100, 10)], [float(ms) for ms in range(1050, 1300, 10)]
    once, often = difference(some, others), difference(some, others, questions=100)
    assert once.ci95 is not None
    assert often.ci95 is not None
    assert often.ci95[0] < once.ci95[0] <= once.ci95[1] < often.ci95[1]
    assert once.median == often.median


def test_the_schema_has_every_field_of_a_host(tmp_path: Path) -> None:
    """As published for a result, and for a cell of a sweep."""
    document = judge(pooled(tmp_path, 0, 0)[0])
    for name in ("result", "sweep"):
        properties = json.loads((DOCS / f"{name}.schema.json").read_text())["$defs"]["host"]["properties"]
        assert set(properties) == set(document["hosts"][0])


def test_the_page_marks_figures_of_unlike_hosts(tmp_path: Path) -> None:
    """Who looks at a pooled median alone sees that it is of no one host, and finds the hosts below."""
    shards = [
        swept(tmp_path, SeededPairs(slower_ms=ms), trials=12, shard=f"{at}/2").folder.path
        for at, ms in enumerate((0, 900), 1)
    ]
    text = (merge(tmp_path / "merged", shards, Silent()).folder.path / PAGE).read_text()
    assert "\N{NOT ALMOST EQUAL TO} 1." in text
    assert "<b>shard 2/2</b>" in text
    assert "\N{NOT ALMOST EQUAL TO} 1." not in (shards[0] / PAGE).read_text()
