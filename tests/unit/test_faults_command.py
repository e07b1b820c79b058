"""`labkit faults`: the catalogue, what is expected, and what the stored runs have measured. It needs no engine."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from labkit import faults
from labkit.cli import app
from labkit.history import History
from labkit.judging import judge
from labkit.store import RunFolder
from tests.unit.histories import failover, never_back, run_event


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def listed(*arguments: str) -> dict[str, Any]:
    """name -> entry, as `labkit faults --json` answers."""
    done = CliRunner().invoke(app, ["faults", "--json", *arguments])
    assert done.exit_code == 0, done.output
    return {entry["name"]: entry for entry in json.loads(done.stdout)}


def stored(root: Path, *events: dict[str, Any]) -> str:
    """A stored run with these events; its folder."""
    folder = RunFolder.create(root, "any")
    with History.create(folder.history) as history:
        for event in events:
            history.append(event)
    judge(folder)
    return str(folder.path)


def test_every_fault_is_listed_with_its_expectation() -> None:
    """`name` stands first; the figures are those of the lab.yaml that is here."""
    Path("lab.yaml").write_text("timing: {keepalive: 200ms, deadtime: 1}\n")
    found = listed()
    assert list(found) == list(faults.all_faults())
    assert all(next(iter(entry)) == "name" for entry in found.values())
    assert found["node-kill"]["outage_ms"] == [800, 1850]
    assert found["partition"]["dual_owner"] is True
    assert found["cpu-starve"]["outage_ms"] is None
    assert found["loss"]["parameters"]["share"]["default"] == 0.2


def test_the_newest_measurement_stands_beside_it(tmp_path: Path) -> None:
    """`last` is of the newest run that measured an outage, with the conditions it was measured under; null without."""
    assert {entry["last"] for entry in listed("--runs", "results").values()} == {None}
    root = tmp_path / "results"
    run = stored(root, run_event(), *failover())
    stored(root, run_event(), *never_back())
    fault = run_event()["fault"]
    last = listed("--runs", "results")[fault]["last"]
    assert last["run"] == run
    assert last["outage_ms"]["n"] == 1
    assert last["outage_ms"]["median"] > 0
    assert set(last["timing"]) == {"keepalive_ms", "deadtime_ms"}


def test_a_person_gets_a_line_for_each() -> None:
    """Without --json it is a table, and says for which timing."""
    done = CliRunner().invoke(app, ["faults"])
    assert done.exit_code == 0
    assert [name for name in faults.all_faults() if name not in done.stdout] == []
    assert "keepalive 2, deadtime 5" in done.stdout
