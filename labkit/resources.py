"""Where images/, compose/ and docs/ are: at the top of a checkout, or inside an installed package.

The wheel carries these folders under labkit/_data, so that `pip install` alone is enough. And where a user's labs keep
what they need on this machine, and students their progress.
"""

import os
from pathlib import Path

from labkit.errors import NotAvailable

_PACKAGE = Path(__file__).resolve().parent


def images_dir() -> Path:
    """The folder of the platforms and of the client image. Raises NotAvailable where it is missing."""
    return _find("images")


def compose_dir() -> Path:
    """The folder of the default lab as a Compose file. Raises NotAvailable where it is missing."""
    return _find("compose")


def docs_dir() -> Path:
    """The folder of the pages. Raises NotAvailable where it is missing."""
    return _find("docs")


def _find(name: str) -> Path:
    # The package first: beside an installed one lie other people's packages.
    places = [_PACKAGE / "_data" / name, _PACKAGE.parent / name]
    for place in places:
        if place.is_dir():
            return place
    sought = " and ".join(str(place) for place in places)
    raise NotAvailable(f"labkit's own folder {name}/ is missing (sought {sought}): install heartbeat-labkit again")


def state_dir() -> Path:
    """Where this user's labs keep what outlives a command: a folder for each lab, `.`-folders for work in progress."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "labkit"


def locks_dir() -> Path:
    """Where a command says which lab it is changing. Beside the labs' folders, not among them: gc leaves it alone."""
    return state_dir().with_name("labkit-locks")


def data_dir() -> Path:
    """Where this user's own work is kept: a student's progress and records. No lab's, so gc leaves it alone."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "labkit"
