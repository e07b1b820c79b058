"""Chaos on ourselves: labkit killed and its surroundings broken at points drawn from a seed, on an engine of its own.

`make chaos` runs LABKIT_CHAOS points of LABKIT_SEED, or LABKIT_POINT alone of them.
"""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory

import pytest

from labkit.engine import Engine
from labkit.engine.network import link_name
from labkit.timing import SECOND, now_ns, wait_until
from tests import chaos
from tests.chaos import COMMANDS, TAKES, WRITING, Point
from tests.e2e.helpers import Outcome, Running
from tests.engines import SecondEngine, second_engine, takes_one

FEW = 620  # a seed whose first ten points have every harm and every command, and do not take long
SEED = int(os.environ.get("LABKIT_SEED", str(FEW)))
POINTS = chaos.plan(SEED, int(os.environ.get("LABKIT_CHAOS", "10")))
ALONE = os.environ.get("LABKIT_POINT")
CHOSEN = [one for one in POINTS if ALONE in (None, "", str(one.number))]
LAB_EVERY = 10  # so many points, `labkit lab` follows; after the others, `labkit up`
TRIES = 5
LONGEST_S = 600.0  # until a labkit ends by itself whose lab or engine was broken: no wait in it is longer

pytestmark = [
    takes_one,
    pytest.mark.timeout(4 * LONGEST_S),
]


@dataclass
class Ground:
    """Where the harm is done: the engine, the disk with runs and records, and the host as it was at first.

    room: a folder on another disk, which never fills. up_s: how long `up` took last."""

    engine: SecondEngine
    disk: Path
    room: Path
    env: Mapping[str, str]
    before: tuple[list[str], list[str]]
    up_s: float
    struck: Counter[tuple[str, str]]

    def start(self, *arguments: str, folder: Path | None = None) -> Running:
        """folder: where the command is given; the disk if nothing is said."""
        within = ("nsenter", f"--net=/var/run/netns/{self.engine.netns}", "env", f"--chdir={folder or self.disk}")
        return Running(*arguments, env=self.env, within=within)

    def must(self, *arguments: str, folder: Path | None = None, codes: tuple[int, ...] = (0,)) -> Outcome:
        """Runs labkit to its end, which has to be good. A machine that is too busy for a pair gets another chance: what
        a harm has left in the way would be there again."""
        for _ in range(TRIES):
            since = now_ns()
            done = self.start(*arguments, folder=folder).finish(LONGEST_S)
            took_s = (now_ns() - since) / SECOND
            if "gave up after" not in done.stdout:
                break
        assert done.exit_code in codes, f"labkit {' '.join(arguments)} ended with {done.exit_code}:\n{done.stdout}"
        if arguments == COMMANDS["up"] and "is up already" not in done.stdout:
            self.up_s = took_s
        return done


@pytest.fixture(scope="module")
def ground(engine: Engine) -> Iterator[Ground]:
    # not in pytest's own folder, which other sessions clear up, and move away with all that is mounted there
    with TemporaryDirectory(prefix="labkit-chaos-") as temporary, _tmpfs(Path(temporary, "disk")) as disk:
        folder = disk.parent
        with second_engine(folder / "engine", engine) as second, pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_DATA_HOME", str(disk / "data"))
            env = {"DOCKER_HOST": second.url, "XDG_STATE_HOME": str(folder / "state")}
            one = Ground(second, disk, folder, env, chaos.host_state(second), 0.0, Counter())
            (folder / "lab.yaml").write_text("timing: {keepalive: 200ms, deadtime: 1}\n")
            one.must(*COMMANDS["up"])
            yield one
            one.must("gc", "--all")
            told = [f"{count} x {command}, {harm}" for (command, harm), count in sorted(one.struck.items())]
            print(
                f"\nseed {SEED}: {sum(one.struck.values())} points struck; up takes {one.up_s:.1f} s", *told, sep="\n"
            )


@contextmanager
def _tmpfs(place: Path) -> Iterator[Path]:
    """A small disk of its own."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)  # an interrupted test may leave a labkit there


def test_a_few_points_have_every_harm() -> None:
    """`make test` leaves no kind of harm out, nor a command."""
    few = chaos.plan(FEW, 10)
    assert {one.harm for one in few} == set(chaos.HARMS)
    assert {one.command for one in few} == set(COMMANDS)


@pytest.mark.parametrize("point", CHOSEN, ids=str)
def test_nothing_is_left_and_nothing_lost(point: Point, ground: Ground) -> None:
    """Whatever is struck: a labkit that lives ends with at most one clear error, gc leaves nothing in the engine or on
    its host, no trial that was told to be finished is lost, and the next lab comes up."""
    runs = ground.disk / str(point.number)
    print(f"\nagain: make chaos SEED={point.seed} POINT={point.number}")
    _prepare(point, ground)
    running = ground.start(*COMMANDS[point.command], *(("--runs", str(runs)) if point.command in WRITING else ()))
    _strike_in_time(point, ground, running)
    done = running.finish(LONGEST_S)
    print(f"{point} at {point.share:.2f}: exit code {done.exit_code}")
    (ground.disk / "full").unlink(missing_ok=True)
    if done.exit_code != -SIGKILL:
        _assert_ended_well(done)

    ground.must("gc", "--all")
    assert chaos.objects(ground.engine) == []
    assert chaos.host_state(ground.engine) == ground.before
    state = Path(ground.env["XDG_STATE_HOME"]) / "labkit"
    assert not state.exists() or list(state.iterdir()) == []
    wait_until(lambda: chaos.strays(ground.engine), lambda found: not found, 120, "no process is left")

    said = chaos.finished(point.command, done.stdout)
    assert chaos.kept(runs) >= said, done.stdout
    chaos.desk_is_readable()
    _assert_next_lab_works(point, ground)


def test_a_link_that_got_no_mark_is_found(ground: Ground) -> None:
    """An engine that is killed between making a link and marking it leaves one that says of no lab. gc finds it by its
    name, and so does the next `up`, which would take it for a whole bridge."""
    ground.must(*COMMANDS["down"])
    ground.engine.inside("ip", "link", "add", link_name("some"), "type", "bridge")
    ground.must("gc")
    ground.engine.inside("ip", "link", "add", link_name(chaos.NAME), "type", "bridge")
    ground.must(*COMMANDS["up"])
    assert f"{link_name(chaos.NAME)}s" in chaos.host_state(ground.engine)[0]
    ground.must("gc", "--all")
    assert chaos.host_state(ground.engine) == ground.before


def _prepare(point: Point, ground: Ground) -> None:
    """What the command needs to begin with. The proof of the point before has mostly left a lab: `failover` takes it,
    `start` replaces it, and a sweep's labs have other names."""
    if point.command == "up":
        ground.must(*COMMANDS["down"])
    elif point.command == "down":
        ground.must(*COMMANDS["up"])
    elif point.command == "check":
        ground.must(*COMMANDS["start"])


def _strike_in_time(point: Point, ground: Ground, running: Running) -> None:
    """Counts it as struck if the command was still at work."""
    at_ns = now_ns() + int(point.share * TAKES[point.command] * ground.up_s * SECOND)
    wait_until(lambda: (not running.alive, now_ns() >= at_ns), any, LONGEST_S, "it is time", every_s=0.01)
    if running.alive and chaos.strike(point, ground.engine, running, ground.disk):
        ground.struck[point.command, point.harm] += 1


def _assert_ended_well(done: Outcome) -> None:
    """It ended by itself: with what it was to do, or with one error that says what is wrong."""
    told = done.stdout
    assert done.exit_code in (0, 1, 2, 3, 4), told
    assert "Traceback" not in told
    assert "mistake of labkit's own" not in told, told
    errors = len(re.findall(r"^labkit: ", told, re.MULTILINE))
    assert errors <= 1, told
    if done.exit_code > 2:
        assert errors or "error: " in told, told  # a sweep tells it with its cell


def _assert_next_lab_works(point: Point, ground: Ground) -> None:
    if point.number % LAB_EVERY:
        ground.must(*COMMANDS["up"])
        return
    # a busy machine may miss the predicted band or the probe's cadence; what counts is that a failover was measured
    done = ground.must("lab", "--down", "--ports", "auto", folder=ground.room, codes=(0, 1, 2))
    assert "served by slave-cluster" in done.stdout
    assert "report: " in done.stdout
