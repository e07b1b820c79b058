"""Harm done to labkit at work: what is struck and when, drawn from a seed, and what must be true of its host then.

It all happens on a second engine, so that the engine can be killed, and every link and firewall rule of its host is
labkit's doing or its own. tests/e2e/test_chaos.py runs the points.
"""

import random
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.networks import Network

from labkit.campaign.pairs import opened
from labkit.campaign.sweep import SWEEP, Sweep
from labkit.course import record
from labkit.course.desk import Desk
from labkit.engine import LABEL
from labkit.history import read, trials
from labkit.judging import judge
from labkit.store import HISTORY, runs
from labkit.timing import wait_until
from tests.e2e.helpers import Running
from tests.engines import SecondEngine

NAME = "chaos"
OPTIONS = ("--name", NAME, "--keepalive", "200ms", "--deadtime", "1", "--ports", "auto")
QUICK = "standby"  # a fault that costs few seconds
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "up": ("up", *OPTIONS),
    "failover": ("failover", *OPTIONS, "--fault", QUICK, "--trials", "3"),
    "parallel": ("failover", *OPTIONS, "--fault", QUICK, "--trials", "4", "--parallel", "2"),
    "sweep": (
        "sweep",
        "--name",
        NAME,
        "--keepalive",
        "200ms,250ms",
        "--deadtime",
        "1",
        "--fault",
        QUICK,
        "--trials",
        "1",
    ),
    "start": ("exercise", "start", "first-pair", "--name", NAME),
    "check": ("exercise", "check"),
    "down": ("down", "--name", NAME),
}
TAKES: Mapping[str, float] = {
    **{"up": 1.0, "failover": 3.0, "parallel": 3.0, "sweep": 4.0, "start": 0.6, "check": 0.35, "down": 0.22},
}
"""How long each takes undisturbed, as a multiple of `up`, so that a slow machine is struck at the same places."""

KILL, ENGINE_KILLED, ENGINE_ENDED, CONTAINER, NETWORK, DISK = HARMS = (
    *("labkit-killed", "engine-killed", "engine-stopped", "container-removed", "network-removed", "disk-full"),
)
HAND = [*[KILL] * 7, *HARMS[1:]]  # each harm comes once in so many points
WRITING = ("failover", "parallel", "sweep", "check")  # what keeps something that a full disk can spoil


@dataclass(frozen=True)
class Point:
    """One harm to one command. share: when, as a part of the time that the command takes."""

    seed: int
    number: int
    command: str
    harm: str
    share: float

    def __str__(self) -> str:
        return f"{self.number}-{self.command}-{self.harm}"

    @property
    def random(self) -> random.Random:
        """For what can only be chosen when it is there."""
        return random.Random(f"{self.seed}/{self.number}")


def plan(seed: int, count: int) -> list[Point]:
    """The same points for the same seed, and a longer plan begins like a shorter one."""
    draw = random.Random(seed)
    points: list[Point] = []
    while len(points) < count:
        for harm in draw.sample(HAND, len(HAND)):
            command = draw.choice(WRITING if harm == DISK else tuple(COMMANDS))
            points.append(Point(seed, len(points) + 1, command, harm, draw.uniform(0.02, 0.95)))
    return points[:count]


def strike(point: Point, engine: SecondEngine, running: Running, disk: Path) -> bool:
    """Does the harm; False where the command ended before anything was there to be harmed. The engine runs again."""
    if point.harm == KILL:
        running.send(SIGKILL)
    elif point.harm == ENGINE_KILLED:
        engine.stop(SIGKILL)
        engine.start()
    elif point.harm == ENGINE_ENDED:
        engine.stop()
        engine.start()
    elif point.harm == DISK:
        fill(disk)
    else:
        remove = _remove_container if point.harm == CONTAINER else _remove_network
        return wait_until(lambda: (remove(engine, point.random), not running.alive), any, 400, "there is one")[0]
    return True


def fill(disk: Path) -> None:
    """Leaves no room on it. The file can be removed to make room again."""
    with (disk / "full").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def _remove_container(engine: SecondEngine, draw: random.Random) -> bool:
    with engine.client() as client, suppress(APIError):  # what is being made or removed may be gone by now
        there = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
        if there:
            draw.choice(sorted(there, key=_name)).remove(force=True)
            return True
    return False


def _remove_network(engine: SecondEngine, draw: random.Random) -> bool:
    with engine.client() as client, suppress(APIError):
        there = client.networks.list(filters={"label": LABEL})
        if there:
            one = draw.choice(sorted(there, key=_name))
            one.reload()
            for container in one.attrs["Containers"]:
                with suppress(NotFound):
                    one.disconnect(container, force=True)
            one.remove()
            return True
    return False


def _name(one: Container | Network) -> str:
    return str(one.name)


def host_state(engine: SecondEngine) -> tuple[list[str], list[str]]:
    """Names of links, and all firewall rules without their counters, of the engine's host.

    Each rule counts once: when two networks are made or removed at the same moment, Docker 20.10 puts its own
    `-A FORWARD -j DOCKER-USER` there twice.
    The engine's own ends of its containers' cables are left out: one that is killed while it starts a container leaves
    such a cable for ever, and containers that are left are found by objects().
    """
    links = re.findall(r"^\d+: (?!veth[0-9a-f]{7}\b)([^:@]+)", engine.inside("ip", "-o", "link"), re.MULTILINE)
    rules = [line for line in engine.inside("iptables-save").splitlines() if not line.startswith("#")]
    return sorted(links), sorted({re.sub(r" \[\d+:\d+\]$", "", rule) for rule in rules})


def objects(engine: SecondEngine) -> list[str]:
    """Everything in the engine that has labkit's label or name."""
    with engine.client() as client:
        found = [
            *(("container", one.name, one.labels) for one in client.containers.list(all=True, ignore_removed=True)),
            *(("network", one.name, one.attrs["Labels"]) for one in client.networks.list()),
            *(("volume", one.name, one.attrs["Labels"]) for one in client.volumes.list()),
        ]
    return sorted(f"{kind} {name}" for kind, name, has in found if LABEL in (has or {}) or "labkit" in str(name))


def strays(engine: SecondEngine) -> list[str]:
    """Processes of containers of the engine, or in its network namespace and not the engine itself.

    What minds a container for the engine is the engine's own once nothing runs in it: an engine that is killed while it
    removes a container leaves that process for ever.
    """
    inside = {int(pid) for pid in engine.inside("ip", "netns", "pids", engine.netns).split()}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            roots = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
            contained = any(one[4] == "/" and str(engine.folder) in " ".join(one) for one in roots)
            name = (process / "comm").read_text().strip()
            its_own = name in ("dockerd", "containerd") or (name == "containerd-shim" and not _children(process))
            if contained or (int(process.name) in inside and not its_own):
                found.append(f"{process.name} {name}")
    return found


def _children(process: Path) -> list[str]:
    return [child for children in process.glob("task/*/children") for child in children.read_text().split()]


TELLS: Mapping[str, str] = {
    "failover": r"^trial \d+ of|^report: ",  # the next one begins, or the end is told
    "parallel": r"trial \d+ of \d+ is done",
    "sweep": r"^\*   (?:pass|fail|unknown): ",  # a cell, which has one trial
}


def finished(command: str, said: str) -> int:
    """How many trials a command told that it had finished."""
    lines = len(re.findall(TELLS[command], said, re.MULTILINE)) if command in TELLS else 0
    return max(0, lines - 1) if command == "failover" else lines


def kept(folder: Path) -> int:
    """How many finished trials can be judged from what is on the disk under a folder of runs. Reading must not fail."""
    folders = runs(folder)
    for sweep in folder.glob(f"*/{SWEEP}"):
        done = Sweep.resumed(sweep.parent, {}).done  # by `sweep --resume`
        assert len(done) <= len(runs(sweep.parent))
        folders += runs(sweep.parent)
    count = 0
    for one in folders:
        if not any(read(history) for history in one.path.rglob(HISTORY)):
            continue  # killed before its first line
        run = opened(one.path)
        events = read(run.history)
        whole = {trial.number for trial in trials(events) if trial.of("trial-end")}
        measured = {trial["number"] for trial in judge(run)["trials"]}
        assert whole <= measured, (one.path, whole, measured)
        count += len(whole)
    return count


def desk_is_readable() -> None:
    """What a student has reached is there, and can be judged."""
    for one in record.all_records(Desk.open()):
        one.seen()
