"""A student's desk: who it is, which exercise is begun, and what was reached. One JSON file, written whole.

The desk outlives labs and reboots. What a check found is kept beside it, see record.
"""

import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from labkit.errors import BadInput, NotAvailable
from labkit.language import Said, Text
from labkit.resources import data_dir
from labkit.store import RunFolder

ID = re.compile(r"[\w.@-]{1,64}")  # a student's


def now() -> str:
    """Wall time, as records have it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Attempt:
    """One beginning of one exercise. id: new each time, and laid down in the pair, so that neither an older pair nor
    an older result can pass for it. lab, platform, least: how the pair is made. answers: so far."""

    exercise: str
    lab: str
    platform: str
    least: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    began: str = field(default_factory=now)
    answers: dict[str, str] = field(default_factory=dict)


class _Kept(BaseModel):
    """desk.json."""

    student: str
    language: Literal["", "en", "es"]
    attempt: Attempt | None
    passed: dict[str, str]
    hints: dict[str, int]


@dataclass
class Desk:
    """student: an id, or empty. language: that the student began in, or empty. attempt: what is being worked on.
    passed: exercise -> when it first passed. hints: exercise -> how many were told, in all attempts."""

    folder: Path
    student: str = ""
    language: str = ""
    attempt: Attempt | None = None
    passed: dict[str, str] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(cls) -> "Desk":
        """This user's desk, a new one if there is none. Raises BadInput if its file is damaged."""
        folder = data_dir() / "exercises"
        path = folder / "desk.json"
        try:
            kept = _Kept.model_validate_json(path.read_bytes(), strict=True)
        except FileNotFoundError:
            return cls(folder)
        except ValidationError as error:
            what = error.errors()[0]
            where = ".".join(map(str, what["loc"]))
            reason = f"{where}: {what['msg']}" if where else what["msg"]
            raise BadInput(f"{path} cannot be read ({reason}); remove it to begin anew") from error
        except OSError as error:
            raise BadInput(f"{path} cannot be read ({error.strerror}); remove it to begin anew") from error
        return cls(folder, **dict(kept))

    def save(self) -> None:
        """Raises NotAvailable where it cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise NotAvailable(f"cannot make {self.folder}: {error.strerror}") from error
        kept = {"student": self.student, "language": self.language, "passed": self.passed, "hints": self.hints}
        RunFolder(self.folder).write_json("desk.json", {**kept, "attempt": self.attempt and asdict(self.attempt)})

    def belong_to(self, student: str | None) -> None:
        """Makes it the desk of a student. Raises BadInput if it is another one's already, or for an id that is none."""
        if student is None or student == self.student:
            return
        if not ID.fullmatch(student):
            no_id = Text(
                "--student: {student!r} is no id; use up to 64 letters, digits and . _ @ -",
                "--student: {student!r} no es un identificador; use hasta 64 letras, cifras y . _ @ -",
            )
            raise Said(no_id.filled(student=student))
        if self.student:
            taken = Text(
                "--student: this desk is {owner}'s; to begin as {student}, move {folder} out of the way",
                "--student: este escritorio es de {owner}; para empezar como {student}, aparte la carpeta {folder}",
            )
            raise Said(taken.filled(owner=self.student, student=student, folder=self.folder))
        self.student = student

    def working(self) -> Attempt:
        """The attempt that goes on. Raises BadInput if none does."""
        if self.attempt is None:
            raise Said(
                Text(
                    "no exercise is begun; `labkit exercise list` shows them, `labkit exercise start NAME` begins one",
                    "no hay ningún ejercicio empezado; `labkit exercise list` los muestra, `labkit exercise start"
                    " NOMBRE` empieza uno",
                )
            )
        return self.attempt
