"""Many runs with one question, on real pairs: sweep, its interruption, pairs in parallel, compare, tune."""

import json
from collections.abc import Iterator
from itertools import pairwise, permutations
from pathlib import Path
from signal import SIGINT
from typing import Any

import jsonschema
import pytest

from labkit import faults, history
from labkit.campaign import admission, tune
from labkit.campaign.sweep import PAGE, SWEEP
from labkit.cluster import Lab, lifecycle
from labkit.engine import Engine
from labkit.measure.service import in_hand_ns
from labkit.spec import Spec
from labkit.store import PARTS, RunFolder
from tests.e2e.helpers import (
    FAST,
    ROOT,
    Outcome,
    Running,
    assert_valid_result,
    complaint,
    leftovers,
    named,
    run_cli,
    swept,
)

NAME = named("many")
PAIRS = [f"{NAME}-p{number}" for number in range(1, 5)]
GRID = ("--keepalive", "200ms,1", "--deadtime", "1", "--fault", "none,apache-kill", "--trials", "2", "--seed", "7")
NOISE_MS = 1500.0  # a machine that runs other tests as well takes so much longer for a takeover than one at rest


@pytest.fixture(autouse=True)
def nothing_left(engine: Engine) -> Iterator[None]:
    """No command here leaves a pair; and if one does, it does not disturb the next test."""
    yield
    left = {name: leftovers(engine, name) for name in PAIRS}
    for name in PAIRS:
        with swept(engine, name):
            pass
    assert not any(left.values()), left


def _fits(document: Any, name: str) -> None:
    jsonschema.validate(document, json.loads((ROOT / "docs" / f"{name}.schema.json").read_text()))


def _answer(done: Outcome) -> dict[str, Any]:
    """The document of a command whose verdict may be any, because that judges this machine's speed, too."""
    assert done.exit_code in (0, 1, 2), done.stderr
    document: dict[str, Any] = done.document
    return document


def test_a_sweep_goes_on_after_ctrl_c(working_folder: Path) -> None:
    """Ctrl-C in the second cell keeps the first one and removes both pairs; `--resume` measures what is missing with
    the same parameters, and leaves the first cell as it is. The impossible timing is named."""
    sweep = Running("sweep", "--name", NAME, *GRID, "--parallel", "2")
    sweep.await_line("cell 2 of 2")
    sweep.send(SIGINT)
    done = sweep.finish()
    assert done.exit_code == 130, done.stdout
    assert "Traceback" not in done.stdout
    (folder,) = (working_folder / "runs").iterdir()
    kept = json.loads((folder / SWEEP).read_text())
    assert [cell["fault"] for cell in kept["cells"]] == ["none"]
    assert not kept["complete"]
    assert f"labkit sweep --resume runs/{folder.name}" in done.stdout

    told = complaint(run_cli("sweep", "--resume", str(folder), "--trials", "3"), 3)
    assert "has 2 for trials, not 3" in told
    document = _answer(run_cli("sweep", "--resume", f"runs/{folder.name}", "--json"))
    _fits(document, "sweep")
    assert document == json.loads((folder / SWEEP).read_text())
    assert document["complete"]
    assert document["cells"][0] == kept["cells"][0]
    assert [cell["fault"] for cell in document["cells"]] == ["none", "apache-kill"]
    assert [cell["summary"]["outage_ms"]["n"] for cell in document["cells"]] == [2, 2]
    assert [one["timing"] for one in document["skipped"]] == [{"keepalive_ms": 1000.0, "deadtime_ms": 1000.0}]
    for cell in document["cells"]:
        assert f'href="{Path(cell["run"]).name}/report.html"' in (folder / PAGE).read_text()
        assert (Path(cell["run"]) / "report.html").exists()


def test_pairs_in_parallel_measure_the_same(lab: Lab) -> None:
    """Four pairs at once share a run's trials and give one result like any other, and its outages are not longer than
    those of one pair alone by more than noise."""
    kill = ("failover", "--fault", "node-kill", "--trials", "4", "--seed", "11", *FAST, "--json")
    alone = _answer(run_cli(*kill, "--name", lab.name))
    beside = _answer(run_cli(*kill, "--name", NAME, "--parallel", "4"))
    assert_valid_result(beside)
    assert [trial["number"] for trial in beside["trials"]] == [1, 2, 3, 4]
    assert {trial["server_after"] for trial in beside["trials"]} == {"slave-cluster"}
    parts = sorted((Path(beside["run"]) / PARTS).iterdir())
    assert [part.name for part in parts] == ["1", "2", "3", "4"]
    trials = [_trial(part) for part in parts]
    spans = sorted((trial.start_ns, trial.end_ns) for trial in trials)
    assert any(after[0] < before[1] for before, after in pairwise(spans)), "the pairs did not run at the same time"
    for one, other in permutations(trials, 2):
        heal = other.fault("heal")
        assert heal is not None
        start_ns, end_ns = _measured(one)
        assert not start_ns < heal["before_ns"] < end_ns, "a pair was healed while another one was measured"
    for trial in beside["trials"]:
        assert 0 <= trial["pressure"]["busy"] <= 1
        assert 0 <= trial["pressure"]["stolen"] <= 1
    assert beside["flagged"] == [trial["number"] for trial in beside["trials"] if trial["flags"]]
    quiet = [check["verdict"] for check in beside["checks"] if check["check"] == "machine-quiet"]
    assert quiet == ["unknown" if any({*trial["flags"]} - {"cadence"} for trial in beside["trials"]) else "pass"]

    compared = run_cli("compare", alone["run"], beside["run"], "--json", "--assert", "outage.missed == 0")
    document = _answer(compared)
    _fits(document, "compare")
    assert document["difference_ms"]["ci95"][0] < NOISE_MS
    assert document["checks"][0]["verdict"] == "pass"
    assert "pairs: 1 and 4" in document["warnings"]


def _trial(part: Path) -> history.Trial:
    """A pair's only trial."""
    (trial,) = history.trials(history.read(RunFolder.open(part).history))
    return trial


def _measured(trial: history.Trial) -> tuple[int, int]:
    """From when it was armed until the first good answer of the other node."""
    (armed,) = trial.of("armed")
    back = min(in_hand_ns(one) for one in trial.of("request") if one["server"] == "slave-cluster")
    return armed["t_ns"], back


def test_many_pairs_come_and_go(engine: Engine, working_folder: Path) -> None:
    """`up --pairs` makes pairs that have nothing in common but the machine, whose health the engine does not look
    after; each is known by its name, and one command removes them all."""
    name = named("several")
    names = [f"{name}-{number}" for number in (1, 2)]
    with swept(engine, names[0]), swept(engine, names[1]):
        done = run_cli("up", "--name", name, "--pairs", "2", "--together", *FAST[:4], "--json")
        assert done.exit_code == 0, done.stderr
        assert [one["name"] for one in done.document] == names
        assert [one["vip_owners"] for one in done.document] == [["master-cluster"]] * 2
        first, second = done.document
        assert first["subnet"] != second["subnet"]
        assert not {*first["ports"].values()} & {*second["ports"].values()}
        pair = lifecycle.require(engine, names[1])
        tests = [part.inspect()["Config"]["Healthcheck"]["Test"] for part in (pair.client, *pair.nodes.values())]
        assert tests == [["NONE"]] * 3
        checked = run_cli("check", "--name", names[1])
        assert checked.exit_code == 0, checked.stdout
        removed = run_cli("down", "--name", name, "--pairs", "--json")
        assert {one["lab"] for one in removed.document} == {*names}
        assert not any(leftovers(engine, one) for one in names)
        assert "nothing to remove" in run_cli("down", "--name", name, "--pairs").stdout


def test_a_look_at_the_machine_decides(lab: Lab) -> None:
    """What `--parallel auto` goes by is measured on a real pair: it takes some CPU time and memory, all its requests
    are accounted for, and what was seen is enough for one pair."""
    look = admission.look_at(lab)
    assert look.cpus == lab.engine.facts.cpus
    assert 0 < look.pair_cpus < look.cpus
    assert 0 <= look.others_cpus <= look.cpus
    assert 10 < look.pair_mib < look.free_mib
    assert 0 < look.on_time <= 1
    assert 1 <= admission.admit(look, 3).pairs <= 3


def test_tune_finds_a_deadtime(working_folder: Path) -> None:
    """It begins where the prediction keeps the target, chooses what kept it when measured, and watches the pair with
    that under load."""
    small = ("--name", NAME, "--trials", "1", "--steps", "2", "--watch", "1", "--json")
    done = run_cli("tune", "--outage", "4s", *small)
    assert done.exit_code == 0, done.stderr
    document = done.document
    _fits(document, "tune")
    first = tune.with_deadtime(Spec(), document["tried"][0]["deadtime_ms"])
    predicted = faults.fault("node-kill").expect(first).outage_ms
    assert predicted is not None
    assert 4000.0 - tune.STEP_MS < predicted[1] <= 4000.0
    assert document["timing"]["deadtime_ms"] in [one["deadtime_ms"] for one in document["tried"]]
    assert document["timing"]["keepalive_ms"] == document["timing"]["deadtime_ms"] / tune.RATIO
    assert document["outage_ms"]["max"] <= 4000.0
    assert document["false_failovers"]["watched_s"] > 5
    assert document["false_failovers"]["per_hour_at_most"] > 0
    assert len(document["sentences"]) == 2
    assert json.loads((working_folder / document["tune"] / "tune.json").read_text()) == document
