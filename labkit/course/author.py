"""The skeleton of a new exercise: a small one that works, to be changed bit by bit."""

import re
from pathlib import Path

from labkit.errors import BadInput, NotAvailable
from labkit.exercises import all_exercises

SKELETON = Path(__file__).with_name("skeleton.py.txt")


def write_skeleton(name: str, folder: Path) -> Path:
    """Writes NAME.py into a folder. Raises BadInput for a name that is none, or taken; NotAvailable if it cannot be
    written."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise BadInput(f"{name!r} is no name for an exercise; use small letters, digits and hyphens")
    known = all_exercises()
    if name in known:
        raise BadInput(f"there is an exercise {name!r} already; take another name")
    path = folder / f"{name.replace('-', '_')}.py"
    last = max((one.order for one in known.values()), default=0)
    text = SKELETON.read_text(encoding="utf-8").replace("@NAME@", name).replace("@ORDER@", str(last + 10))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise BadInput(f"{path} is there already; remove it, or take another name") from error
    except OSError as error:
        raise NotAvailable(f"cannot write {path}: {error.strerror}") from error
    return path
