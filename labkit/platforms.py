"""The platforms a node can run on: one folder each under images/, found by looking. Rank 2."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from labkit.errors import BadInput
from labkit.resources import images_dir


@dataclass(frozen=True)
class Platform:
    """One folder of images/ that has a platform.yaml.

    preference: the lowest that can be had is what `auto` takes. base: image to pull. suite, components, keyring: for
    bootstrapping the base with mmdebstrap where it cannot be pulled; keyring_package has the keyring on a Debian host.
    """

    name: str
    title: str
    preference: int
    base: str
    suite: str
    components: tuple[str, ...]
    keyring: str
    keyring_package: str

    @property
    def dockerfile(self) -> str:
        """Path of the Dockerfile inside the build context, which is all of images/."""
        return f"{self.name}/Dockerfile"

    def image(self, role: str) -> str:
        """Reference of this platform's image for a role: base, node or client."""
        return f"labkit/{role}:{self.name}"


def _read(folder: Path) -> Platform:
    text = yaml.safe_load((folder / "platform.yaml").read_text(encoding="utf-8"))
    bootstrap = text["bootstrap"]
    return Platform(
        name=folder.name,
        title=text["title"],
        preference=text["preference"],
        base=text["base"],
        suite=bootstrap["suite"],
        components=tuple(bootstrap["components"]),
        keyring=bootstrap["keyring"],
        keyring_package=bootstrap["keyring_package"],
    )


@cache
def discover() -> dict[str, Platform]:
    """All platforms by name, the preferred one first."""
    found = [_read(path.parent) for path in images_dir().glob("*/platform.yaml")]
    return {platform.name: platform for platform in sorted(found, key=lambda one: one.preference)}


def candidates(name: str) -> list[Platform]:
    """The platforms to try, in order: all for `auto`, otherwise the one named. Raises BadInput for no such platform."""
    platforms = discover()
    if name == "auto":
        return list(platforms.values())
    if name not in platforms:
        raise BadInput(f"there is no platform {name!r}; use one of: auto, {', '.join(platforms)}")
    return [platforms[name]]
