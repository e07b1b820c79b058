"""A class: class up, status, grade, down."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labkit.cli import reading
from labkit.cli.common import (
    RUNS,
    JsonOption,
    LangOption,
    PlatformOption,
    RunsOption,
    answer,
    err,
    leave,
    out,
    progress,
    worst,
)
from labkit.cli.show import markup
from labkit.cli.teaching import tell_grades
from labkit.cluster import lifecycle, lock
from labkit.course import classroom, grading, handout, roster
from labkit.course.classroom import Bench, Looked, Order
from labkit.engine import Engine
from labkit.errors import BadInput, LabkitError, NotAvailable
from labkit.exercises import exercise
from labkit.language import Language, Text, choose
from labkit.spec import Spec
from labkit.store import RunFolder

FIRST = "first-pair"
GRADES = "grades.csv"

app = typer.Typer(
    no_args_is_help=True,
    help="A pair for each student of a class: bring them `up`, see their `status`, `grade` them, take them `down`.\n\n"
    "Example: labkit class up roster.csv",
)

ROSTER_HELP = "CSV: student, and if you like name and engine."
Roster = Annotated[Path, typer.Argument(help=ROSTER_HELP)]
RosterOrNone = Annotated[Path | None, typer.Argument(help=f"{ROSTER_HELP} Without it, whatever pairs there are.")]
ClassName = Annotated[str, typer.Option("--name", help="The class's name; its pairs are called NAME--STUDENT.")]
Contexts = Annotated[str, typer.Option("--contexts", help="Docker contexts of the engines, separated by commas.")]
Student = Annotated[str | None, typer.Option("--student", help="This one alone.")]
Parallel = Annotated[int, typer.Option("--parallel", min=1, max=32, help="So many pairs at once.")]


@app.command()
def up(
    file: Roster,
    name: ClassName = "class",
    task: Annotated[str, typer.Option("--exercise", help="What the pairs are for.")] = FIRST,
    platform: PlatformOption = None,
    contexts: Contexts = "",
    base_port: Annotated[
        int, typer.Option("--base-port", min=1024, max=65000, help="The first student's first port; ten for each.")
    ] = 20000,
    through: Annotated[
        str | None,
        typer.Option("--through", help="USER@HOST: the account on this machine by which students come in."),
    ] = None,
    privileged: Annotated[
        bool, typer.Option("--privileged", help="Privileged nodes: students are as good as root on the engine's host.")
    ] = False,
    parallel: Parallel = 2,
    anyway: Annotated[bool, typer.Option("--anyway", help="However little memory there is.")] = False,
    folder: Annotated[Path | None, typer.Option("--folder", help="For the hand-outs. Default: class-NAME.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Gives each student a pair, ports and an SSH key. What is up stays as it is, so that it can be called again.

    Example: labkit class up roster.csv --name net1 --exercise identical-haresources
    """
    enrolled = roster.read(file)
    classroom.require_name(name)
    one = exercise(task)
    classroom.require_alone(one)
    base = Spec().with_options(platform=platform, privileged=privileged)
    way = handout.Way.read(through) if through else None
    order = Order(one, base, folder or Path(f"class-{name}"), way, parallel, anyway)
    engines = _engines(name, contexts, enrolled, file)
    with progress(as_json) as shown:
        if privileged:
            shown.step("WARNING: the nodes are privileged; whoever is root there can become root on the engine's host")
        there = classroom.find(engines, name)
        stay = {
            lab: (bench.engine_name, bench.pair.spec.ports.vip_http)
            for lab, bench in there.items()
            if bench.pair is not None
        }
        wanted = classroom.places(name, enrolled, _contexts(contexts), stay, base_port)
        done = classroom.up(engines, name, wanted, there, order, shown)
    document = []
    for place in wanted:
        came = done[place.lab]
        document.append(
            {
                "student": place.student.student,
                "lab": place.lab,
                "engine": engines[place.engine].where,
                "ports": classroom.ports(place.first_port).model_dump(),
                "folder": str(order.folder / place.student.student),
                "error": str(came) if isinstance(came, LabkitError) else None,
            }
        )
    if as_json:
        answer(document)
    failed = [row for row in document if row["error"]]
    for row in failed:
        err.print(f"[red]{markup(str(row['student']))}[/red]: {markup(str(row['error']))}", soft_wrap=True)
    if not as_json:
        out.print(f"{len(document) - len(failed)} of {len(document)} pairs are up; {markup(str(order.folder))} has what"
                  " to hand out", soft_wrap=True)  # fmt: skip
    if failed:
        raise typer.Exit(NotAvailable.exit_code)


@app.command()
def status(
    file: RosterOrNone = None,
    name: ClassName = "class",
    student: Student = None,
    contexts: Contexts = "",
    parallel: Parallel = 2,
    root: RunsOption = RUNS,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Each student's pair: its state, who has the VIP, and which checks of the exercise are right. Breaks nothing.

    Example: labkit class status --name net1
    """
    language = choose(lang, os.environ)
    enrolled = roster.read(file) if file else []
    engines = _engines(name, contexts, enrolled, file)
    with progress(as_json=True) as shown:
        benches = _benches(engines, name, student)
        free = {lab: bench for lab, bench in benches.items() if lock.holder(lab, bench.engine.identity) is None}
        looks = {lab: partial(_seen, bench, root) for lab, bench in free.items()}
        seen = classroom.each(looks, parallel, lambda lab: lifecycle.changing(benches[lab].engine, lab, shown))
    rows = [_row(bench, seen.get(lab)) for lab, bench in benches.items()]
    without = [one for one in enrolled if classroom.lab_name(name, one.student) not in benches]
    rows += [_nothing(one) for one in without if student in (None, one.student)]
    if as_json:
        answer(rows)
        return
    _tell(rows, language)
    if student:
        for found in seen.values():
            if isinstance(found, tuple) and found[1]:
                reading.tell_checks(found[1].examined, language)


@app.command()
def grade(
    file: RosterOrNone = None,
    name: ClassName = "class",
    student: Student = None,
    contexts: Contexts = "",
    trials: Annotated[
        bool, typer.Option("--with-trials", help="Break pairs on purpose where an exercise asks for it; heals them.")
    ] = False,
    parallel: Parallel = 2,
    folder: Annotated[Path | None, typer.Option("--folder", help="For the grades. Default: grades-NAME.")] = None,
    root: RunsOption = RUNS,
    as_json: JsonOption = False,
) -> None:
    """Checks each student's pair, and keeps what was found as `labkit exercise submit` does: for `labkit grade`.

    Exit code 1 if something must be looked at, as for `labkit grade`; 2 if a pair could not be graded.

    Example: labkit class grade --name net1 --with-trials
    """
    place = folder or Path(f"grades-{name}")
    enrolled = roster.read(file) if file else []
    engines = _engines(name, contexts, enrolled, file)
    ungraded: list[dict[str, str]] = []
    with progress(as_json) as shown:
        benches = _benches(engines, name, student)
        handout.make_private(place)  # before anything is broken for grades that cannot be kept
        looks = {lab: partial(classroom.grade, bench, root, trials, place) for lab, bench in benches.items()}
        graded_of = classroom.each(looks, parallel, lambda lab: lifecycle.changing(benches[lab].engine, lab, shown))
        for lab, found in graded_of.items():
            seat = benches[lab].seat
            who = seat.student if seat else lab
            if isinstance(found, LabkitError):
                ungraded.append({"student": who, "why": str(found)})
            elif found.pair.withheld:
                ungraded.append({"student": who, "why": "only trials can tell the rest; say --with-trials"})
            else:
                shown.step(f"{who}: {found.verdict}")
    absent = (one for one in enrolled if classroom.lab_name(name, one.student) not in benches)
    ungraded += [{"student": one.student, "why": "has no pair"} for one in absent if student in (None, one.student)]
    graded = grading.grade(place) if any(place.glob("*.zip")) else []
    RunFolder(place).write(GRADES, grading.table(graded))
    if as_json:
        answer({"folder": str(place), "graded": [asdict(one) for one in graded], "ungraded": ungraded})
    else:
        tell_grades(graded)
        for missing in ungraded:
            err.print(f"[yellow]not graded[/yellow] {markup(missing['student'])}: {markup(missing['why'])}")
        out.print(f"{markup(str(place / GRADES))}; each STUDENT.zip beside it has the evidence", soft_wrap=True)
    leave(worst([*("fail" for one in graded if one.remarks), *("unknown" for _ in ungraded)]))


@app.command()
def down(
    file: RosterOrNone = None,
    name: ClassName = "class",
    student: Student = None,
    contexts: Contexts = "",
    as_json: JsonOption = False,
) -> None:
    """Removes the pairs of a class, whole or not; neither the roster nor any file is needed. Hand-outs and grades stay.

    Example: labkit class down --name net1
    """
    engines = _engines(name, contexts, roster.read(file) if file else (), file)
    with progress(as_json) as shown:
        removed = classroom.down(engines, name, student, shown)
    if as_json:
        answer(removed)
    elif not removed:
        out.print(f"the class {name!r} has no such pairs; nothing to remove" if student else
                  f"the class {name!r} has no pairs; nothing to remove")  # fmt: skip


# What all of them need


def _contexts(text: str) -> list[str]:
    """The engines that were named; the present one if none was."""
    named = [one.strip() for one in text.split(",")]
    if text and not all(named):
        raise BadInput(f"--contexts: {text!r} has an empty name; write them as in here,server2")
    return named


def _engines(
    name: str, contexts: str, enrolled: Sequence[roster.Enrolled] = (), file: Path | None = None
) -> dict[str, Engine]:
    """Those of --contexts, and of the roster, whose line is named where one cannot be had."""
    classroom.require_name(name)
    engines = {one: Engine.connect(one or None) for one in dict.fromkeys(_contexts(contexts))}
    for one in enrolled:
        if one.engine and one.engine not in engines:
            try:
                engines[one.engine] = Engine.connect(one.engine)
            except NotAvailable as error:
                raise NotAvailable(f"{file}:{one.line}: {error}") from error
    return engines


def _benches(engines: dict[str, Engine], name: str, student: str | None) -> dict[str, Bench]:
    """The pairs of a class, or one student's. Raises NotAvailable if there are none."""
    only = None if student is None else classroom.lab_name(name, student)
    found = {lab: bench for lab, bench in classroom.find(engines, name).items() if only in (None, lab)}
    if not found:
        whose = f"{student} has no pair in the class {name!r}" if student else f"the class {name!r} has no pairs"
        raise NotAvailable(
            f"{whose} on {', '.join(one.where for one in engines.values())}; `labkit class up` makes them"
        )
    return found


def _seen(bench: Bench, root: Path) -> tuple[list[str] | None, Looked | None]:
    """The VIP's owners and what the checks say; nothing where the pair does not run."""
    if bench.pair is None or bench.state not in ("up", "node off"):
        return None, None
    looked = classroom.look(bench, root, may_break=False)
    return bench.pair.owners(), looked


def _row(bench: Bench, seen: tuple[list[str] | None, Looked | None] | LabkitError | None) -> dict[str, Any]:
    """What `class status --json` tells of a pair. seen: None for one that another command is at work on."""
    seat, looked, owners = bench.seat, None, None
    state: str = bench.state
    if seen is None:
        state = "in use"
    elif isinstance(seen, LabkitError):
        state = f"cannot be checked: {str(seen).partition(chr(10))[0]}"
    else:
        owners, looked = seen
    return {
        "student": seat.student if seat else bench.lab.partition(classroom.BETWEEN)[2],
        "name": seat.name if seat else "",
        "lab": bench.lab,
        "engine": bench.engine.where,
        "exercise": seat.exercise if seat else None,
        "state": state,
        "vip_owners": owners,
        "ports": bench.pair.spec.ports.model_dump() if bench.pair else None,
        "verdict": looked.verdict if looked else None,
        "trials_withheld": looked.pair.withheld if looked else None,
        "checks": [reading.document(one, "en") for one in looked.examined.judged] if looked else None,
    }


def _nothing(one: roster.Enrolled) -> dict[str, Any]:
    """The same of a student of the roster who has no pair."""
    keys = ("lab", "engine", "exercise", "vip_owners", "ports", "verdict", "trials_withheld", "checks")
    return {"student": one.student, "name": one.name, "state": "missing", **dict.fromkeys(keys)}


COLUMNS = (
    Text("student", "estudiante"),
    Text("lab", "laboratorio"),
    Text("from port", "desde el puerto"),
    Text("pair", "pareja"),
    Text("VIP", "IP virtual"),
    Text("checks", "comprobaciones"),
    Text("not yet", "aún no"),
)
STATES = {
    "up": "en marcha",
    "node off": "un nodo apagado",
    "stopped": "detenida",
    "incomplete": "incompleta",
    "in use": "en uso",
    "missing": "no hay",
}
WITHHELD = Text(" (the rest takes trials)", " (lo demás requiere ensayos)")


def _tell(rows: Sequence[dict[str, Any]], language: Language) -> None:
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column.within(language), overflow="fold")
    for row in rows:
        checks = row["checks"]
        right = sum(one["verdict"] == "pass" for one in checks or ())
        rest = ", ".join(one["check"] for one in checks or () if one["verdict"] != "pass")
        withheld = WITHHELD.within(language) if row["trials_withheld"] else ""
        state = Text(row["state"], STATES.get(row["state"], row["state"])).within(language)
        table.add_row(
            markup(f"{row['student']} {row['name']}".strip()),
            row["lab"] or "",
            str(row["ports"]["vip_http"]) if row["ports"] else "",
            markup(state),
            ", ".join(row["vip_owners"] or ()),
            f"{right}/{len(checks)}" if checks is not None else "",
            rest + withheld,
        )
    out.print(table)


def register(root: typer.Typer) -> None:
    """Adds the commands."""
    root.add_typer(app, name="class")
