"""What a check of an exercise found, kept so that it can be judged again: facts, answers, and the trials' histories."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import labkit
from labkit import history
from labkit.cluster import Lab
from labkit.course.desk import Attempt, Desk, now
from labkit.course.work import Examined
from labkit.errors import BadInput
from labkit.exercises import Seen, Variant
from labkit.history import Event
from labkit.spec import Spec
from labkit.store import RunFolder

RECORD = "record.json"


@dataclass(frozen=True)
class Record:
    """One check, and the files that belong to it. document: record.json. runs: name -> history, as it was written."""

    document: Mapping[str, Any]
    runs: Mapping[str, bytes]

    @property
    def exercise(self) -> str:
        return str(self.document["exercise"])

    def seen(self) -> Seen:
        """What the judgement rested on. Raises BadInput if it cannot be read, or if a history is not the one."""
        try:
            spec = Spec.model_validate(self.document["spec"])
            told = {name: dict(run) for name, run in self.document["runs"].items()}
            facts, answers = dict(self.document["facts"]), dict(self.document["answers"])
            student = str(self.document["student"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"the record of {self.document.get('exercise')!r} cannot be read: {error}") from error
        runs: dict[str, list[Event]] = {}
        for name, run in told.items():
            text = self.runs.get(name)
            if text is None or sha256(text).hexdigest() != run.get("sha256"):
                raise BadInput(f"the history of the trial {name!r} is not the one that was recorded")
            runs[name] = history.parse(text, f"{name}.jsonl")
        return Seen(spec, Variant(student), facts, runs, answers)


def keep(desk: Desk, lab: Lab, attempt: Attempt, examined: Examined, runs: Mapping[str, RunFolder]) -> Record:
    """Writes what a check found to the desk, in place of the exercise's earlier record, and returns it.

    A record that passed is only replaced by one that passes: what was reached stays reached, with its own evidence.
    """
    seen = examined.seen
    histories = {name: folder.history.read_bytes() for name, folder in runs.items()}
    told = {
        name: {"run": folder.path.name, "sha256": sha256(histories[name]).hexdigest()} for name, folder in runs.items()
    }
    document = {
        "exercise": attempt.exercise,
        "student": desk.student,
        "attempt": attempt.id,
        "began": attempt.began,
        "checked": now(),
        "hints": desk.hints.get(attempt.exercise, 0),
        "labkit": labkit.__version__,
        "platform": lab.platform,
        "network": lab.network,
        "images": lab.images(),
        "packages": lab.packages() if lab.whole else None,
        "spec": seen.spec.model_dump(mode="json"),
        "facts": seen.facts,
        "answers": dict(seen.answers),
        "runs": told,
        "verdict": examined.verdict,
        "checks": [
            {**asdict(one), "expected": one.expected.en, "seen": one.seen.en, "look": one.look.en}
            for one in examined.judged
        ],
    }
    record = Record(json.loads(json.dumps(document)), histories)
    there = load(_folder(desk, attempt.exercise))
    reached = there is not None and there.document["verdict"] == "pass" and there.document["student"] == desk.student
    if not reached or examined.verdict == "pass":
        place = RunFolder(_folder(desk, attempt.exercise))
        files = {_file(told[name]): text for name, text in histories.items()}
        for file, text in files.items():  # beside those of the record before, which is whole until it is replaced
            place.write(file, text)
        place.write_json(RECORD, document)
        for old in place.path.glob("*.jsonl"):
            if old.name not in files:
                old.unlink()
    return record


def load(folder: Path) -> Record | None:
    """A record that was kept; None if there is none. Raises BadInput if it is damaged."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Record(document, {name: (folder / _file(run)).read_bytes() for name, run in document["runs"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} cannot be read ({error}); remove {folder} and check the exercise again") from error


def all_records(desk: Desk) -> list[Record]:
    """Every exercise's record that is the present student's, by name."""
    found = (load(path.parent) for path in sorted((desk.folder / "records").glob(f"*/{RECORD}")))
    return [one for one in found if one is not None and one.document["student"] == desk.student]


def _file(run: Mapping[str, Any]) -> str:
    """Where a trial's history lies, beside its record."""
    return f"{run['sha256']}.jsonl"


def _folder(desk: Desk, exercise: str) -> Path:
    return desk.folder / "records" / exercise
