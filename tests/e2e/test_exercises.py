"""The course on real pairs: an exercise from its beginning to the grade, and the proof that exercises can be solved.

`make exercises` proves all of them; here stand the quickest ones.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit.exercises as package
from labkit.cluster import lifecycle
from labkit.engine import Engine, network
from labkit.exercises import all_exercises
from labkit.language import LANGUAGES
from tests.e2e.helpers import Running, complaint, named, run_cli, swept

MINE = "my-own"
PROVED_HERE = ("identical-haresources",)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desk of the test's own, and an author's exercise: the skeleton, which is quick."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(package, "__path__", list(package.__path__))
    monkeypatch.setenv("LABKIT_EXERCISES", "own")
    made = run_cli("exercise", "new", MINE, "--folder", "own")
    assert made.exit_code == 0, made.stderr
    return tmp_path


@pytest.fixture
def lab_name(engine: Engine) -> Iterator[str]:
    with swept(engine, named("exercise")):
        yield named("exercise")


def test_from_the_task_to_the_grade(engine: Engine, lab_name: str, desk: Path) -> None:
    """A student starts, checks too early, asks for a hint, mends the pair over SSH while `watch` looks on, is found
    again after a reboot, and submits. The teacher's table says so, and catches an edited file. Resetting brings the
    fault back, and takes nothing away."""
    begun = run_cli("exercise", "start", MINE, "--student", "ana", "--lang", "es", "--name", lab_name)
    assert begun.exit_code == 0, begun.stderr
    assert "tiene un apache2 que no responde" in begun.stdout

    def check() -> tuple[int, dict[str, object]]:
        done = run_cli("exercise", "check", "--json")
        return done.exit_code, json.loads(done.stdout)

    exit_code, told = check()
    assert (exit_code, told["verdict"]) == (1, "fail")
    hint = run_cli("exercise", "hint", "--json", "--lang", "en")
    assert json.loads(hint.stdout) == {"hints": ["Does it run? `pgrep -a apache2`"], "left": 0}

    solution = run_cli("exercise", "solution")
    assert "Estaba detenido" in solution.stdout, "the language of the start is kept"
    assert "no pregunta por 'owner'" in complaint(run_cli("exercise", "answer", "owner", "x"), 3)

    lab = lifecycle.require(engine, lab_name)
    _, second = lab.nodes
    watching = Running("exercise", "watch", "--lang", "en")
    watching.await_line("waiting for a change")
    mended = run_cli("ssh", "--name", lab_name, second, "/etc/init.d/apache2 start")
    assert mended.exit_code == 0, mended.stderr
    watched = watching.finish()
    assert watched.exit_code == 0, watched.stdout
    assert f"{MINE} is done" in watched.stdout

    for part in (*lab.nodes.values(), lab.client, lab.gateway):
        part.kill()
    links = network.host_links(engine, lab.client.image, lab_name)
    network.remove_links(engine, lab.client.image, [link.name for link in links])
    exit_code, told = check()
    assert (exit_code, told["verdict"]) == (0, "pass"), told

    submitted = run_cli("exercise", "submit", "handed-in.zip")
    assert submitted.exit_code == 0, submitted.stderr
    (desk / "class").mkdir()
    Path("handed-in.zip").rename("class/ana.zip")
    graded = run_cli("grade", "class", "--json")
    assert graded.exit_code == 0, graded.stderr
    (grades,) = json.loads(graded.stdout)
    assert (grades["student"], grades["verdicts"], grades["remarks"]) == ("ana", {MINE: "pass"}, [])

    _edit(Path("class/ana.zip"), f"{MINE}/record.json", b'"hints": 1', b'"hints": 0')
    graded = run_cli("grade", "class", "--csv", "grades.csv")
    assert graded.exit_code == 1
    assert "tampered" in Path("grades.csv").read_text()

    assert run_cli("exercise", "reset").exit_code == 0
    exit_code, told = check()
    assert (exit_code, told["verdict"]) == (1, "fail")
    done = {one["name"]: one["passed"] for one in json.loads(run_cli("exercise", "list", "--json").stdout)}
    assert done[MINE], "what was reached stays reached"

    assert run_cli("down", "--name", lab_name).exit_code == 0
    assert "ya no existe" in complaint(run_cli("exercise", "check"), 3)
    following = run_cli("exercise", "next", "--name", lab_name, "--json")
    assert following.document["exercise"] == "first-pair", following.stderr
    assert run_cli("exercise", "check").exit_code == 1


def _edit(path: Path, member: str, old: bytes, new: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert old in members[member]
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text.replace(old, new) if name == member else text)


@pytest.mark.parametrize(
    ("language", "told"), [("en", "no exercise is begun"), ("es", "no hay ningún ejercicio empezado")]
)
def test_without_an_exercise_there_is_nothing_to_check(language: str, told: str) -> None:
    """A check says what to do, in the student's language, and ends with 3."""
    assert told in complaint(run_cli("exercise", "check", "--lang", language), 3)


@pytest.mark.parametrize("student", ["", "ana"])
def test_exercises_are_proved(engine: Engine, student: str) -> None:
    """The author's and the quickest of labkit's own fail unsolved, pass solved, and leave nothing."""
    names = [MINE, *PROVED_HERE] if student else [MINE]
    proved = run_cli("exercise", "verify", *names, "--student", student, "--name", named("verify"), "--json")
    assert [(one["name"], one["wrong"]) for one in json.loads(proved.stdout)] == [(name, []) for name in names]
    assert proved.exit_code == 0


def test_a_course_is_in_both_languages() -> None:
    """`list` has every exercise, in the language asked for."""
    for language in LANGUAGES:
        listed = json.loads(run_cli("exercise", "list", "--json", "--lang", language).stdout)
        assert [one["title"] for one in listed] == [one.title.within(language) for one in all_exercises().values()]
