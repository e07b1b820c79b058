"""The lock on a lab: one process at a time, waiting told, nothing left, and no crash that leaves it stuck."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labkit.cluster import access, lock
from labkit.progress import Silent
from labkit.resources import locks_dir, state_dir
from labkit.timing import wait_until

ROOT = Path(__file__).resolve().parents[2]
HERE = "here"  # an engine's identity
HOLDER = """
import sys
from labkit.cluster import lock

class Told:
    def step(self, text):
        print(text, flush=True)

with lock.held(sys.argv[1], "here", Told()):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@contextmanager
def holding(lab: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that takes the lock, and gives it back when its standard input ends."""
    command = [sys.executable, "-c", HOLDER, lab]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_second_waits_for_the_first_and_says_for_whom() -> None:
    """It goes on when the first is done; whoever asks is told the process and what it runs."""
    with holding("lab") as first:
        assert line_of(first) == "held"
        assert f"process {first.pid}, `labkit lab`" in str(lock.holder("lab", HERE))
        with holding("lab") as second:
            assert line_of(second) == (
                f"the lab 'lab' is in use by process {first.pid}, `labkit lab`: waiting until it ends"
            )
            first.communicate("")
            assert line_of(second) == "held"
            assert f"process {second.pid}" in str(lock.holder("lab", HERE))


def test_a_killed_holder_leaves_nothing_stuck() -> None:
    """After SIGKILL the one that waits has the lock, and so has a later one, although the file is still there."""
    with holding("lab") as first, holding("lab") as second:
        taken = {line_of(first), line_of(second)}
        assert "held" in taken
        owner, other = (first, second) if str(first.pid) in str(lock.holder("lab", HERE)) else (second, first)
        owner.send_signal(signal.SIGKILL)
        assert line_of(other) == "held"
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert lock.holder("lab", HERE) is None
    assert [file.name for file in locks_dir().iterdir()] == ["lab@here.lock"]
    with lock.held("lab", HERE, Silent()):
        pass
    assert not locks_dir().exists()


def test_labs_do_not_wait_for_each_other_nor_a_command_for_itself() -> None:
    """Another lab's lock is another one, also that of the same name on another engine, and inside one's own there is
    nothing to wait for."""
    with holding("other") as other, lock.held("lab", HERE, Silent()), lock.held("lab", HERE, Silent()):
        assert line_of(other) == "held"
        assert lock.holder("lab", HERE) is None
        assert lock.holder("other", HERE) is not None
        with lock.held("other", "elsewhere", Silent()):
            pass
    assert lock.holder("other", HERE) is None


def test_many_take_turns() -> None:
    """However many want it at once, each gets it in the end, and nothing is left."""
    with holding("lab") as first:
        line_of(first)
        waiting = [subprocess.Popen([sys.executable, "-c", HOLDER, "lab"], cwd=ROOT, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, text=True) for _ in range(3)]  # fmt: skip
        for one in waiting:
            assert "waiting" in line_of(one)
        first.communicate("")
        assert {one.communicate(timeout=60)[0].splitlines()[-1] for one in waiting} == {"held"}
    wait_until(locks_dir().exists, lambda there: not there, 10, "the folder of the locks is gone")


@pytest.mark.parametrize("name", ["..", "../..", "*", ".", "/", "a/../.."])
def test_a_name_leads_nowhere_else(state: Path, name: str) -> None:
    """Whatever is typed for a lab's name, no folder but that lab's counts as its, and no lock lies elsewhere."""
    (state_dir() / "lab@here").mkdir(parents=True)
    assert access.folders(name, HERE) == []
    with lock.held(name, HERE, Silent()):
        assert [file.parent for file in locks_dir().iterdir()] == [locks_dir()]
    assert sorted(path.name for path in state.iterdir()) == ["labkit"]
    assert [one.lab for one in access.folders(None, HERE)] == ["lab"]
