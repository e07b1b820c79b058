"""Two users of one engine, each with a uid, a home and labs of their own: neither can touch the other's by accident."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labkit.engine import LABEL, Engine
from tests import chaos
from tests.e2e.helpers import FAST, Outcome, Running, complaint
from tests.engines import SecondEngine, second_engine, takes_one

UIDS = (4001, 4002)
LONGEST_S = 600.0

pytestmark = [
    takes_one,
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="two users take setpriv"),
    pytest.mark.timeout(4 * LONGEST_S),
]


@dataclass(frozen=True)
class User:
    """Somebody who may use the engine and nothing else of root's. told: what labkit calls them."""

    uid: int
    home: Path
    engine: SecondEngine

    @property
    def told(self) -> str:
        return f"user (uid {self.uid})"

    def start(self, *arguments: str) -> Running:
        within = [
            *("nsenter", f"--net=/var/run/netns/{self.engine.netns}"),
            *("setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--no-new-privs"),
            *(f"--{kind}-caps=-all,+dac_read_search" for kind in ("inh", "ambient")),  # Python may be in root's home
            *("env", f"--chdir={self.home}"),
        ]
        folders = {"HOME": "", "XDG_STATE_HOME": "state", "XDG_DATA_HOME": "data", "MPLCONFIGDIR": "cache"}
        env = {name: str(self.home / folder) for name, folder in folders.items()}
        return Running(*arguments, env={**env, "DOCKER_HOST": self.engine.url}, within=within)

    def run(self, *arguments: str) -> Outcome:
        return self.start(*arguments).finish(LONGEST_S)

    def must(self, *arguments: str) -> Outcome:
        done = self.run(*arguments)
        assert done.exit_code == 0, done.stdout
        return done


@pytest.fixture(scope="module")
def users(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[User, User]]:
    """Both, with the engine's socket open to them."""
    folder = tmp_path_factory.mktemp("users")
    with second_engine(folder / "engine", engine) as second:
        Path(second.url.removeprefix("unix://")).chmod(0o666)
        homes = {uid: folder / str(uid) for uid in UIDS}
        for uid, home in homes.items():
            home.mkdir(mode=0o700)
            os.chown(home, uid, uid)
        first, other = (User(uid, home, second) for uid, home in homes.items())
        yield first, other


@pytest.fixture(autouse=True)
def nothing_there(users: tuple[User, User]) -> Iterator[None]:
    """What one test leaves does not disturb the next one."""
    yield
    users[0].must("gc", "--all", "--everybody")
    assert chaos.objects(users[0].engine) == []


def _running(user: User, lab: str) -> dict[str, str]:
    """Each container of a lab, and since when it runs."""
    with user.engine.client() as client:
        there = client.containers.list(filters={"label": f"{LABEL}={lab}"})
        return {str(one.id): one.attrs["State"]["StartedAt"] for one in there}


def _owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


def test_two_labs_of_two_users_leave_each_other_alone(users: tuple[User, User]) -> None:
    """What one user removes, by down, by gc with and without --all or a name, leaves the other's lab as it is; and a
    lab whose name the other has is refused in words that say whose it is, whatever the command."""
    ana, ben = users
    ana.must("up", "--name", "anas", *FAST)
    ben.must("up", "--name", "bens", *FAST)

    theirs, running = [one for one in chaos.objects(ana.engine) if "anas" in one], _running(ana, "anas")
    for command in ("up", "failover", "down", "heal"):
        options = FAST if command in ("up", "failover") else ()
        told = complaint(ben.run(command, "--name", "anas", *options), 4)
        assert ana.told in told
        assert "--name" in told
    ben.must("gc", "--name", "anas")
    ben.must("gc")
    ben.must("gc", "--all")
    assert [one for one in chaos.objects(ana.engine) if "anas" in one] == theirs
    assert [one for one in chaos.objects(ana.engine) if "bens" in one] == []
    assert _running(ana, "anas") == running
    assert len(running) == 4

    done = ana.run("failover", "--name", "anas", "--fault", chaos.QUICK)
    assert "report: " in done.stdout  # whatever a busy machine makes of its figures
    assert _owners(ana.home) == {ana.uid}
    assert _owners(ben.home) == {ben.uid}
    ana.must("down", "--name", "anas")
    assert chaos.objects(ana.engine) == []


def test_a_class_of_another_user_is_left_alone(users: tuple[User, User]) -> None:
    """Two teachers with the same name for their classes and the same ids in them: the second one's commands find no
    pairs, and break, grade, remove and hand out nothing of the first one's; `up` says whose they are."""
    ana, ben = users
    for user in users:
        (user.home / "roster.csv").write_text("student\ntim\n")
    ana.must("class", "up", "roster.csv")
    there, running = chaos.objects(ana.engine), _running(ana, "class--tim")

    for command in (["status"], ["grade", "--with-trials"]):
        assert "the class 'class' has no pairs" in complaint(ben.run("class", *command), 4)
    assert "nothing to remove" in ben.must("class", "down").stdout
    told = complaint(ben.run("class", "up", "roster.csv", "--base-port", "21000"), 4)
    assert f"class--tim on the engine {ben.engine.url}: there is such a class of {ana.told}" in told
    assert not (ben.home / "class-class").exists()

    assert chaos.objects(ana.engine) == there
    assert _running(ana, "class--tim") == running
    ana.must("class", "down")
    assert chaos.objects(ana.engine) == []


def test_gc_of_another_user_leaves_what_is_broken_or_just_being_made(users: tuple[User, User]) -> None:
    """Half a lab is a leftover of its own user's alone: nobody else knows whether a command is at work on it."""
    ana, ben = users
    before = chaos.host_state(ana.engine)
    up = ana.start("up", "--name", "half", *FAST)
    up.await_line("starting master-cluster")
    ben.must("gc", "--all")
    done = up.finish(LONGEST_S)
    assert done.exit_code == 0, done.stdout
    with ana.engine.client() as client:
        client.containers.get("labkit-half-slave-cluster").remove(force=True)
    there = chaos.objects(ana.engine)
    assert there
    ben.must("gc")
    assert chaos.objects(ana.engine) == there
    told = ben.must("gc", "--everybody", "--dry-run").stdout
    assert "labkit-half" in told
    ana.must("gc")
    assert chaos.objects(ana.engine) == []
    assert chaos.host_state(ana.engine) == before
