"""Holds compose/ to what is rendered now, from the real image's samples."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from labkit import compose
from labkit.engine import Engine
from labkit.engine.images import ensure
from labkit.progress import Silent
from labkit.render import AUTHKEY_PLACEHOLDER
from labkit.resources import compose_dir
from labkit.spec import default
from tests import wheels
from tests.composed import render

pytestmark = pytest.mark.docker

HAND_WRITTEN = {"README.md"}


@pytest.fixture(scope="module")
def rendered(engine: Engine) -> dict[str, str]:
    """What `labkit compose` writes for the default lab."""
    images = ensure(engine, compose.PLATFORM, Silent())
    return render(engine, images, default().with_options(name=compose.NAME))


def test_compose_folder_is_fresh(rendered: dict[str, str]) -> None:
    """Every file in compose/ but README.md is what `labkit compose` writes, and none is missing."""
    folder = compose_dir()
    found = {
        path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()
    }
    assert found.keys() - HAND_WRITTEN == rendered.keys()
    stale = [name for name, text in rendered.items() if found[name] != text]
    assert stale == [], "run `labkit compose`"


def test_key_is_not_in_the_files(rendered: dict[str, str]) -> None:
    """The folder is public: authkeys has a placeholder for the secret, which each lab makes for itself."""
    last_lines = {text.splitlines()[-1] for name, text in rendered.items() if name.endswith("/authkeys")}
    assert last_lines == {f"1 sha1 {AUTHKEY_PLACEHOLDER}"}


def test_wheel_writes_a_compose_folder(rendered: dict[str, str], tmp_path: Path) -> None:
    """`labkit compose` of an installed labkit: a folder here, with its README, that builds from the images/ inside."""
    wheel = wheels.build(wheels.ROOT, tmp_path)
    installed = wheels.install(wheel, tmp_path / "installed")
    here = tmp_path / "here"
    here.mkdir()
    subprocess.run([installed / "labkit", "compose"], cwd=here, env={**os.environ, "PYTHONPATH": ""}, check=True)
    folder = here / "compose"
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == rendered.keys() | HAND_WRITTEN
    services = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))["services"]
    contexts = {(folder / one["build"]["context"]).resolve() for one in services.values() if "build" in one}
    (images,) = contexts
    assert images.is_relative_to(installed.parent.resolve())
    assert (images / compose.PLATFORM / "Dockerfile").is_file()
