"""The pytest plug-in without a pair: what it costs those who do not use it, and how it fails those who do."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from labkit.pytest_plugin import Measured

ROOT = Path(__file__).resolve().parents[2]
TEST = "def test_it(ha_pair):\n    pass\n"


def run_pytest(folder: Path, *options: str) -> tuple[int, str]:
    """pytest in a folder, on a machine without an engine: its exit code and what it said."""
    found = any(point.name == "labkit" for point in entry_points(group="pytest11"))  # by an installed labkit
    plugin = [] if found else ["-p", "labkit.pytest_plugin"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "DOCKER_HOST": f"unix://{folder}/no.sock",
        "LANG": "C.UTF-8",
    }
    command = [sys.executable, "-m", "pytest", *plugin, "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_importing_it_imports_nothing_of_labkit() -> None:
    """Every pytest on the machine imports it, and most never ask for a pair."""
    code = (
        "import sys, pytest; before = set(sys.modules); import labkit.pytest_plugin;"
        "print(sorted(name for name in set(sys.modules) - before if name.partition('.')[0] in ('labkit', 'docker')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "['labkit', 'labkit.pytest_plugin']\n"


@pytest.mark.parametrize(
    ("spec", "options", "expected"),
    [
        ("", (), "labkit: no Docker engine answers at "),
        ("service: {init_script: gone}", (), "lab.yaml, line 1: service.init_script: "),
        ("", ("--labkit-file", "other.yaml"), "other.yaml: there is no such file."),
        ("", ("-o", "labkit_file=deep/lab.yaml"), "deep/lab.yaml: there is no such file."),
    ],
    ids=["no-engine", "bad-spec", "no-file", "no-file-of-the-settings"],
)
def test_what_is_missing_is_an_error_of_the_test(
    tmp_path: Path, spec: str, options: tuple[str, ...], expected: str
) -> None:
    """Not a skip, which would look like success, and no traceback: one message that says what to do."""
    (tmp_path / "lab.yaml").write_text(spec)
    (tmp_path / "test_it.py").write_text(TEST)
    code, said = run_pytest(tmp_path, *options)
    assert code == 1, said
    assert "1 error" in said
    assert expected in said
    assert "Traceback" not in said


def test_a_suite_without_pairs_is_left_alone(tmp_path: Path) -> None:
    """It passes where there is no engine and no valid lab.yaml, failures of it say nothing of labkit."""
    (tmp_path / "lab.yaml").write_text("nonsense")
    (tmp_path / "test_it.py").write_text("def test_good(): pass\n\n\ndef test_bad(): assert 0\n")
    code, said = run_pytest(tmp_path)
    assert code == 1
    assert "1 failed, 1 passed" in said
    assert "labkit runs" not in said


def test_figures_are_attributes(tmp_path: Path) -> None:
    """A trial's own names, null as None; a name that it has not got is told with those that it has."""
    trial: dict[str, Any] = {"outage_ms": 1700.5, "detection_ms": None}
    checks = [{"check": "single-owner", "verdict": "fail", "detail": ""}]
    measured = Measured({"trials": [trial], "checks": checks}, tmp_path)
    assert (measured.outage_ms, measured.detection_ms) == (1700.5, None)
    assert measured.verdict == "fail"
    with pytest.raises(AttributeError, match="a trial has no 'outage'; it has outage_ms, detection_ms"):
        _ = measured.outage
