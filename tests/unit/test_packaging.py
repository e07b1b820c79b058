"""The wheel is enough by itself: it carries images/, compose/ and docs/, and all works from it in an empty folder."""

import json
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import typer.main
import yaml
from hatchling.builders.sdist import SdistBuilder

from labkit import __version__
from labkit.cli import app
from labkit.exercises import all_exercises
from labkit.history import History
from labkit.platforms import discover
from labkit.resources import images_dir
from tests import wheels
from tests.unit.histories import failover, run_event
from tests.wheels import ROOT

DATA = ("images", "compose", "docs")
CACHE = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def sources(folder: str) -> set[str]:
    """Every file of a folder of the checkout, as a path from its top, without what tools leave there."""
    found = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path) for path in found if not CACHE.intersection(path.parts)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.build(ROOT, tmp_path_factory.mktemp("wheel"))


def members(wheel: Path) -> set[str]:
    """The wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_carries_the_folders(wheel: Path) -> None:
    """Every file of images/, compose/ and docs/ is inside the package, once, with its executable bit; no cache is."""
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    data = {name: f"labkit/_data/{name}" for folder in DATA for name in sources(folder)}
    assert set(data.values()) == {name for name in modes if name.startswith("labkit/_data/")}
    assert not [name for name in modes if "__pycache__" in name or name.startswith(DATA)]
    for name, member in data.items():
        assert modes[member] & 0o100 == (ROOT / name).stat().st_mode & 0o100, name


def test_wheel_carries_the_package(wheel: Path) -> None:
    """Every file of labkit/ is in it: modules, templates, the skeleton of an exercise."""
    assert sources("labkit") <= members(wheel)


def test_wheel_is_typed_and_named(wheel: Path) -> None:
    """Type checkers see py.typed, and name and version are the distribution's own."""
    assert wheel.name == f"heartbeat_labkit-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert "labkit/py.typed" in archive.namelist()
        entry_points = archive.read(f"heartbeat_labkit-{__version__}.dist-info/entry_points.txt").decode()
    assert "labkit = labkit.cli:main" in entry_points
    assert "[pytest11]\nlabkit = labkit.pytest_plugin" in entry_points


def test_citation_is_of_this_version() -> None:
    """CITATION.cff names the version that the package has."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__


def test_checkout_finds_its_folders() -> None:
    """In a checkout images_dir() is the one at its top."""
    assert images_dir() == ROOT / "images"


def test_sdist_has_everything(wheel: Path, tmp_path: Path) -> None:
    """A source archive can be built, tested and installed: all that is needed is in it, and its wheel is the same."""
    archive = Path(next(SdistBuilder(str(ROOT)).build(directory=str(tmp_path))))
    with tarfile.open(archive) as tar:
        packed = {name.partition("/")[2] for name in tar.getnames()}
        tar.extractall(tmp_path, filter="data")
    wanted = {"Makefile", "LICENSE", "requirements.lock", "scripts/bootstrap", ".ci/run"}.union(
        *(sources(folder) for folder in ("labkit", "tests", *DATA))
    )
    assert wanted <= packed
    checkout = tmp_path / archive.name.removesuffix(".tar.gz")
    assert members(wheels.build(checkout, tmp_path / "dist")) == members(wheel)


# Installed


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a virtual environment that has labkit from the wheel."""
    return wheels.install(wheel, tmp_path_factory.mktemp("installed"))


def typed(installed: Path, folder: Path, *command: str) -> str:
    """What a command prints that is typed in a folder, by a user who has nothing but the wheel, and no engine."""
    environment = {
        "PATH": f"{installed}:/usr/bin:/bin",
        "HOME": str(folder),
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # its index of fonts takes seconds to make
        "DOCKER_HOST": f"unix://{folder}/no.sock",
        "LANG": "C.UTF-8",
    }
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_installed_labkit_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    """The tests below run the wheel's own files, not those of the checkout; labkit finds its folders inside."""
    code = "import labkit, labkit.resources as r; print(labkit.__file__, r.images_dir(), r.compose_dir(), r.docs_dir())"
    module, *folders = typed(installed, tmp_path, "python", "-c", code).split()
    package = Path(module).parent
    assert package.is_relative_to(installed.parent)
    assert folders == [str(package.resolve() / "_data" / name) for name in DATA]


def test_installed_labkit_tells_versions(installed: Path, tmp_path: Path) -> None:
    """A bug report can be begun where there is no engine: that is one of its facts."""
    first, second, third = typed(installed, tmp_path, "labkit", "--version").splitlines()
    assert first == f"labkit {__version__}"
    assert second.startswith("python 3.")
    assert third.startswith("engine: no Docker engine answers at ")


def test_installed_labkit_finds_its_plugins(installed: Path, tmp_path: Path) -> None:
    """Platforms and exercises are those of the checkout."""
    platforms = json.loads(typed(installed, tmp_path, "labkit", "platforms", "--json"))
    assert [one["name"] for one in platforms] == list(discover())
    told = typed(installed, tmp_path, "labkit", "exercise", "list")
    assert [name for name in all_exercises() if name not in told] == []


def test_installed_labkit_judges_and_reports(installed: Path, tmp_path: Path) -> None:
    """A stored history becomes a result and a page, with the templates of the wheel."""
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    with History.create(run / "history.jsonl") as history:
        for event in [run_event(), *failover()]:
            history.append(event)
    told = typed(installed, tmp_path, "labkit", "report", "runs/one")
    assert "the VIP was back after 1.50 s" in " ".join(told.split())
    assert "<svg" in (run / "report.html").read_text(encoding="utf-8")


def test_installed_labkit_begins_an_exercise_of_ones_own(installed: Path, tmp_path: Path) -> None:
    """`exercise new` has its skeleton."""
    typed(installed, tmp_path, "labkit", "exercise", "new", "mine", "--folder", "exercises")
    assert list((tmp_path / "exercises").glob("*.py"))


def test_installed_labkit_has_its_pages(installed: Path, tmp_path: Path) -> None:
    """`labkit help TOPIC` prints a page of the wheel, here in Spanish."""
    told = typed(installed, tmp_path, "labkit", "help", "exercises", "--lang", "es")
    assert told == (ROOT / "docs" / "exercises.es.md").read_text(encoding="utf-8")


def test_bash_completes_commands(installed: Path, tmp_path: Path) -> None:
    """What `labkit --show-completion` prints, read by a real bash, offers all commands after `labkit`."""
    script = """
        eval "$(labkit --show-completion)"
        COMP_WORDS=(labkit "") COMP_CWORD=1
        _labkit_completion labkit
        echo "${COMPREPLY[@]}"
    """
    known: Any = typer.main.get_command(app)
    assert set(typed(installed, tmp_path, "bash", "-c", script).split()) == set(known.commands)
