"""The pytest plug-in as its users have it: the example suite of docs/pytest.md, run from the wheel on real pairs."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labkit.engine import Engine
from tests import wheels
from tests.e2e.helpers import leftovers, named, swept

pytestmark = pytest.mark.timeout(1200)  # two sessions of pytest, each with pairs and trials of its own

EXAMPLE = wheels.ROOT / "docs" / "examples" / "service"
FAILING = """
def test_takes_no_time(ha_fault):
    assert ha_fault("standby").outage_ms < 0
"""
LONGEST_S = 1000.0


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment that has the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    return wheels.install(wheels.build(wheels.ROOT, folder), folder / "venv") / "python"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A copy of the example in a folder of its own, as a user has it, with a pair that is this session's alone."""
    folder = tmp_path / "suite"
    shutil.copytree(EXAMPLE, folder)
    spec = folder / "lab.yaml"
    spec.write_text(spec.read_text().replace("name: counter", f"name: {named('svc')}"))
    return folder


def run_pytest(python: Path, suite: Path, *options: str) -> tuple[int, str]:
    """pytest in the suite's folder: its exit code and all that it said. The plug-in is found by its entry point."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    done = subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "--junit-xml=junit.xml", *options],
        cwd=suite, env=environment, check=False, text=True, timeout=LONGEST_S,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def runs_told(suite: Path) -> list[Path]:
    """The runs that JUnit's XML names."""
    properties = ElementTree.parse(suite / "junit.xml").iterfind(".//property[@name='labkit_run']")
    return [Path(one.attrib["value"]) for one in properties]


def test_the_example_passes(engine: Engine, python: Path, suite: Path) -> None:
    """Somebody's own service survives a power cut and its own death; the runs stay, and of the pair nothing."""
    name = f"{named('svc')}-pytest"
    with swept(engine, name):
        code, said = run_pytest(python, suite)
        left = leftovers(engine, name)
    assert code == 0, said
    assert re.search(r"\b3 passed", said), said
    assert left == []
    assert sorted(runs_told(suite)) == sorted((suite / "runs").iterdir())
    assert all((run / "report.html").exists() for run in runs_told(suite))


def test_workers_of_xdist_have_pairs_of_their_own(engine: Engine, python: Path, suite: Path) -> None:
    """Two workers run it on two pairs at once, and a test that fails tells where its run is."""
    (suite / "test_failing.py").write_text(FAILING)
    names = [f"{named('svc')}-pytest-gw{number}" for number in range(2)]
    with swept(engine, names[0]), swept(engine, names[1]):
        code, said = run_pytest(python, suite, "-n", "2")
        left = [leftovers(engine, name) for name in names]
    assert code == 1, said
    assert re.search(r"\b1 failed, 3 passed", said), said
    assert left == [[], []]
    (run,) = (run for run in runs_told(suite) if "standby" in run.name)
    assert re.search(rf"- labkit runs -+\n{re.escape(str(run))}/report.html\n", said), said
    used = {(run / "spec.yaml").read_text().splitlines()[0] for run in runs_told(suite)}
    assert used == {f"name: {name}" for name in names}
