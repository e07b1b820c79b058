"""A folder of submissions, verified, judged again and compared with each other."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from labkit.course import work
from labkit.course.record import Record
from labkit.course.submission import Submission, Tampered, read
from labkit.errors import BadInput
from labkit.exercises import Variant, all_exercises
from labkit.history import Event, header
from labkit.spec import Spec

Flag = Literal["tampered", "unreadable", "duplicate", "variant", "inconsistent"]


@dataclass(frozen=True)
class Remark:
    """Something that whoever grades must look at. exercise: empty where the whole submission is meant."""

    flag: Flag
    exercise: str
    detail: str


@dataclass(frozen=True)
class Graded:
    """One submission. verdicts: exercise -> pass, fail or unknown, judged again now; empty if it could not be read.

    hints: exercise -> how many were asked for. key: the desk's public key.
    """

    file: str
    student: str
    written: str
    labkit: str
    key: str
    verdicts: Mapping[str, str]
    hints: Mapping[str, int]
    remarks: tuple[Remark, ...]


def grade(folder: Path) -> list[Graded]:
    """Every submission (*.zip) under a folder, by file name. Raises BadInput if there is none."""
    paths = sorted(path for path in folder.rglob("*.zip") if path.is_file()) if folder.is_dir() else []
    if not paths:
        raise BadInput(f"{folder} holds no submissions (*.zip); `labkit exercise submit` writes them")
    graded: list[Graded] = []
    submissions: dict[str, Submission] = {}
    for path in paths:
        name = str(path.relative_to(folder))
        try:
            submissions[name] = read(path)
        except Tampered as error:
            graded.append(_unread(name, "tampered", error))
        except BadInput as error:
            graded.append(_unread(name, "unreadable", error))
        else:
            graded.append(_judged(name, submissions[name]))
    copies = _duplicates(submissions)
    return sorted(
        (replace(one, remarks=(*one.remarks, *copies.get(one.file, ()))) for one in graded), key=lambda one: one.file
    )


def _unread(name: str, flag: Flag, error: BadInput) -> Graded:
    return Graded(name, "", "", "", "", {}, {}, (Remark(flag, "", str(error)),))


def _judged(name: str, handed_in: Submission) -> Graded:
    verdicts: dict[str, str] = {}
    remarks: list[Remark] = []
    for record in handed_in.records:
        verdict, found = judge_again(record, handed_in.student)
        verdicts[record.exercise] = verdict
        remarks += found
    hints = {record.exercise: int(record.document.get("hints", 0)) for record in handed_in.records}
    return Graded(
        name,
        handed_in.student,
        handed_in.written,
        handed_in.labkit,
        handed_in.key,
        verdicts,
        hints,
        tuple(remarks),
    )


def judge_again(record: Record, student: str) -> tuple[str, list[Remark]]:
    """The verdict on a record, from its facts and histories alone, and what is odd about it."""
    name = record.exercise
    one = all_exercises().get(name)
    if one is None:
        return "unknown", [Remark("unreadable", name, "this labkit has no such exercise")]
    try:
        seen = record.seen()
    except BadInput as error:
        return "unknown", [Remark("inconsistent", name, str(error))]
    seen = replace(seen, variant=Variant(student))
    examined = work.Examined(seen, work.judge(one, seen))
    said, owner = record.document.get("verdict"), record.document.get("student")
    remarks = []
    if examined.verdict != said:
        remarks.append(Remark("inconsistent", name, f"it says {said!r}, and judged again it is {examined.verdict!r}"))
    if wrong := _wrong_variant(seen.spec, seen.variant.spec(seen.spec, one.shape)):
        remarks.append(Remark("variant", name, wrong))
    if owner != student:
        remarks.append(Remark("variant", name, f"the record is {owner!r}'s, not {student!r}'s"))
    for run, events in seen.runs.items():
        remarks += [Remark("inconsistent", name, f"trial {run!r}: {what}") for what in _odd_run(events, seen.spec)]
    return examined.verdict, remarks


def _wrong_variant(spec: Spec, own: Spec) -> str:
    """What of a pair is not the student's own, or nothing. The subnet is not asked: it may have been taken there."""
    there, wanted = (
        {
            "nodes": ", ".join(one.nodes),
            "host parts": ", ".join(str(int(address) & 0xFF) for address in _addresses(one)),
            "timing": f"{one.timing.keepalive}/{one.timing.deadtime}",
            "profile": one.profile,
        }
        for one in (spec, own)
    )
    return "; ".join(f"{what} {there[what]}, not {wanted[what]}" for what in there if there[what] != wanted[what])


def _addresses(spec: Spec) -> list[IPv4Address]:
    return [spec.network.vip, spec.network.client, *(node.address for node in spec.nodes.values())]


def _odd_run(events: Sequence[Event], spec: Spec) -> list[str]:
    """What keeps a history from being a trial on that pair."""
    try:
        ran = Spec.model_validate(header(events)["spec"])
    except (BadInput, KeyError, ValueError) as error:
        return [str(error).splitlines()[0]]
    if set(ran.nodes) != set(spec.nodes) or ran.network.vip != spec.network.vip:
        return [f"it was run on another pair: {', '.join(ran.nodes)}"]
    return []


def _duplicates(submissions: Mapping[str, Submission]) -> dict[str, list[Remark]]:
    """File -> what it shares with a submission of somebody else: a trial, an attempt, or the desk's key."""
    owners: dict[tuple[str, str, str], list[str]] = {}
    for name, one in submissions.items():
        owners.setdefault(("", "the desk's key", one.key), []).append(name)
        for record in one.records:
            owners.setdefault((record.exercise, "the attempt", str(record.document.get("attempt"))), []).append(name)
            for run, text in record.runs.items():
                owners.setdefault((record.exercise, f"the trial {run!r}", sha256(text).hexdigest()), []).append(name)
    found: dict[str, list[Remark]] = {}
    for (exercise, what, _), files in owners.items():
        for file in files:
            others = [other for other in files if submissions[other].student != submissions[file].student]
            if others:
                remark = Remark("duplicate", exercise, f"{what} is also in {', '.join(sorted(set(others)))}")
                found.setdefault(file, []).append(remark)
    return found


def table(graded: Iterable[Graded]) -> str:
    """The grades as CSV: a line for each submission, a column for each exercise, and the remarks."""
    names = list(all_exercises())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["student", "file", "written", "labkit", *names, "passed", "hints", "remarks"])
    for one in graded:
        remarks = "; ".join(f"{remark.flag} {remark.exercise}: {remark.detail}" for remark in one.remarks)
        verdicts = [one.verdicts.get(name, "") for name in names]
        writer.writerow([
            *(_harmless(cell) for cell in (one.student, one.file, one.written, one.labkit)),
            *verdicts, verdicts.count("pass"), sum(one.hints.values()), _harmless(remarks),
        ])  # fmt: skip
    return text.getvalue()


def _harmless(cell: str) -> str:
    """Text that no spreadsheet takes for a formula: it comes from students."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
