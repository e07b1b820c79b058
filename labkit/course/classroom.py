"""A class: a pair for each student, on one engine or several, found again by their labels alone.

A pair is the lab CLASS--ID, whose client carries a label that says whose it is. Nothing else is kept of a class.
"""

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, TypeVar

from labkit.cluster import Lab, lifecycle, lock
from labkit.cluster.lab import helper_name
from labkit.course import handout, record, submission, work
from labkit.course.desk import Attempt, Desk
from labkit.course.roster import Enrolled
from labkit.course.work import Examined
from labkit.engine import LABEL, USER, Engine, Leftover, create, images
from labkit.errors import BadInput, LabkitError, NotAvailable
from labkit.exercises import Exercise, Pair, Variant, exercise
from labkit.progress import Progress, Silent
from labkit.spec import Ports, Spec

T = TypeVar("T")
State = Literal["up", "node off", "stopped", "incomplete"]

SEAT = "labkit.seat"
BETWEEN = "--"
CLASS = re.compile(r"[a-z0-9](-?[a-z0-9])*")  # without BETWEEN, which ends it in a lab's name
LONGEST_CLASS, LONGEST_LAB = 12, 31
PORTS_EACH, LAST_PORT = 10, 65535
# Of the engine's host. `make benchmark-class` measured 52 MiB for a pair and what the engine runs for it; the rest is
# for the student's sessions, a trial's probe and the kernel.
PAIR_MIB = 80
LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Seat:
    """Whose pair it is and what it is for, as its label says. attempt, began: see desk.Attempt."""

    student: str
    name: str
    exercise: str
    attempt: str
    began: str


@dataclass(frozen=True)
class Bench:
    """What is there of a student's pair. pair: None unless all its parts are. engine_name: as it was asked for."""

    lab: str
    engine: Engine
    engine_name: str
    seat: Seat | None
    pair: Lab | None

    @cached_property
    def state(self) -> State:
        """When it was first asked for. incomplete: a command was cut short in making it, or is at it."""
        if self.pair is None or self.seat is None or work.laid(self.pair) != self.seat.attempt:
            return "incomplete"
        if any(part.state() != "running" for part in (self.pair.client, self.pair.gateway)):
            return "stopped"
        return "up" if self.pair.whole else "node off"


@dataclass(frozen=True)
class Place:
    """Where a student's pair belongs. engine: a Docker context, or empty for the present engine."""

    student: Enrolled
    lab: str
    engine: str
    first_port: int


@dataclass(frozen=True)
class Looked:
    """What a look at a student's pair found."""

    seat: Seat
    pair: Pair
    examined: Examined

    @property
    def verdict(self) -> str:
        """Unknown where a trial would have come next, and was not allowed."""
        return "unknown" if self.pair.withheld else self.examined.verdict


@dataclass(frozen=True)
class Order:
    """What a class is to do, and how. base: platform and privileges. folder: for the hand-outs. way: see handout.

    parallel: so many pairs at once. anyway: whatever memory there is.
    """

    exercise: Exercise
    base: Spec
    folder: Path
    way: handout.Way | None = None
    parallel: int = 2
    anyway: bool = False


# Names, ports and engines


def require_name(name: str) -> str:
    """Raises BadInput for what cannot be a class's name."""
    if len(name) > LONGEST_CLASS or not CLASS.fullmatch(name):
        raise BadInput(
            f"--name: {name!r} is no name for a class; use up to {LONGEST_CLASS} small letters and digits, and single"
            " hyphens between them"
        )
    return name


def lab_name(name: str, student: str) -> str:
    """The lab of a student: CLASS--ID, where a lab can be called so; else what is left of the id, and a mark."""
    room = LONGEST_LAB - len(name) - len(BETWEEN)
    plain = re.sub(r"[^a-z0-9-]", "", student.lower())
    if plain != student or len(plain) > room:
        mark = hashlib.sha256(student.encode()).hexdigest()[:6]
        plain = f"{plain[: room - len(mark) - 1]}-{mark}"
    return f"{name}{BETWEEN}{plain}"


def class_of(lab: str) -> str | None:
    """The class to which a lab belongs, by its name; None if it belongs to none."""
    name, between, student = lab.partition(BETWEEN)
    return name if between and student else None


def ports(first: int) -> Ports:
    """A pair's ports, the first five of its range."""
    vip, *others = range(first, first + 5)
    return Ports(vip_http=vip, first_http=others[0], second_http=others[1], first_ssh=others[2], second_ssh=others[3])


def places(
    name: str,
    enrolled: Sequence[Enrolled],
    engines: Sequence[str],
    there: Mapping[str, tuple[str, int]],
    base_port: int,
) -> list[Place]:
    """Where each student's pair belongs, in the order of the roster.

    there: lab -> engine and first port of those pairs that there are: they stay where they are. The others go where the
    roster says, else to the engines in turn, and take the lowest ranges that are left, in steps of PORTS_EACH from
    base_port. Raises BadInput where the ports do not suffice.
    """
    taken = {port for _, port in there.values()}
    steps = range(base_port, LAST_PORT + 2 - PORTS_EACH, PORTS_EACH)
    # an earlier `up` may have begun at another port, so that ranges may overlap in part
    left = (port for port in steps if all(abs(port - other) >= PORTS_EACH for other in taken))
    found = []
    for number, one in enumerate(enrolled):
        lab = lab_name(name, one.student)
        engine, port = there.get(lab) or (one.engine or engines[number % len(engines)], next(left, None))
        if port is None:
            raise BadInput(
                f"--base-port: {len(enrolled)} students do not find {PORTS_EACH} ports each above {base_port}"
            )
        found.append(Place(one, lab, engine, port))
    return found


# Found by labels


def find(engines: Mapping[str, Engine], name: str) -> dict[str, Bench]:
    """Lab -> what is there of it, of all labs of a class on these engines that are this user's. Another one's class may
    have the same name."""
    found: dict[str, Bench] = {}
    for engine_name, engine in _distinct(engines).items():
        there = _parts(engine, name)
        labs = {one.lab for one in there} - {one.lab for one in there if not one.is_ours}
        found.update({lab: _bench(engine, engine_name, lab) for lab in sorted(labs)})
    return found


def _parts(engine: Engine, name: str) -> list[Leftover]:
    """The containers of all labs of classes of that name, whosever they are."""
    there = create.find_containers(engine, None)
    parts = (Leftover("container", one.name, one.labels[LABEL], one.labels.get(USER, "")) for one in there)
    return [one for one in parts if class_of(one.lab) == name]


def _distinct(engines: Mapping[str, Engine]) -> dict[str, Engine]:
    """Several contexts may name the same engine."""
    return dict({one.identity: (name, one) for name, one in engines.items()}.values())


def _bench(engine: Engine, engine_name: str, lab: str) -> Bench:
    pair = lifecycle.find(engine, lab)
    try:
        seat = Seat(**json.loads(pair.client.labels[SEAT])) if pair else None
    except (KeyError, ValueError, TypeError):
        seat = None  # somebody made it by hand, or another version did
    return Bench(lab, engine, engine_name, seat, pair)


# Up


def require_alone(one: Exercise) -> None:
    """Raises BadInput for an exercise in which the student needs labkit beside the pair."""
    if hasattr(one, "attended") or "run" in one.questions:  # something goes on outside, or a run is to be named
        raise BadInput(
            f"{one.name} needs labkit on the student's own machine, and a class's students have SSH alone; take another"
            " exercise"
        )


def require_room(engine: Engine, image: str, pairs: int) -> None:
    """Raises NotAvailable, with the figures, where the engine's host has not the memory for so many more pairs."""
    told = engine.run_helper(image, "class", ["grep", "MemAvailable", "/proc/meminfo"])
    free_mib, needed_mib = int(told.split()[1]) // 1024, pairs * PAIR_MIB
    if needed_mib > free_mib:
        raise NotAvailable(
            f"{pairs} pairs need about {needed_mib} MiB ({PAIR_MIB} each), and the host of the engine"
            f" {engine.where} has {free_mib} MiB free; spread the class over several engines (--contexts), or say"
            " --anyway"
        )


def require_ours(engine: Engine, name: str, wanted: Sequence[Place]) -> None:
    """Raises NotAvailable that names who has pairs that are called as these."""
    labs = {place.lab for place in wanted}
    theirs = {one.lab: one.user for one in _parts(engine, name) if one.lab in labs and not one.is_ours}
    if theirs:
        raise NotAvailable(
            f"{', '.join(sorted(theirs))} on the engine {engine.where}: there is such a class of"
            f" {' and '.join(sorted(set(theirs.values())))}; give yours another --name"
        )


def require_ports(engine: Engine, wanted: Sequence[Place]) -> None:
    """Raises NotAvailable that names each port that somebody has, and not what is left of that very pair."""
    asked = {
        port: f"the container {helper_name(place.lab, 'gateway')}"
        for place in wanted
        for port in ports(place.first_port).model_dump().values()
    }
    taken = {port: who for port, who in create.taken_ports(engine, list(asked)).items() if who != asked[port]}
    if taken:
        listed = ", ".join(f"127.0.0.1:{port} (by {who})" for port, who in taken.items())
        raise NotAvailable(f"ports are taken: {listed}; let the class begin elsewhere with --base-port")


def up(
    engines: Mapping[str, Engine],
    name: str,
    wanted: Sequence[Place],
    there: Mapping[str, Bench],
    order: Order,
    progress: Progress,
) -> dict[str, Lab | LabkitError]:
    """Brings up what is missing of a class, starts again what has stopped, leaves the rest as it is, and writes all
    hand-outs. Returns lab -> what became of it. Interrupted, it leaves what is whole; the next one goes on.

    wanted: see places(); there: see find(). Raises, before it begins: BadInput for a pair that is at another exercise,
    and what the require_... raise.
    """
    others = [one.seat for place in wanted if (one := there.get(place.lab)) and one.seat]
    if at_others := sorted({seat.exercise for seat in others} - {order.exercise.name}):
        raise BadInput(
            f"the class {name!r} is at {', '.join(at_others)}; `labkit class grade --name {name}` and `labkit class"
            f" down --name {name}` end that, or give the new one another --name"
        )
    missing = [place for place in wanted if place.lab not in there or there[place.lab].state == "incomplete"]
    for engine_name in dict.fromkeys(place.engine for place in missing):
        engine, here = engines[engine_name], [place for place in missing if place.engine == engine_name]
        require_ours(engine, name, here)
        built = images.ensure(engine, order.base.platform, progress)
        require_ports(engine, here)
        if not order.anyway:
            require_room(engine, built.client, len(here))
    handout.make_private(order.folder)  # before pairs are made whose keys cannot be handed out
    if missing:
        progress.step(
            f"{len(missing)} pair{'s are' if len(missing) > 1 else ' is'} to come up, {order.parallel} at a time"
        )
    making: set[str] = set()
    engine_of = {place.lab: engines[place.engine] for place in wanted}

    def seat(place: Place) -> Lab:
        engine = engines[place.engine]
        lab = _seated(engine, place, order, making)
        way = handout.way_to(engine, order.way)
        handout.write(order.folder / place.student.student, lab, order.exercise, Variant(place.student.student), way)
        progress.step(f"{place.student.student}: {lab.name} on 127.0.0.1:{place.first_port} and the next four")
        return lab

    def abandon(lab: str) -> None:
        if lab in making:
            lifecycle.remove(engine_of[lab], lab, Silent())

    seats = {place.lab: partial(seat, place) for place in wanted}
    done = each(seats, order.parallel, lambda lab: lifecycle.changing(engine_of[lab], lab, progress), abandon)
    for engine_name in dict.fromkeys(place.engine for place in wanted):
        if (way := handout.way_to(engines[engine_name], order.way)) and way.user:
            came = [(done[place.lab], place.student.student) for place in wanted if place.engine == engine_name]
            lines = [handout.door(lab, student) for lab, student in came if isinstance(lab, Lab)]
            handout.write_door(order.folder / ".".join(filter(None, (handout.DOOR, engine_name))), lines)
    return done


def _seated(engine: Engine, place: Place, order: Order, making: set[str]) -> Lab:
    """The student's pair: as it is if there is one, started again if it has stopped, else a fresh one. To be called
    with its lock held. making: has the labs that are not whole yet."""
    there = _bench(engine, place.engine, place.lab)
    if there.pair is not None and there.state != "incomplete":
        if there.state == "stopped":
            lifecycle.resume(there.pair)
        return there.pair
    one, variant = order.exercise, Variant(place.student.student)
    attempt = Attempt(one.name, place.lab, order.base.platform)
    seat = Seat(place.student.student, place.student.name, one.name, attempt.id, attempt.began)
    spec = variant.spec(order.base.with_options(name=place.lab), one.shape)
    spec = spec.model_copy(update={"ports": ports(place.first_port)})
    labels = {SEAT: json.dumps(asdict(seat))}
    making.add(place.lab)
    try:
        # nobody asks after these pairs' health, and for a class the engine's checks would take half a core
        options = lifecycle.Options(watched=False, labels=labels)
        pair = work.begin(engine, one, lambda lab: Pair(lab, variant), spec, options)
        if one.questions:
            pair.write(pair.first, handout.ANSWERS, handout.ask(one, pair.lab.spec, variant))
        work.lay_down(pair.lab, attempt)
    except BaseException:
        lifecycle.remove(engine, place.lab, Silent())  # else it would look whole to `labkit gc`
        raise
    finally:
        making.discard(place.lab)
    return pair.lab


def each(
    work_on: Mapping[str, Callable[[], T]],
    parallel: int,
    hold: Callable[[str], AbstractContextManager[None]],
    abandon: Callable[[str], object] = lambda _: None,
) -> dict[str, T | LabkitError]:
    """What each lab's work returned or raised, so many at a time, each with its lab held; one that fails, or cannot be
    held, does not keep the others from going on.

    hold: see lifecycle.changing; called by this thread, because only the main thread hears Ctrl-C. abandon: called for
    labs at work, again and again until they have ended, when the user interrupts. A lab is held until its work ended,
    whatever comes.
    """
    left = deque(sorted(work_on.items()))  # two commands that took locks in two orders could wait for each other
    going: dict[Future[T], tuple[str, ExitStack]] = {}
    done: dict[str, T | LabkitError] = {}
    try:
        with ThreadPoolExecutor(parallel) as pool:  # at whose end all work has ended
            try:
                while left or going:
                    while left and len(going) < parallel:
                        lab, act = left.popleft()
                        held = ExitStack()
                        try:
                            held.enter_context(hold(lab))
                        except NotAvailable as error:
                            done[lab] = error
                            continue
                        going[pool.submit(act)] = lab, held
                    for one in wait(going, return_when=FIRST_COMPLETED).done:
                        lab, held = going.pop(one)
                        held.close()
                        try:
                            done[lab] = one.result()
                        except LabkitError as error:
                            done[lab] = error
                        except Exception as error:  # students are root on their nodes, and may have left anything there
                            done[lab] = LabkitError(f"{type(error).__name__}: {error}")
            except BaseException:
                while not all(one.done() for one in going):
                    with suppress(KeyboardInterrupt):  # it is heard already, and what is half made shall not be left
                        for lab, _ in going.values():
                            with suppress(LabkitError):  # as of an engine that is out of reach; others may be there
                                abandon(lab)
                        wait(going, LOOK_EVERY_S)
                raise
    finally:
        for _, held in going.values():
            held.close()
    return {lab: done[lab] for lab in work_on}


# Status and grades


def look(bench: Bench, root: Path, may_break: bool) -> Looked:
    """The checks of the exercise on a student's pair. root: where trials are kept. may_break: whether any may be run.

    Raises BadInput for an exercise that there is not, NotAvailable for a pair that does not run.
    """
    if bench.pair is None or bench.seat is None or bench.state not in ("up", "node off"):
        raise NotAvailable(f"the pair is {bench.state}; `labkit class up` mends that")
    one = exercise(bench.seat.exercise)
    pair = Pair(bench.pair, Variant(bench.seat.student), runs=root, may_break=may_break)
    pair.answers.update(handout.answers(pair.read(pair.first, handout.ANSWERS) or ""))
    return Looked(bench.seat, pair, work.examine(one, pair))


def grade(bench: Bench, root: Path, may_break: bool, folder: Path) -> Looked:
    """Looks, and writes what was found as that student's submission, with what was kept there of earlier exercises;
    writes nothing where a trial was withheld. The student's desk lies in the folder, too: STUDENT/."""
    looked = look(bench, root, may_break)
    if not looked.pair.withheld:
        seat, lab = looked.seat, looked.pair.lab
        desk = Desk(folder / seat.student, seat.student)
        attempt = Attempt(seat.exercise, lab.name, lab.platform, id=seat.attempt, began=seat.began)
        record.keep(desk, lab, attempt, looked.examined, looked.pair.made)
        submission.write(desk, folder / f"{seat.student}.zip")
    return looked


# Down


def down(engines: Mapping[str, Engine], name: str, student: str | None, progress: Progress) -> list[Leftover]:
    """Removes the pairs of a class, or one student's, whole or not. Returns what was removed."""
    only = None if student is None else lab_name(name, student)

    def leftovers(engine: Engine) -> list[Leftover]:
        found = lifecycle.leftovers(engine, only)
        return [one for one in found if class_of(one.lab) == name and one.is_ours]

    removed = []
    for engine in _distinct(engines).values():
        with ExitStack() as stack:
            labs = {one.lab for one in leftovers(engine)}
            for lab in sorted(labs):
                stack.enter_context(lock.held(lab, engine.identity, progress))
            found = [one for one in leftovers(engine) if one.lab in labs] if labs else []
            if labs:
                progress.step(f"removing {', '.join(sorted(labs))}")
            lifecycle.clear(engine, found, Silent())
            removed += found
    return removed
