"""A class without an engine: its roster, names, places and ports, what is handed out, and work on many pairs."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cluster import lifecycle, lock
from labkit.course import classroom, handout, roster, work
from labkit.course.desk import ID
from labkit.course.roster import Enrolled
from labkit.engine import LABEL, USER, Engine, create
from labkit.engine.client import this_user
from labkit.errors import BadInput, LabkitError, NotAvailable
from labkit.exercises import Variant, all_exercises, exercise
from labkit.language import LANGUAGES
from labkit.progress import Silent
from labkit.spec import Spec

NAME = "net1"
SPEC = Variant("ana").spec(Spec(), exercise("split-brain").shape)


def hold(lab: str) -> AbstractContextManager[None]:
    return lock.held(lab, "here", Silent())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "roster.csv"


def complaint(file: Path, text: str | bytes) -> str:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput) as error:
        roster.read(file)
    return str(error.value)


# The roster


@pytest.mark.parametrize(
    "text",
    [
        "student,name,engine\nana,Ana López,\nben,,server2\n",
        "\ufeffEngine;Student;Name\r\n;ana;Ana López\r\n\r\nserver2;ben;\r\n",
        'name,student,engine\n"Ana López" , ana\n,ben,server2',
    ],
    ids=["plain", "spreadsheet", "short-rows"],
)
def test_a_roster_is_read_as_spreadsheets_write_it(file: Path, text: str) -> None:
    """Columns in any order, commas or semicolons, a byte order mark, blank lines, cells left out at the end."""
    file.write_text(text, encoding="utf-8", newline="")
    assert roster.read(file) == [Enrolled("ana", "Ana López"), Enrolled("ben", "", "server2")]


def test_each_student_has_the_line_that_errors_name(file: Path) -> None:
    """The line of the file, with blank ones counted."""
    file.write_text("student,engine\n\nana,\nben,server2\n")
    assert [one.line for one in roster.read(file)] == [3, 4]


def test_all_wrong_lines_are_told_at_once(file: Path) -> None:
    """Each with its number and what is wrong; the right ones are not."""
    told = complaint(file, "student,name\nana,Ana\n../eve,\n,Nobody\nben,Ben,here,too\nANA,\n-x,\ncarl,\n").splitlines()
    assert told[0] == f"{file} has 5 wrong lines:"
    assert [line.split(":")[0] for line in told[1:]] == ["line 3", "line 4", "line 5", "line 6", "line 7"]
    assert "'../eve' is no id" in told[1]
    assert "'' is no id" in told[2]
    assert "4 cells for 2 columns" in told[3]
    assert "'ANA' is on line 2 already" in told[4]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the first line must name the columns"),
        ("ana\nben\n", "it is 'ana'"),
        ("student,mail\nana,a@b\n", "the first line must name the columns"),
        ("student,student\nana,ana\n", "the first line must name the columns"),
        ("student\n\n", "has no students"),
        (b"student\n\xe1na\n", "is not UTF-8"),
        (b"student\nana\0\n", "ana"),
    ],
)
def test_what_is_no_roster_is_refused(file: Path, text: str | bytes, told: str) -> None:
    """No header, an unknown or doubled column, nobody, other bytes: one message that names the file."""
    message = complaint(file, text)
    assert told in message
    assert str(file) in message


def test_a_roster_that_is_not_there(file: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        roster.read(file)


# Names


@given(st.from_regex(ID, fullmatch=True), st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,5}", fullmatch=True))
def test_every_student_has_a_lab(student: str, name: str) -> None:
    """Whatever the id, its lab can be called so, and its class is found again in the name."""
    lab = classroom.lab_name(classroom.require_name(name), student)
    assert Spec().with_options(name=lab).name == lab
    assert classroom.class_of(lab) == name


def test_labs_are_told_apart_and_recognised() -> None:
    """A plain id stands in the name as it is; those that would look the same get a mark. Other labs are of no class."""
    assert classroom.lab_name(NAME, "ana-2") == "net1--ana-2"
    alike = ["ana", "Ana", "an.a", "ána", "a" * 40, "a" * 41, "josé", "@"]
    assert len({classroom.lab_name(NAME, student) for student in alike}) == len(alike)
    assert [classroom.class_of(lab) for lab in ("lab", "net1-p3", "verify-20", "net1--")] == [None] * 4


@pytest.mark.parametrize("name", ["", "Net", "net--1", "-net", "net-", "a" * 13, "net 1"])
def test_what_is_no_name_for_a_class(name: str) -> None:
    """A class's name ends where its students begin."""
    with pytest.raises(BadInput, match="is no name for a class"):
        classroom.require_name(name)


# Places


def enrolled(*students: str) -> list[Enrolled]:
    return [Enrolled(*one.partition("@")[::2][:1], engine=one.partition("@")[2]) for one in students]


def test_each_has_ports_of_its_own_in_the_order_of_the_roster() -> None:
    """Ten each, five in use; no two pairs share any."""
    found = classroom.places(NAME, enrolled(*(f"s{number}" for number in range(30))), [""], {}, 20000)
    assert [place.first_port for place in found] == [20000 + 10 * number for number in range(30)]
    used = [port for place in found for port in classroom.ports(place.first_port).model_dump().values()]
    assert len(set(used)) == 150


def test_who_is_there_stays_and_others_fill_the_gaps() -> None:
    """A changed roster moves nobody; a newcomer takes the lowest range that is free."""
    there = {"net1--ben": ("server2", 20000), "net1--carl": ("", 20010)}
    found = classroom.places(NAME, enrolled("new", "carl", "ben", "last"), [""], there, 20000)
    told = [(place.student.student, place.engine, place.first_port) for place in found]
    assert told == [("new", "", 20020), ("carl", "", 20010), ("ben", "server2", 20000), ("last", "", 20030)]


def test_engines_take_turns_unless_the_roster_says_where() -> None:
    """The same roster gives the same places."""
    asked = enrolled("a", "b@big", "c", "d")
    found = classroom.places(NAME, asked, ["one", "two"], {}, 20000)
    assert [place.engine for place in found] == ["one", "big", "one", "two"]
    assert found == classroom.places(NAME, asked, ["one", "two"], {}, 20000)


@pytest.mark.parametrize("base_port", [19993, 20003, 20007, 20013])
def test_no_range_overlaps_one_that_is_there(base_port: int) -> None:
    """Whatever port the newcomers begin at: on a grid of their own they share no port with who is there already."""
    there = {"net1--a": ("", 20000), "net1--b": ("", 20010)}
    found = classroom.places(NAME, enrolled("a", "b", "c", "d"), [""], there, base_port)
    firsts = sorted(place.first_port for place in found)
    assert all(after - before >= 10 for before, after in pairwise(firsts)), firsts
    assert all(place.first_port >= base_port for place in found[2:])


def test_ports_that_do_not_suffice_are_told() -> None:
    """The last ten ports of all are the last range; who finds none makes one error of the whole class."""
    assert [one.first_port for one in classroom.places(NAME, enrolled("a", "b"), [""], {}, 65516)] == [65516, 65526]
    with pytest.raises(BadInput, match="--base-port: 3 students"):
        classroom.places(NAME, enrolled("a", "b", "c"), [""], {}, 65516)


# Whose pairs they are


ANAS, BENS = f"{NAME}--ana", f"{NAME}--ben"


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that has a part of ana's pair, which another user made, and a part of ben's, which this one did."""
    parts = [
        SimpleNamespace(name="a", role="node", labels={LABEL: ANAS, USER: "eve (uid 4321)"}),
        SimpleNamespace(name="b", role="node", labels={LABEL: BENS, USER: this_user()}),
    ]

    def find_containers(_: Engine, lab: str | None) -> list[SimpleNamespace]:
        return [one for one in parts if lab in (None, one.labels[LABEL])]

    monkeypatch.setattr(create, "find_containers", find_containers)
    return cast(Engine, SimpleNamespace(identity="here", where="unix:///shared.sock"))


def test_another_users_class_is_another_class(shared: Engine) -> None:
    """Whatever its name: only one's own pairs are found, so that nothing is looked at, graded or handed out of it."""
    assert list(classroom.find({"": shared}, NAME)) == [BENS]


def test_students_that_another_users_class_has_are_refused(shared: Engine) -> None:
    """Before anything is made, in words that say whose pairs those are; one's own are not refused."""
    both = classroom.places(NAME, enrolled("ana", "ben"), [""], {}, 20000)
    classroom.require_ours(shared, NAME, both[1:])
    with pytest.raises(NotAvailable, match=r"net1--ana on .* of eve \(uid 4321\); give yours another --name"):
        classroom.require_ours(shared, NAME, both)


def test_ports_of_ones_own_class_are_taken_too(shared: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair may take only those that are left of itself, as when `up` was cut short; other students' are told."""
    taken = {20000: f"the container labkit-{ANAS}_gateway"}
    monkeypatch.setattr(create, "taken_ports", lambda engine, asked: taken)
    classroom.require_ports(shared, classroom.places(NAME, enrolled("ana", "ben"), [""], {}, 20000))
    with pytest.raises(NotAvailable, match=f"127.0.0.1:20000 .by the container labkit-{ANAS}_gateway."):
        classroom.require_ports(shared, classroom.places(NAME, enrolled("ben", "ana"), [""], {}, 20000))


@pytest.mark.parametrize(("name", "alone"), [("split-brain", True), ("fencing", False), ("measure-a-failover", False)])
def test_exercises_that_need_labkit_at_hand_are_none_for_a_class(name: str, alone: bool) -> None:
    """Where something runs beside the pair or a run is to be named, SSH does not do."""
    if alone:
        classroom.require_alone(exercise(name))
    else:
        with pytest.raises(BadInput, match="needs labkit on the student's own machine"):
            classroom.require_alone(exercise(name))


# Hand-outs


@pytest.mark.parametrize("name", all_exercises())
@pytest.mark.parametrize("way", [None, handout.Way("gate.example", "net1")], ids=["here", "through"])
def test_the_page_tells_how_to_get_in_and_what_to_do(name: str, way: handout.Way | None) -> None:
    """In both languages, with every node, the VIP, each question's key, and nothing left in braces."""
    one, variant = exercise(name), Variant("ana")
    spec = variant.spec(Spec(), one.shape)
    page = handout.page(spec, one, variant, way)
    assert page.en != page.es
    for language in LANGUAGES:
        text = page.within(language)
        assert one.title.within(language) in text
        assert all(f"ssh -F ssh_config {node}" in text for node in spec.nodes)
        assert str(spec.network.vip) in text
        assert all(f"`{key}`" in text for key in one.questions)
        assert ("gate.example" in text) == ("-N pages" in text) == bool(way), "only who comes through needs a tunnel"


def test_answers_come_back_as_they_were_written() -> None:
    """The file that is laid down answers nothing; what is put behind its keys is read, whatever else stands there."""
    one = exercise("split-brain")
    laid = handout.ask(one, SPEC, Variant("ana"))
    assert handout.answers(laid) == {}
    keys = list(one.questions)
    written = "".join(f"{line}02:42:0a {n}\n" if line.endswith(": ") else f"{line}\n" for n, line in
                      enumerate(laid.splitlines()))  # fmt: skip
    assert list(handout.answers(written)) == keys
    assert set(handout.answers(f"{keys[0]}:  a:b \nnothing\n# {keys[1]}: x\n")) == {keys[0]}
    assert handout.answers(f"{keys[0]}:  a:b ")[keys[0]] == "a:b"


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("server", handout.Way("server")),
        ("net1@server.example", handout.Way("server.example", "net1")),
        ("net1@server:2222", handout.Way("server", "net1", 2222)),
    ],
)
def test_a_way_is_read(text: str, way: handout.Way) -> None:
    assert handout.Way.read(text) == way


@pytest.mark.parametrize("text", ["", "net1@", "a b", "server:x", "-oProxyCommand=x", "server/path", "a\nb"])
def test_what_is_no_way_is_refused(text: str) -> None:
    """Nothing else gets into a student's ssh_config."""
    with pytest.raises(BadInput, match="--through"):
        handout.Way.read(text)


# Work on many pairs


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.usefixtures("state")
def test_one_that_fails_does_not_keep_the_others() -> None:
    """Each lab has what its work returned or raised, in the order that was asked for, and no lock is left."""

    def fail(error: Exception) -> str:
        raise error

    work: dict[str, Callable[[], str]] = {
        "d": partial(fail, KeyError("link")),
        "b": partial(fail, NotAvailable("no room")),
        "a": lambda: "A",
        "c": lambda: "C",
    }
    done = classroom.each(work, 2, hold)
    assert list(done) == ["d", "b", "a", "c"]
    assert (done["a"], str(done["b"]), done["c"]) == ("A", "no room", "C")
    assert isinstance(done["d"], LabkitError), "what a student left on a node may confuse labkit, for that one alone"


@pytest.mark.usefixtures("state")
def test_no_more_work_at_once_than_was_asked_for() -> None:
    """With two at a time, two really are at work together, and never a third."""
    together = threading.Barrier(2)
    at_work, most = set(), []

    def act(name: str) -> None:
        at_work.add(name)
        together.wait(60)
        most.append(len(at_work))
        at_work.discard(name)
        together.wait(60)

    classroom.each({name: partial(act, name) for name in "abcdef"}, 2, hold)
    assert max(most) == 2
    assert len(most) == 6


@pytest.mark.usefixtures("state")
def test_an_interrupt_ends_all_and_gives_the_locks_back() -> None:
    """Labs at work are abandoned until they end, those that wait never begin, and others can have all locks."""
    release = threading.Event()
    begun, abandoned = [], []

    def wait_for_it() -> None:
        begun.append("slow")
        release.wait(60)

    def break_it() -> None:
        raise KeyboardInterrupt

    def abandon(lab: str) -> None:
        abandoned.append(lab)
        release.set()

    work = {"broken": break_it, "slow": wait_for_it, "waiting": lambda: begun.append("waiting")}
    with pytest.raises(KeyboardInterrupt):
        classroom.each(work, 2, hold, abandon)
    assert begun == ["slow"]
    assert "slow" in abandoned
    with lock.held("slow", "here", Silent()), lock.held("broken", "here", Silent()):
        pass


def test_a_pair_that_cannot_be_marked_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair that runs and is no student's yet would be whole to `labkit gc`, and stay."""
    removed, engine = [], cast(Engine, SimpleNamespace(identity="here"))

    def fail(*_: object) -> None:
        raise NotAvailable("the disk is full")

    def begin(*_: object) -> object:
        return SimpleNamespace(lab=None)

    monkeypatch.setattr(classroom, "_bench", lambda engine, name, lab: classroom.Bench(lab, engine, name, None, None))
    monkeypatch.setattr(work, "begin", begin)
    monkeypatch.setattr(work, "lay_down", fail)
    monkeypatch.setattr(lifecycle, "remove", lambda engine, lab, progress: removed.append(lab))
    (place,) = classroom.places(NAME, enrolled("ana"), [""], {}, 20000)
    order, making = classroom.Order(exercise("first-pair"), Spec(), Path("unused")), set[str]()
    with pytest.raises(NotAvailable, match="the disk is full"):
        classroom._seated(engine, place, order, making)
    assert (removed, making) == ([ANAS], set())


@pytest.mark.usefixtures("state")
def test_a_lab_that_cannot_be_held_does_not_keep_the_others() -> None:
    """As one that another user has made meanwhile: its work never begins, and its lab has the error."""

    def refuse(lab: str) -> AbstractContextManager[None]:
        if lab == "theirs":
            raise NotAvailable("it is eve's")
        return hold(lab)

    begun: list[str] = []
    done = classroom.each({lab: partial(begun.append, lab) for lab in ("theirs", "ours")}, 1, refuse)
    assert begun == ["ours"]
    assert str(done["theirs"]) == "it is eve's"
    assert done["ours"] is None


@pytest.mark.parametrize("trouble", [NotAvailable("the engine is out of reach"), KeyboardInterrupt()])
def test_a_lab_is_held_until_its_work_has_ended(trouble: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when abandoning it fails, or the user interrupts that as well: it is abandoned once more, and no other
    command comes in between."""
    release = threading.Event()
    happened: list[str] = []
    asked: list[str] = []
    troubles = [trouble]

    class Pool(ThreadPoolExecutor):
        def __exit__(self, *raised: object) -> None:
            release.set()
            super().__exit__(None, None, None)

    @contextmanager
    def note(lab: str) -> Iterator[None]:
        yield
        happened.append(f"{lab} is free")

    def abandon(lab: str) -> None:
        asked.append(lab)
        if troubles:
            raise troubles.pop()
        release.set()

    def slow() -> None:
        release.wait(60)
        happened.append("slow has ended")

    def break_it() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(classroom, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(classroom, "LOOK_EVERY_S", 0.01)
    with pytest.raises(KeyboardInterrupt):
        classroom.each({"broken": break_it, "slow": slow}, 2, note, abandon)
    assert happened == ["broken is free", "slow has ended", "slow is free"]
    assert asked[:2] == ["slow", "slow"]
