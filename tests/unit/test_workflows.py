"""What GitHub runs: only targets of the Makefile, on the platforms that are found; and what those targets do."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from labkit.cli import app
from labkit.faults import all_faults
from labkit.judging import judge
from labkit.platforms import discover
from labkit.store import RunFolder
from scripts import ci, regression
from tests.unit.histories import failover, run_event

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / "action.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKE = re.compile(r'make(?: -C "\$ACTION")?((?: [a-z0-9-]+)+)')


def steps(path: Path) -> Iterator[dict[str, Any]]:
    """All steps of a workflow or of an action."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for job in document["jobs"].values() if "jobs" in document else [document["runs"]]:
        yield from job["steps"]


def runs(path: Path) -> list[str]:
    return [step["run"] for step in steps(path) if "run" in step]


COMMANDS = sorted({command for path in (*WORKFLOWS, ACTION) for command in runs(path)})


def typed(name: str, environment: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Runs one task of scripts/ci.py as a step does. Its exit code, and what the files have that GitHub names."""
    files = {file: Path(file.lower()) for file in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {**environment, **{name: str(path) for name, path in files.items()}}.items():
            patch.setenv(variable, value)
        code: int = getattr(ci, name)()
    return code, {file: path.read_text(encoding="utf-8") if path.exists() else "" for file, path in files.items()}


def test_workflows_are_there() -> None:
    """The tests below are about something."""
    assert [path.stem for path in WORKFLOWS] == ["catalogue", "ci"]
    assert {"make lint types unit", 'make -C "$ACTION" action'} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_step_is_a_target(command: str) -> None:
    """What a step runs can be run anywhere: a documented target, whose recipe make can read."""
    found = MAKE.fullmatch(command)
    assert found, f"{command!r} is no plain make"
    targets = found[1].split()
    documented = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(targets) <= set(documented)
    subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_platform_is_named(path: Path) -> None:
    """A new platform is tested without a word in a workflow: the matrix comes from `make ci-matrix`."""
    text = path.read_text(encoding="utf-8")
    assert [name for name in discover() if name in text] == []
    assert "fromJSON(needs.platforms.outputs.platforms)" in text


def test_the_matrix_has_all_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the form that fromJSON() reads."""
    monkeypatch.chdir(tmp_path)
    code, told = typed("matrix", {})
    name, _, value = told["GITHUB_OUTPUT"].partition("=")
    assert (code, name, json.loads(value)) == (0, "platforms", list(discover()))


# The action


def test_the_actions_inputs_reach_labkit() -> None:
    """Each input but the platform, which labkit reads itself, is a variable of the step; all make a valid command."""
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    variables = next(step for step in steps(ACTION) if step.get("id") == "failover")["env"]
    assert {name for name in action["inputs"] if f"${{{{ inputs.{name} }}}}" not in variables.values()} == set()
    command = ci.failover(
        {"FAULT": "loss:share=0.5", "TRIALS": "3", "ASSERT": "outage.p95 < 6s\n\noutage.missed == 0\n"}
    )
    cli: Any = typer.main.get_command(app)
    parsed = cli.commands["failover"].make_context("failover", command[1:]).params
    assert (parsed["fault"], parsed["trials"]) == ("loss:share=0.5", 3)
    assert parsed["asserted"] == ["outage.p95 < 6s", "outage.missed == 0"]
    plain = cli.commands["failover"].make_context("failover", ci.failover({})[1:]).params
    assert (plain["fault"], str(plain["trials"])) == (action["inputs"]["fault"]["default"], "1")


@pytest.mark.parametrize(
    ("code", "environment", "ends"),
    [
        (0, {}, 0),
        (1, {"ALLOW_UNKNOWN": "true"}, 1),
        (2, {"ALLOW_UNKNOWN": "false"}, 2),
        (2, {"ALLOW_UNKNOWN": "true"}, 0),
    ],
)
def test_the_action_tells_of_the_run(
    code: int, environment: dict[str, str], ends: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs, summary and exit code are labkit's own, also where a check failed; only what is unknown may be allowed.
    labkit is a stand-in here, with the answer of a real judgement."""
    monkeypatch.chdir(tmp_path)
    result = stored(RunFolder(tmp_path / "runs" / "one"))
    stand_in = tmp_path / "labkit"
    stand_in.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(result)}\nEND\nexit {code}\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(ci, "LABKIT", stand_in)
    done, told = typed("action", environment)
    median = result["summary"]["outage_ms"]["median"]
    assert done == ends
    assert told["GITHUB_OUTPUT"] == f"run={result['run']}\noutage-median={median}\n"
    assert "node-kill" in told["GITHUB_STEP_SUMMARY"]


def stored(folder: RunFolder) -> dict[str, Any]:
    """A run in its folder, judged."""
    events = [run_event(), *failover()]
    folder.write("history.jsonl", "".join(json.dumps(event) + "\n" for event in events))
    return judge(folder)


def test_the_summary_has_every_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged runs with their report, others are named."""
    monkeypatch.chdir(tmp_path)
    stored(RunFolder(Path("runs/one")))
    RunFolder(Path("runs/two")).write("history.jsonl", "")
    told = typed("summary", {})[1]["GITHUB_STEP_SUMMARY"]
    assert Path("runs/one/report.md").read_text(encoding="utf-8") in told
    assert f"runs{os.sep}two was cut short" in told


# The gate

BEFORE = [1000.0, 1100.0, 1200.0, 1300.0, 1400.0]


@pytest.mark.parametrize(
    ("now", "words", "bad"),
    [
        ([one + 20 for one in BEFORE], "no different", False),
        ([one - 1000 for one in BEFORE], "faster", False),
        ([one + 500 for one in BEFORE], "slower, by less than 250 ms for all that is known", False),
        ([one + 1000 for one in BEFORE], "slower", True),
        ([*BEFORE[:4], None], "an outage that did not end", True),
        (BEFORE[:2], "unknown", False),
    ],
    ids=["same", "faster", "within-tolerance", "slower", "missed", "too-few"],
)
def test_what_a_regression_is(now: list[float | None], words: str, bad: bool) -> None:
    """Only what is slower beyond doubt and tolerance, or did not end where it used to."""
    assert regression.compare({"node-kill": [*BEFORE]}, {"node-kill": now}) == [("node-kill", words, bad)]


def test_faults_of_one_side() -> None:
    """A fault that could not be measured is a regression, a new one is not."""
    assert regression.compare({"gone": [1.0]}, {"new": [1.0]}) == [
        ("gone", "not measured", True),
        ("new", "new: not in the baseline", False),
    ]


def test_a_sweep_is_held_to_its_own_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded and checked, nothing is slower; without a baseline it is unknown; the table is kept beside the sweep."""
    monkeypatch.setattr(regression, "BASELINES", tmp_path)
    sweep = RunFolder(tmp_path / "sweep")
    result = stored(RunFolder(sweep.path / "cell"))
    cell = {"timing": result["timing"], "fault": "node-kill", "error": None, "run": "elsewhere/cell"}
    sweep.write_json("sweep.json", {"cells": [cell]})
    assert regression.main(["check", str(sweep.path)]) == 2
    assert regression.main(["record", str(sweep.path)]) == 0
    assert regression.main(["check", str(sweep.path)]) == 0
    assert "| node-kill | 1.50 s | 1.50 s |" in (sweep.path / "regression.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "baselines").glob("*.json")), ids=lambda path: path.stem)
def test_baselines_are_of_what_there_is(path: Path) -> None:
    """A fault that is no more would be missed in every sweep."""
    known = json.loads(path.read_text(encoding="utf-8"))
    assert known["platform"] == path.stem
    assert path.stem in discover()
    assert known["outages_ms"].keys() <= all_faults().keys()
