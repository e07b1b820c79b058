"""A class of two on real pairs: up in two goes, worked on by SSH, looked at, graded, and down without its roster."""

import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGINT

import pytest

import labkit.exercises as package
from labkit.cluster import lifecycle
from labkit.course.classroom import lab_name
from labkit.engine import Engine, create
from tests.e2e.helpers import SESSION, Running, complaint, leftovers, run_cli, swept
from tests.engines import second_engine, takes_one

pytestmark = pytest.mark.timeout(1200)  # eleven commands, and two pairs that come up one after the other

MINE = "my-own"
CLASS = f"c{SESSION}"
ANA, BEN = (lab_name(CLASS, student) for student in ("ana", "Ben"))
DONE = "/root/done"
# The skeleton's exercise with a task that is done or not however busy the machine is, and with a trial in its end, as
# some of labkit's own have.
TRIES = f"""
    done = pair.read(pair.second, "{DONE}") is not None
    if done:
        pair.trial("calm", "none")
    return {{"page": done}}
"""


@pytest.fixture
def base_port(engine: Engine) -> int:
    """Of twenty ports that are free: by chance, for other tests may look for some at the same moment."""
    ports = (20_000 + 20 * secrets.randbelow(500) for _ in range(100))
    return next(port for port in ports if not create.taken_ports(engine, range(port, port + 20)))


@pytest.fixture(autouse=True)
def here(engine: Engine, monkeypatch: pytest.MonkeyPatch, working_folder: Path) -> Iterator[Path]:
    """An author's exercise, a roster, and nothing left of the class afterwards."""
    monkeypatch.setattr(package, "__path__", list(package.__path__))
    monkeypatch.setenv("LABKIT_EXERCISES", "own")
    made = run_cli("exercise", "new", MINE, "--folder", "own")
    assert made.exit_code == 0, made.stderr
    source = Path("own/my_own.py")
    returned = """
    address = str(pair.lab.spec.nodes[pair.second].address)
    return {"page": pair.lab.answers(address, tries=5)}
"""
    text = source.read_text(encoding="utf-8")
    assert returned in text
    source.write_text(text.replace(returned, TRIES), encoding="utf-8")
    Path("roster.csv").write_text("student,name\nana,Ana\nBen,\n")
    with ExitStack() as stack:
        for lab in (ANA, BEN):
            stack.enter_context(swept(engine, lab))
        yield working_folder


def test_a_class_from_its_roster_to_its_grades(engine: Engine, base_port: int) -> None:
    """Ctrl-C in the middle of `up` leaves the pair that is whole and nothing of the other; the next one adds what is
    missing and touches nothing else. A student works with what was handed out alone. `status` and `grade` break
    nothing, and say where only a trial can tell. Without roster and hand-outs all is found, and nothing stays."""
    up = ("class", "up", "roster.csv", "--name", CLASS, "--exercise", MINE, "--base-port", str(base_port))
    first = Running(*up, "--parallel", "1")
    first.await_line(f"ana: {ANA}")
    first.send(SIGINT)
    assert first.finish().exit_code == 130, first.output
    assert leftovers(engine, BEN) == []
    anas = {part.name: part.inspect()["State"]["StartedAt"] for part in create.find_containers(engine, ANA)}

    done = run_cli(*up, "--json")
    assert done.exit_code == 0, done.stderr
    assert [(one["lab"], one["error"]) for one in done.document] == [(ANA, None), (BEN, None)]
    assert [one["ports"]["vip_http"] for one in done.document] == [base_port, base_port + 10]
    assert anas == {part.name: part.inspect()["State"]["StartedAt"] for part in create.find_containers(engine, ANA)}
    lab = lifecycle.require(engine, ANA)
    assert lab.grant == "least", "students are root on the nodes, and must not be root on the host"
    states = [part.inspect()["State"] for part in create.find_containers(engine, ANA)]
    assert not any("Health" in one for one in states), "health checks of thirty pairs would take half a core"
    other = run_cli("class", "up", "roster.csv", "--name", CLASS, "--exercise", "split-brain")
    assert f"the class '{CLASS}' is at {MINE}" in complaint(other, 3)

    _, second = lab.nodes
    typed = ["ssh", "-F", "ssh_config", second, f"touch {DONE}"]
    mended = subprocess.run(typed, cwd=f"class-{CLASS}/ana", capture_output=True, text=True, check=False)
    assert mended.returncode == 0, mended.stderr

    rows = {one["student"]: one for one in run_cli("class", "status", "--name", CLASS, "--json").document}
    assert {one: (row["state"], row["verdict"], row["trials_withheld"]) for one, row in rows.items()} == {
        "ana": ("up", "unknown", True),
        "Ben": ("up", "fail", False),
    }
    assert set(rows["ana"]["vip_owners"]) <= {*lab.nodes}
    graded = run_cli("class", "grade", "roster.csv", "--name", CLASS, "--json")
    assert graded.exit_code == 2, graded.stderr
    assert [one["student"] for one in graded.document["ungraded"]] == ["ana"]
    assert not any(Path("runs").glob("*")), "nothing was broken"

    nowhere = run_cli("class", "grade", "--name", CLASS, "--with-trials", "--folder", "roster.csv")
    assert "cannot make roster.csv" in complaint(nowhere, 4)
    assert not any(Path("runs").glob("*")), "nothing was broken for grades that cannot be kept"

    tried = run_cli("class", "grade", "--name", CLASS, "--with-trials", "--json")
    assert tried.exit_code == 0, tried.stderr
    verdicts = {one["student"]: one["verdicts"] for one in tried.document["graded"]}
    assert verdicts["Ben"] == {MINE: "fail"}
    assert verdicts["ana"][MINE] in ("pass", "unknown"), "on a very busy machine a trial may not come to its end"
    assert tried.document["ungraded"] == [], "now the trial is allowed"
    again = run_cli("grade", f"grades-{CLASS}", "--json")
    assert again.exit_code == 0, "the evidence is kept, and judged again it comes out the same"
    assert {one["student"]: one["verdicts"] for one in again.document} == verdicts

    Path("roster.csv").unlink()
    shutil.rmtree(f"class-{CLASS}")
    assert run_cli("class", "down", "--name", CLASS, "--student", "Ben").exit_code == 0
    assert leftovers(engine, BEN) == []
    assert lifecycle.require(engine, ANA).whole
    assert run_cli("class", "down", "--name", CLASS).exit_code == 0
    assert leftovers(engine, ANA) == []
    assert "has no pairs" in complaint(run_cli("class", "status", "--name", CLASS), 4)


def test_a_class_that_cannot_begin_makes_nothing(engine: Engine, base_port: int) -> None:
    """An engine that there is not, of which the roster's line is named; a hand-out's folder that cannot be made; a port
    that some program has: each is one error that says what to do, before any pair is made."""
    Path("elsewhere.csv").write_text("student,engine\nana,\nBen,nowhere\n")
    options = ("--name", CLASS, "--base-port", str(base_port))
    told = complaint(run_cli("class", "up", "elsewhere.csv", *options), 4)
    assert "elsewhere.csv:3: there is no Docker context 'nowhere'; `docker context ls`" in told
    told = complaint(run_cli("class", "up", "roster.csv", *options, "--folder", "roster.csv"), 4)
    assert "cannot make roster.csv: File exists; name another place with --folder" in told
    with socket.create_server(("127.0.0.1", base_port + 13)):
        told = complaint(run_cli("class", "up", "roster.csv", *options), 4)
    assert f"ports are taken: 127.0.0.1:{base_port + 13} (by another program on this host)" in told
    assert "--base-port" in told
    assert leftovers(engine, ANA) == leftovers(engine, BEN) == []


@takes_one
def test_a_class_over_two_engines(
    engine: Engine,
    base_port: int,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dealt out in turn, each student's pair is on its engine and nowhere else; status, grades and hand-outs are of the
    whole class, and `down` leaves nothing on either engine. With one engine alone, half of the class is found."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with second_engine(tmp_path_factory.mktemp("class") / "other", engine) as second:
        for name, url in (("one", engine.where), ("other", second.url)):
            made = ["docker", "context", "create", name, "--docker", f"host={url}"]
            subprocess.run(made, check=True, capture_output=True)
        other = Engine.connect("other")
        both = ("--name", CLASS, "--contexts", "one,other", "--json")

        up = run_cli("class", "up", "roster.csv", *both, "--base-port", str(base_port))
        assert up.exit_code == 0, up.stderr
        assert [(one["lab"], one["engine"]) for one in up.document] == [(ANA, engine.where), (BEN, second.url)]
        assert [(lab, bool(leftovers(on, lab))) for on in (engine, other) for lab in (ANA, BEN)] == [
            (ANA, True),
            (BEN, False),
            (ANA, False),
            (BEN, True),
        ]
        assert Path(f"class-{CLASS}/Ben/README.md").exists()

        seen = run_cli("class", "status", *both)
        assert [(row["student"], row["engine"], row["state"]) for row in seen.document] == [
            ("ana", engine.where, "up"),
            ("Ben", second.url, "up"),
        ]
        half = run_cli("class", "status", "--name", CLASS, "--contexts", "other", "--json")
        assert [row["student"] for row in half.document] == ["Ben"]
        graded = run_cli("class", "grade", *both)
        assert {one["student"]: one["verdicts"] for one in graded.document["graded"]} == {
            "ana": {"first-pair": "fail"},
            "Ben": {"first-pair": "fail"},
        }, graded.stderr

        down = run_cli("class", "down", *both)
        assert down.exit_code == 0, down.stderr
        assert [leftovers(on, lab) for on in (engine, other) for lab in (ANA, BEN)] == [[]] * 4
