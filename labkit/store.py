"""Run folders: everything that a run leaves, and all that is needed to judge it again. Rank 6.

history.jsonl   what happened                    spec.yaml, rendered/   what was run
capture.pcap    what was on the wire             logs/                  the nodes' own logs
result.json, report.md, report.html, junit.xml   what was made of it
"""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from labkit.errors import BadInput, LabkitError, NotAvailable

HISTORY = "history.jsonl"
RESULT = "result.json"
CAPTURE = "capture.pcap"
PARTS = "pairs"  # where several pairs share a run, a folder for each of them stands in this one


class RunFolder:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path, what: str) -> "RunFolder":
        """A new folder under root, named by the time and what is run. Raises NotAvailable if it cannot be written."""
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        path = root / f"{stamp}-{plain(what)}-{secrets.token_hex(2)}"
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise NotAvailable(f"cannot make the run folder {path}: {error.strerror}; use --runs FOLDER") from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Raises BadInput if it is no run folder."""
        if not (path / HISTORY).is_file():
            raise BadInput(f"{path} is no run folder: it has no {HISTORY}; `labkit runs` lists those that are")
        return cls(path)

    def part(self, name: str) -> "RunFolder":
        """A run folder inside this one, for a share of the run. Raises NotAvailable if it cannot be written."""
        path = self.path / name
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise NotAvailable(f"cannot make the folder {path}: {error.strerror}; use --runs FOLDER") from error
        return RunFolder(path)

    @property
    def history(self) -> Path:
        return self.path / HISTORY

    def write(self, name: str, text: str | bytes) -> None:
        """Writes one file, folders included, whole or not at all. Raises NotAvailable where there is no room."""
        path = self.path / name
        unfinished = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(text.encode() if isinstance(text, str) else text)
            unfinished.replace(path)
        except OSError as error:
            raise NotAvailable(f"cannot write {path}: {error.strerror}") from error

    def write_json(self, name: str, document: Any) -> None:
        self.write(name, json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def rendered(self) -> dict[str, str]:
        """The files that the nodes ran with: NODE/path -> text."""
        root = self.path / "rendered"
        found = sorted(path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_text(encoding="utf-8", errors="replace") for path in found}

    def result(self) -> dict[str, Any] | None:
        """result.json, or None for a run that was cut short."""
        try:
            document = json.loads((self.path / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None


def plain(what: str) -> str:
    """What a folder may be called: a fault's parameters have characters that archives refuse."""
    return re.sub(r"[^\w.-]", "-", what)


@contextmanager
def as_written(file: str | Path) -> Iterator[None]:
    """Around work that takes a file's values for what labkit writes. Where they are not, BadInput names the file."""
    try:
        yield
    except LabkitError:
        raise
    except Exception as error:  # whoever edits a file can put anything anywhere
        raise BadInput(
            f"{file} holds what labkit does not write, so nothing can be made of it ({type(error).__name__}: {error})."
            " If nobody has changed it, please report that."
        ) from error


def runs(root: Path) -> list[RunFolder]:
    """All run folders under root, the oldest first; none if there is no root."""
    whole = {path.parent for path in root.glob(f"*/{HISTORY}")}
    in_parts = {path.parents[2] for path in root.glob(f"*/{PARTS}/*/{HISTORY}")}  # all that a killed run may have
    return [RunFolder(path) for path in sorted(whole | in_parts)]
