"""The wheel is enough by itself: it carries images/ and compose/, and labkit finds them there as in a checkout."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from labkit import __version__
from labkit.resources import images_dir

ROOT = Path(__file__).resolve().parents[2]
CACHE = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def sources(folder: str) -> set[str]:
    """Every file of a folder of the checkout, as a path from its top, without what tools leave there."""
    found = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path) for path in found if not CACHE.intersection(path.parts)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout in this process, so that no build backend is fetched."""
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")))))


def test_wheel_carries_images_and_compose(wheel: Path) -> None:
    """Every file of images/ and compose/ is inside the package, once, with its executable bit; no cache is."""
    with zipfile.ZipFile(wheel) as archive:
        members = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    data = {name: f"labkit/_data/{name}" for folder in ("images", "compose") for name in sources(folder)}
    assert set(data.values()) == {name for name in members if name.startswith("labkit/_data/")}
    assert not [name for name in members if "__pycache__" in name or name.startswith("images/")]
    for name, member in data.items():
        assert members[member] & 0o100 == (ROOT / name).stat().st_mode & 0o100, name


def test_wheel_is_typed_and_named(wheel: Path) -> None:
    """Type checkers see py.typed, and name and version are the distribution's own."""
    assert wheel.name == f"heartbeat_labkit-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert "labkit/py.typed" in archive.namelist()
        entry_points = archive.read(f"heartbeat_labkit-{__version__}.dist-info/entry_points.txt").decode()
    assert "labkit = labkit.cli:main" in entry_points


def test_installed_package_finds_its_folders(wheel: Path, tmp_path: Path) -> None:
    """Outside a checkout images_dir() and compose_dir() are the folders inside the package."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "from labkit.resources import images_dir, compose_dir; print(images_dir(), compose_dir())"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    data = tmp_path.resolve() / "labkit" / "_data"
    assert run.stdout.split() == [str(data / "images"), str(data / "compose")]


def test_checkout_finds_its_folders() -> None:
    """In a checkout images_dir() is the one at its top."""
    assert images_dir() == ROOT / "images"


def test_sdist_has_everything(tmp_path: Path) -> None:
    """A source archive can be built, tested and installed: sources, tests, docs, scripts and the lock are in it."""
    archive = Path(next(SdistBuilder(str(ROOT)).build(directory=str(tmp_path))))
    with tarfile.open(archive) as tar:
        members = {name.partition("/")[2] for name in tar.getnames()}
    wanted = {"Makefile", "LICENSE", "requirements.lock", "scripts/bootstrap", ".ci/run"}.union(
        *(sources(folder) for folder in ("labkit", "images", "compose", "tests", "docs"))
    )
    assert wanted <= members
