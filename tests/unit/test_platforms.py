"""Platforms: found by looking into images/, and no more than a base image apart from each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import platforms
from labkit.errors import BadInput
from labkit.resources import images_dir

NAMES = list(platforms.discover())
PLATFORM_YAML = """\
title: Test system
preference: {preference}
base: test:1
bootstrap: {{suite: one, components: [main], keyring: /k.gpg, keyring_package: test-keyring}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An images/ of the test's own; what was discovered in the real one is forgotten and found again."""
    monkeypatch.setattr(platforms, "images_dir", lambda: tmp_path)
    platforms.discover.cache_clear()
    yield tmp_path
    platforms.discover.cache_clear()


def add(folder: Path, name: str, preference: int) -> None:
    (folder / name).mkdir()
    (folder / name / "platform.yaml").write_text(PLATFORM_YAML.format(preference=preference))


def test_the_guides_system_comes_first() -> None:
    """The guide's own system is preferred, and there is a maintained one behind it."""
    assert NAMES[0] == "ubuntu-18.04"
    assert "debian-12" in NAMES


def test_every_folder_with_a_platform_file_is_found_in_order_of_preference(folder: Path) -> None:
    """Adding a platform is adding one folder with its file; preference alone gives the order."""
    for name, preference in (("a", 3), ("b", 1), ("c", 2)):
        add(folder, name, preference)
    (folder / "shared").mkdir()
    found = platforms.discover()
    assert list(found) == ["b", "c", "a"]
    assert found["b"] == platforms.Platform("b", "Test system", 1, "test:1", "one", ("main",), "/k.gpg", "test-keyring")


def test_auto_means_all_in_order() -> None:
    """`auto` tries every platform, the preferred one first."""
    assert [platform.name for platform in platforms.candidates("auto")] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_that_one(name: str) -> None:
    """A platform that was named is the only one that is tried."""
    assert [platform.name for platform in platforms.candidates(name)] == [name]


@pytest.mark.parametrize("name", ["debian-11", "", "Debian-12", "shared"])
def test_an_unknown_name_lists_the_valid_ones(name: str) -> None:
    """The error for a platform that is not there says which are."""
    with pytest.raises(BadInput) as caught:
        platforms.candidates(name)
    assert str(caught.value) == f"there is no platform {name!r}; use one of: auto, {', '.join(NAMES)}"


@pytest.mark.parametrize("name", NAMES)
def test_references(name: str) -> None:
    """Images are named by role and platform, and the Dockerfile is where the build context has it."""
    platform = platforms.discover()[name]
    assert platform.image("node") == f"labkit/node:{name}"
    assert (images_dir() / platform.dockerfile).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_base_in_the_dockerfile_is_the_platforms(name: str) -> None:
    """A plain `docker build` of the Dockerfile starts from the base image that labkit would take."""
    platform = platforms.discover()[name]
    assert f"ARG BASE={platform.base}" in (images_dir() / platform.dockerfile).read_text().splitlines()


def instructions(name: str) -> list[str]:
    """A Dockerfile without its first comment, and without the name of its base image."""
    lines = (images_dir() / name / "Dockerfile").read_text().splitlines()
    assert lines[0].startswith("# ")
    return ["ARG BASE" if line.startswith("ARG BASE=") else line for line in lines[1:]]


@pytest.mark.parametrize("name", NAMES[1:])
def test_platforms_differ_in_the_base_image_alone(name: str) -> None:
    """All platforms are built by the same instructions, so that what is tested on one holds on the other."""
    assert instructions(name) == instructions(NAMES[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_platforms_folder_is_small(name: str) -> None:
    """A platform is its Dockerfile and its description; whatever else a node needs is shared."""
    assert {path.name for path in (images_dir() / name).iterdir()} == {"Dockerfile", "platform.yaml"}
