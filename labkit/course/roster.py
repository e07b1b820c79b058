"""A class's roster: a CSV file of its students, read and refused with line numbers."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labkit.course.desk import ID
from labkit.errors import BadInput

STUDENT, NAME, ENGINE = COLUMNS = ("student", "name", "engine")


@dataclass(frozen=True)
class Enrolled:
    """A line of the roster. student: an id. name: as people say it, or empty. engine: the Docker context that shall
    have the pair, or empty. line: where it stands, for errors."""

    student: str
    name: str = ""
    engine: str = ""
    line: int = field(default=0, compare=False)


def read(path: Path) -> list[Enrolled]:
    """The students in the order of the file. Its first line names the columns; commas or semicolons part them.

    Raises BadInput with every line that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark in front
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 ({error.reason} at byte {error.start}); save it as CSV UTF-8") from error
    first = text.partition("\n")[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first and "," not in first else ",")
    try:
        rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines]
    except csv.Error as error:
        raise BadInput(f"{path}:{lines.line_num}: {error}") from error
    head = [cell.lower() for cell in rows[0][1]] if rows else []
    if STUDENT not in head or not set(head) <= set(COLUMNS) or len(set(head)) < len(head):
        raise BadInput(
            f"{path}:1: the first line must name the columns: {STUDENT}, and if you like {NAME} and {ENGINE}, parted by"
            f" commas or semicolons; it is {first.strip()[:80]!r}"
        )
    there, wrong = _checked(head, [(number, row) for number, row in rows[1:] if any(row)])
    if wrong:
        raise BadInput("\n".join([f"{path} has {len(wrong)} wrong {'lines' if len(wrong) > 1 else 'line'}:", *wrong]))
    if not there:
        raise BadInput(f"{path} has no students; write one a line, below the columns")
    return there


def _checked(head: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]]) -> tuple[list[Enrolled], list[str]]:
    """The students, and what is wrong with which lines."""
    there: list[Enrolled] = []
    wrong: list[str] = []
    lines: dict[str, int] = {}
    for number, row in rows:
        if len(row) > len(head):
            wrong.append(f"line {number}: {len(row)} cells for {len(head)} columns")
            continue
        one = Enrolled(**dict(zip(head, row, strict=False)), line=number)
        # folders are called by it, on file systems of any kind
        if not ID.fullmatch(one.student) or one.student.startswith((".", "-")):
            wrong.append(
                f"line {number}: {one.student!r} is no id; use up to 64 letters, digits and . _ @ -, with neither . nor"
                " - in front"
            )
            continue
        earlier = lines.setdefault(one.student.casefold(), number)
        if earlier != number:
            wrong.append(f"line {number}: {one.student!r} is on line {earlier} already, capitals aside")
            continue
        there.append(one)
    return there, wrong
