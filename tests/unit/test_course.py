"""The course around the exercises: variants, the desk, records, submissions, grading. No engine."""

import json
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from labkit.course import author, grading, record, submission, verify, work
from labkit.course.desk import Attempt, Desk
from labkit.errors import BadInput, LabkitError
from labkit.exercises import Facts, Judged, Pair, Seen, Shape, Variant, all_exercises, exercise
from labkit.language import Text
from labkit.spec import Spec
from tests.unit.histories import run_event

NAME = "identical-haresources"
STUDENTS = ["", *(f"student-{number}" for number in range(40))]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


# Exercises


def test_a_course_has_an_order_in_which_it_can_be_done() -> None:
    """Whoever takes the exercises in their order has done what each one needs."""
    done: set[str] = set()
    orders = []
    for name, one in all_exercises().items():
        assert set(one.needs) <= done, name
        assert one.minutes > 0
        done.add(name)
        orders.append(one.order)
    assert len(set(orders)) == len(orders)


@pytest.mark.parametrize("name", all_exercises())
def test_texts_are_whole_in_both_languages_for_every_student(name: str) -> None:
    """Nothing empty, nothing untranslated, nothing in braces that is not known."""
    one = exercise(name)
    assert name == name.lower().replace("_", "-")
    for student in STUDENTS:
        variant = Variant(student)
        assert verify.texts(one, variant.spec(Spec(), one.shape), variant) == []


def test_what_is_wrong_with_texts_is_told() -> None:
    """An unknown word in braces, a text that was not translated, and missing hints."""
    one = exercise(NAME)
    variant = Variant()
    spec = variant.spec(Spec(), one.shape)
    bad = _Altered(one, task=Text("who is {nobody}?", "¿quién es {nobody}?"), title=Text("same", "same"), hints=())
    wrong = "\n".join(verify.texts(bad, spec, variant))
    assert "'nobody' stands in braces" in wrong
    assert "title is the same in every language" in wrong
    assert "it has no hints" in wrong


class _Altered:
    """An exercise with other texts."""

    def __init__(self, one: Any, **texts: Any) -> None:
        self._one, self._texts = one, texts

    def __getattr__(self, name: str) -> Any:
        return self._texts[name] if name in self._texts else getattr(self._one, name)


# Variants


def test_a_student_has_the_same_pair_everywhere_and_another_than_others() -> None:
    """Names, addresses and timing come from the id alone, and are valid for every shape."""
    specs = {}
    for student in STUDENTS:
        spec = Variant(student).spec(Spec(), Shape())
        assert spec == Variant(student).spec(Spec(), Shape())
        specs[student] = (tuple(spec.nodes), str(spec.network.vip))
    assert len(set(specs.values())) == len(STUDENTS)
    assert Variant().spec(Spec(), Shape()).nodes == Spec().nodes


def test_chance_of_one_purpose_does_not_disturb_another() -> None:
    """Each purpose draws from a source of its own, from its beginning."""
    one = Variant("ana")
    assert one.random("a").random() == one.random("a").random() != one.random("b").random()


# The desk


def test_a_desk_survives_the_process(home: Path) -> None:
    """Student, language, attempt with answers and hints, and what passed are found again."""
    desk = Desk.open()
    desk.belong_to("ana")
    desk.language = "es"
    desk.attempt = Attempt(NAME, "exercise", "debian-12", answers={"owner": "x"})
    desk.hints[NAME] = 2
    desk.passed["first-pair"] = "2026-01-01"
    desk.save()
    assert Desk.open() == desk


def test_a_desk_is_one_students(home: Path) -> None:
    """Another student's id is refused, and so is one that is none."""
    desk = Desk.open()
    with pytest.raises(BadInput, match="is no id"):
        desk.belong_to("../ana")
    desk.belong_to("ana")
    desk.belong_to(None)
    desk.belong_to("ana")
    with pytest.raises(BadInput, match="this desk is ana's"):
        desk.belong_to("eva")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hints": {"first-pair": "two"}}, r"\(hints\.first-pair: .*integer"),
        ({"attempt": {"exercise": 7, "lab": "x", "platform": "debian-12"}}, r"\(attempt\.exercise: .*string"),
        ({"attempt": []}, r"\(attempt: "),
        ({"language": "fr"}, r"\(language: .*'en'"),
        ({"passed": None}, r"\(passed: "),
    ],
)
def test_a_damaged_desk_says_which_file_and_where(home: Path, change: dict[str, Any], said: str) -> None:
    """Whatever stands in it: no JSON, a value of another kind, or one that is none."""
    desk = Desk.open()
    desk.save()
    path = desk.folder / "desk.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=rf"desk\.json cannot be read {said}.*; remove it to begin anew"):
        Desk.open()
    path.write_text("{")
    with pytest.raises(BadInput, match=r"desk\.json cannot be read \(.*JSON"):
        Desk.open()


def test_without_an_exercise_begun_there_is_nothing_to_check(home: Path) -> None:
    with pytest.raises(BadInput, match="no exercise is begun"):
        Desk.open().working()


# Judging


def _seen(student: str = "ana", good: bool = True, runs: Any = None) -> Seen:
    one = exercise(NAME)
    spec = Variant(student).spec(Spec(platform="debian-12"), one.shape)
    first, second = spec.nodes
    line = f"{first} IPaddr2::{spec.network.vip}/24/eth0 apache2"
    lines = {first: [line], second: [line if good else line.replace(first, second, 1)]}
    facts: Facts = {"lines": lines, "settled": True, "owners": [first] if good else [first, second]}
    facts["unread"] = {first: [], second: []}
    return Seen(spec, Variant(student), facts, runs or {}, {})


def test_what_cannot_be_looked_at_is_unknown() -> None:
    """A look that fails, and a judgement that crashes, never pass."""

    def broken(_: Pair) -> Facts:
        raise LabkitError("the node is gone\nand more")

    spec = Variant().spec(Spec(), Shape())
    lab: Any = _Lab(spec)  # nothing else of a lab is asked for
    pair = Pair(lab, Variant())
    examined = work.examine(_Altered(exercise(NAME), look=broken), pair)
    assert (examined.verdict, examined.judged[0].seen.en) == ("unknown", "the node is gone")
    crashed = work.judge(exercise(NAME), Seen(spec, Variant(), {"lines": None}))
    assert [one.verdict for one in crashed] == ["unknown"]


class _Lab:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec


def test_no_checks_are_no_pass() -> None:
    assert work.Examined(_seen(), []).verdict == "unknown"


# Submissions


def _kept(home: Path, student: str = "ana", good: bool = True, says: str | None = None, run: bytes = b"") -> Path:
    """A desk with one record, submitted. says: the verdict that stands in the record, whatever is true."""
    desk = Desk(home / f"desk-{student}", student)
    desk.save()
    runs: dict[str, Any] = {}
    folder = desk.folder / "records" / NAME
    folder.mkdir(parents=True)
    if run:
        digest = sha256(run).hexdigest()
        (folder / f"{digest}.jsonl").write_bytes(run)
        runs = {"trial": {"run": "x", "sha256": digest}}
    seen = _seen(student, good)
    document = {
        "exercise": NAME,
        "student": student,
        "attempt": f"attempt of {student}",
        "hints": 1,
        "spec": seen.spec.model_dump(mode="json"),
        "facts": seen.facts,
        "answers": {},
        "runs": runs,
        "verdict": says or ("pass" if good else "fail"),
    }
    (folder / record.RECORD).write_text(json.dumps(document))
    handed_in = home / "handed-in"
    handed_in.mkdir(exist_ok=True)
    return submission.write(desk, handed_in / f"{student}.zip")


def _rewritten(path: Path, change: Callable[[str, bytes], bytes | None], more: dict[str, bytes] | None = None) -> None:
    """Changes members of a submission, as somebody with a zip program would. None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**members, **(more or {})}.items():
            if text is not None:
                archive.writestr(name, text)


def test_an_honest_submission_is_graded_without_remarks(home: Path) -> None:
    """It is judged again from its facts, with the verdict that it had."""
    _kept(home)
    (one,) = grading.grade(home / "handed-in")
    assert (one.student, one.verdicts, one.remarks) == ("ana", {NAME: "pass"}, ())
    assert one.hints == {NAME: 1}


@pytest.mark.parametrize(
    ("member", "old", "new"),
    [
        (f"{NAME}/{record.RECORD}", b'"hints": 1', b'"hints": 0'),
        (f"{NAME}/{record.RECORD}", b"pass", b"fail"),
        (submission.MANIFEST, b'"student": "ana"', b'"student": "eva"'),
        (submission.SIGNATURE, b"0", b"1"),
    ],
)
def test_an_edited_submission_is_caught(home: Path, member: str, old: bytes, new: bytes) -> None:
    """Whatever is edited, record, manifest or signature, the file counts as tampered, and nothing of it as passed."""
    path = _kept(home)
    _rewritten(path, lambda name, text: text.replace(old, new) if name == member else text)
    (one,) = grading.grade(path.parent)
    assert [remark.flag for remark in one.remarks] == ["tampered"]
    assert one.verdicts == {}


def test_members_that_come_or_go_are_caught(home: Path) -> None:
    path = _kept(home)
    _rewritten(path, lambda name, text: text, {"more/record.json": b"{}"})
    assert "more/record.json" in grading.grade(path.parent)[0].remarks[0].detail
    path.unlink()
    path = _kept(home, "eva", run=_history("eva"))
    _rewritten(path, lambda name, text: None if name.endswith("trial.jsonl") else text)
    assert "trial.jsonl" in grading.grade(path.parent)[0].remarks[0].detail


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all"])
def test_what_is_no_submission_is_unreadable(home: Path, content: bytes) -> None:
    """The others are graded all the same."""
    _kept(home)
    (home / "handed-in" / "zz.zip").write_bytes(content)
    good, bad = grading.grade(home / "handed-in")
    assert (good.remarks, [remark.flag for remark in bad.remarks]) == ((), ["unreadable"])


def test_a_verdict_that_does_not_come_out_again_is_flagged(home: Path) -> None:
    """Facts that fail under a record that says pass, signed properly: the facts count."""
    _kept(home, good=False, says="pass")
    (one,) = grading.grade(home / "handed-in")
    assert one.verdicts == {NAME: "fail"}
    assert [remark.flag for remark in one.remarks] == ["inconsistent"]


def test_somebody_elses_pair_is_flagged(home: Path) -> None:
    """A record of ana's pair, signed by eva's desk."""
    theirs = _kept(home, "ana")
    theirs.unlink()
    there = home / "desk-ana" / "records" / NAME / record.RECORD
    desk = Desk(home / "desk-eva", "eva")
    desk.save()
    (desk.folder / "records" / NAME).mkdir(parents=True)
    (desk.folder / "records" / NAME / record.RECORD).write_text(
        there.read_text().replace('"student": "ana"', '"student": "eva"')
    )
    submission.write(desk, home / "handed-in" / "eva.zip")
    (one,) = grading.grade(home / "handed-in")
    flags = {remark.flag for remark in one.remarks}
    assert "variant" in flags


def _history(student: str) -> bytes:
    spec = _seen(student).spec
    return (json.dumps({**run_event(), "spec": spec.model_dump(mode="json")}) + "\n").encode()


def test_a_trial_that_two_hand_in_is_a_duplicate(home: Path) -> None:
    """Both are told, and the one with the other's pair is told that, too."""
    history = _history("ana")
    _kept(home, "ana", run=history)
    _kept(home, "eva", run=history)
    ana, eva = grading.grade(home / "handed-in")
    assert [remark.flag for remark in ana.remarks] == ["duplicate"]
    assert {remark.flag for remark in eva.remarks} == {"duplicate", "inconsistent"}
    assert "another pair" in " ".join(remark.detail for remark in eva.remarks)


def test_one_desk_for_two_students_is_a_duplicate(home: Path) -> None:
    """The same key signed for both."""
    _kept(home, "ana")
    key = (home / "desk-ana" / "key").read_text()
    (home / "desk-eva").mkdir()
    (home / "desk-eva" / "key").write_text(key)
    _kept(home, "eva")
    for one in grading.grade(home / "handed-in"):
        assert [(remark.flag, remark.exercise) for remark in one.remarks] == [("duplicate", "")]


def test_one_student_may_submit_twice(home: Path) -> None:
    _kept(home)
    (home / "handed-in" / "again.zip").write_bytes((home / "handed-in" / "ana.zip").read_bytes())
    assert [one.remarks for one in grading.grade(home / "handed-in")] == [(), ()]


def test_a_table_takes_no_formula_from_a_student(home: Path) -> None:
    """What a spreadsheet would run is text there."""
    _kept(home)
    (home / "handed-in" / "=cmd.zip").write_bytes(b"")
    assert "\n,'=cmd.zip," in grading.table(grading.grade(home / "handed-in"))


def test_nothing_to_submit_or_to_grade_is_said(home: Path) -> None:
    with pytest.raises(BadInput, match="nothing was checked yet"):
        submission.write(Desk(home / "empty", "ana"), home / "ana.zip")
    with pytest.raises(BadInput, match="holds no submissions"):
        grading.grade(home / "nowhere")


def test_a_submission_needs_a_student(home: Path) -> None:
    with pytest.raises(BadInput, match="needs a student's id"):
        _kept(home, "")


def test_a_private_key_is_the_users_alone(home: Path) -> None:
    _kept(home)
    assert (home / "desk-ana" / "key").stat().st_mode & 0o077 == 0


# Authors


def test_a_skeleton_is_an_exercise(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found in the folder that LABKIT_EXERCISES names, comes last, and its texts are whole."""
    folder = home / "own"
    author.write_skeleton("my-first-one", folder)
    with pytest.raises(BadInput, match="is there already"):
        author.write_skeleton("my-first-one", folder)
    import labkit.exercises as package

    monkeypatch.setattr(package, "__path__", list(package.__path__))
    monkeypatch.setenv("LABKIT_EXERCISES", str(folder))
    one = exercise("my-first-one")
    assert list(all_exercises())[-1] == "my-first-one"
    assert verify.texts(one, Variant().spec(Spec(), one.shape), Variant()) == []
    with pytest.raises(BadInput, match="already; take another name"):
        author.write_skeleton("my-first-one", home / "elsewhere")


@pytest.mark.parametrize("name", ["", "Upper", "two words", "../up", "-x", "x-"])
def test_a_name_that_is_none_is_refused(home: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is no name for an exercise"):
        author.write_skeleton(name, home)
    assert not list(home.glob("*.py"))


def test_judgements_are_told_in_both_languages() -> None:
    """What every check of the model exercise says differs from English to Spanish only in words."""
    judged: list[Judged] = exercise(NAME).judge(_seen(good=False))
    assert {one.check: one.verdict for one in judged} == {
        "same-on-both": "fail",
        "files-read": "pass",
        "one-owner": "fail",
    }
    assert all(one.expected.en != one.expected.es for one in judged)


def test_files_that_heartbeat_has_not_read_are_not_done() -> None:
    """A file that was mended after the daemon's start counts for nothing: the pair still runs with the old one."""
    seen = _seen()
    first, second = seen.spec.nodes
    late = Seen(seen.spec, seen.variant, {**seen.facts, "unread": {first: [], second: ["/etc/ha.d/haresources"]}})
    assert work.Examined(seen, work.judge(exercise(NAME), seen)).verdict == "pass"
    judged = {one.check: one for one in work.judge(exercise(NAME), late)}
    assert judged["files-read"].verdict == "fail"
    assert "/etc/ha.d/haresources" in judged["files-read"].seen.en
