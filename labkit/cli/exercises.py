"""The exercises as a student meets them: exercise."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from operator import ne
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markdown import Markdown
from rich.table import Table

from labkit.cli.common import (
    RUNS,
    JsonOption,
    LangOption,
    LeastOption,
    PlatformOption,
    RunsOption,
    answer,
    leave,
    out,
    progress,
)
from labkit.cli.show import markup
from labkit.cluster import Lab
from labkit.course import record, submission, work
from labkit.course.desk import Attempt, Desk, now
from labkit.course.work import Examined
from labkit.engine import Engine, images
from labkit.errors import BadInput
from labkit.exercises import Exercise, Judged, Pair, Variant, all_exercises, exercise, words
from labkit.language import Language, Text, choose
from labkit.spec import Spec
from labkit.store import RunFolder
from labkit.timing import wait_until

LAB = "exercise"
LOOK_EVERY_S = 1.0
FOREVER_S = 24 * 3600.0

app = typer.Typer(
    no_args_is_help=True,
    help="Exercises on a real pair: `list` them, `start` one, mend it over SSH, `check`.\n\n"
    "Example: labkit exercise start first-pair",
)

ExerciseArgument = Annotated[str, typer.Argument(metavar="NAME", help="An exercise; `labkit exercise list` has them.")]
StudentOption = Annotated[
    str | None, typer.Option("--student", help="Your id in the class: names, addresses and faults are your own.")
]
LabOption = Annotated[str, typer.Option("--name", help="Name of the exercise's lab.")]

WORD = {
    "pass": ("green", Text("right", "bien")),
    "fail": ("red", Text("NOT YET", "AÚN NO")),
    "unknown": ("yellow", Text("cannot tell", "no se sabe")),
}
ROWS = (Text("expected", "esperado"), Text("seen", "visto"), Text("where to look", "dónde mirar"))


@app.command("list")
def list_(lang: LangOption = None, as_json: JsonOption = False) -> None:
    """All exercises, in the order of the course, and which are done.

    Example: labkit exercise list --lang es
    """
    language, desk = choose(lang, os.environ), Desk.open()
    begun = desk.attempt.exercise if desk.attempt else None
    if as_json:
        answer(
            [
                {
                    "name": one.name,
                    "title": one.title.within(language),
                    "minutes": one.minutes,
                    "needs": list(one.needs),
                    "passed": desk.passed.get(one.name),
                    "begun": one.name == begun,
                }
                for one in all_exercises().values()
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for head in ("", Text("exercise", "ejercicio"), "", Text("minutes", "minutos"), Text("needs", "requiere")):
        table.add_column(head.within(language) if isinstance(head, Text) else head, overflow="fold")
    for one in all_exercises().values():
        sign = "[green]✓[/green]" if one.name in desk.passed else "[yellow]>[/yellow]" if one.name == begun else ""
        title, needs = markup(one.title.within(language)), ", ".join(one.needs)
        table.add_row(sign, one.name, title, str(one.minutes), needs)
    out.print(table)


@app.command()
def start(
    name: ExerciseArgument,
    student: StudentOption = None,
    platform: PlatformOption = None,
    least: LeastOption = False,
    lab: LabOption = LAB,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Puts a fresh pair into the exercise's starting state, and tells the task and how to get in.

    Example: labkit exercise start identical-haresources --student ana
    """
    desk = Desk.open()
    desk.belong_to(student)
    _begin(desk, exercise(name), lab, platform, least, choose(lang, os.environ), as_json)


@app.command()
def reset(lab: LabOption = LAB, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """A fresh pair in the starting state again, whatever became of the present one.

    Example: labkit exercise reset
    """
    desk = Desk.open()
    attempt = desk.working()
    _begin(desk, exercise(attempt.exercise), lab, attempt.platform, False, choose(lang, os.environ), as_json)


@app.command("next")
def next_(
    platform: PlatformOption = None, lab: LabOption = LAB, lang: LangOption = None, as_json: JsonOption = False
) -> None:
    """Starts the first exercise of the course that is not done and whose prerequisites are.

    Example: labkit exercise next
    """
    desk = Desk.open()
    ready = (
        one for one in all_exercises().values() if one.name not in desk.passed and set(one.needs) <= {*desk.passed}
    )
    one = next(ready, None)
    language = choose(lang, os.environ)
    if one is None:
        text = Text(
            "all exercises are done; hand them in: labkit exercise submit",
            "todos los ejercicios están hechos; entréguelos: labkit exercise submit",
        )
        out.print(text.within(language))
        return
    _begin(desk, one, lab, platform, False, language, as_json)


@app.command()
def task(lab: LabOption = LAB, lang: LangOption = None) -> None:
    """Tells the task of the present exercise again.

    Example: labkit exercise task --lang es
    """
    desk = Desk.open()
    attempt = desk.working()
    one = exercise(attempt.exercise)
    with progress(as_json=False) as shown:
        found = work.find(Engine.connect(), lab, attempt, shown)
    _tell_task(one, found, _words(desk, one, found), choose(lang, os.environ))


@app.command()
def check(lab: LabOption = LAB, root: RunsOption = RUNS, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """Looks at the live pair and says what is right and what is not yet. Exit code 0 if all is, 1 if not, 2 if unknown.

    Example: labkit exercise check
    """
    language, desk = choose(lang, os.environ), Desk.open()
    attempt = desk.working()
    one = exercise(attempt.exercise)
    with progress(as_json) as shown:
        found = work.find(Engine.connect(), lab, attempt, shown)

        def tell(folder: RunFolder) -> None:
            text = Text("breaking it on purpose, to see what happens", "rompiéndola a propósito, para ver qué sucede")
            shown.step(f"{text.within(language)}: {folder.path}")

        examined = _examine(desk, one, found, root, tell)
    if as_json:
        answer(
            {
                "exercise": one.name,
                "verdict": examined.verdict,
                "checks": [_document(judged, language) for judged in examined.judged],
            }
        )
    else:
        _tell_checks(examined, language)
        _tell_end(one, examined, language)
    leave(examined.verdict)


@app.command()
def watch(lab: LabOption = LAB, root: RunsOption = RUNS, lang: LangOption = None) -> None:
    """Checks, and checks again whenever something changes on the nodes or among the answers, until all is right.

    Example: labkit exercise watch
    """
    language, desk = choose(lang, os.environ), Desk.open()
    attempt = desk.working()
    one = exercise(attempt.exercise)
    with progress(as_json=False) as shown:
        found = work.find(Engine.connect(), lab, attempt, shown)
    while True:
        examined = _examine(desk, one, found, root, lambda _: None)
        out.rule(f"{one.name} {now()}")
        _tell_checks(examined, language)
        _tell_end(one, examined, language)
        if examined.verdict == "pass":
            return
        state = partial(_state, found)
        out.print(Text("waiting for a change; Ctrl-C ends", "esperando un cambio; Ctrl-C termina").within(language))
        wait_until(state, partial(ne, state()), FOREVER_S, "something changes", every_s=LOOK_EVERY_S)
        desk = Desk.open()
        if desk.working().id != attempt.id:
            raise BadInput("another exercise was started meanwhile; watch it anew")


@app.command()
def hint(lab: LabOption = LAB, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """One more hint; those that you had are repeated.

    Example: labkit exercise hint
    """
    language, desk = choose(lang, os.environ), Desk.open()
    attempt = desk.working()
    one = exercise(attempt.exercise)
    known = _words(desk, one, _found(lab, attempt))
    told = min(attempt.hints + 1, len(one.hints))
    desk.attempt = replace(attempt, hints=told)
    desk.save()
    hints = [text.filled(**known).within(language) for text in one.hints[:told]]
    if as_json:
        answer({"hints": hints, "left": len(one.hints) - told})
        return
    for number, text in enumerate(hints, 1):
        out.print(f"[bold]{number}/{len(one.hints)}[/bold]")
        out.print(Markdown(text))
    if attempt.hints == len(one.hints):
        no_more = Text(
            "There are no more; `labkit exercise solution` tells all.",
            "No hay más; `labkit exercise solution` lo dice todo.",
        )
        out.print(no_more.within(language))


@app.command()
def solution(lab: LabOption = LAB, lang: LangOption = None) -> None:
    """What to type, and why.

    Example: labkit exercise solution
    """
    desk = Desk.open()
    attempt = desk.working()
    one = exercise(attempt.exercise)
    out.print(Markdown(one.solution.filled(**_words(desk, one, _found(lab, attempt))).within(choose(lang, os.environ))))


@app.command("answer")
def answer_(
    key: Annotated[str, typer.Argument(help="Which question of the task.")],
    value: Annotated[str, typer.Argument(help="What you found out.")],
) -> None:
    """Writes down what a task asks for; the next check reads it.

    Example: labkit exercise answer owner 02:42:ac:17:13:2e
    """
    desk = Desk.open()
    attempt = desk.working()
    known = exercise(attempt.exercise).questions
    if key not in known:
        asked = f"use one of: {', '.join(known)}" if known else "its task has no questions"
        raise BadInput(f"{attempt.exercise} does not ask for {key!r}; {asked}")
    desk.attempt = replace(attempt, answers={**attempt.answers, key: value})
    desk.save()


@app.command()
def submit(
    file: Annotated[Path | None, typer.Argument(help="Where to write it. Default: STUDENT.zip here.")] = None,
    student: StudentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Writes what was reached into one signed file, for the teacher.

    It holds the newest passing check of each exercise, or else the newest one: facts, answers and histories.

    Example: labkit exercise submit
    """
    desk = Desk.open()
    desk.belong_to(student)
    path = submission.write(desk, file or Path(f"{desk.student or 'submission'}.zip"))
    desk.save()
    verdicts = {one.exercise: one.document["verdict"] for one in record.all_records(desk)}
    if as_json:
        answer({"file": str(path), "student": desk.student, "verdicts": verdicts})
    else:
        passed = list(verdicts.values()).count("pass")
        out.print(f"{markup(str(path))}: {passed} of {len(all_exercises())} exercises passed", soft_wrap=True)


# A student's pair


def _begin(
    desk: Desk, one: Exercise, name: str, platform: str | None, least: bool, language: Language, as_json: bool
) -> None:
    """Starts an exercise: the pair first, then the desk, so that what fails leaves the desk as it was."""
    base = Spec().with_options(name=name, platform=platform, privileged=False if least else None)
    variant = Variant(desk.student)
    spec = variant.spec(base, one.shape)
    attempt = Attempt(one.name, spec.platform)
    engine = Engine.connect()
    missing = [need for need in one.needs if need not in desk.passed]
    with progress(as_json) as shown:
        images.ensure(engine, spec.platform, shown)
        shown.step(Text("starting a fresh pair", "arrancando una pareja nueva").within(language))
        pair = work.begin(engine, one, lambda lab: Pair(lab, variant), spec, shown)
        work.lay_down(pair.lab, attempt)
    desk.attempt = attempt
    desk.save()
    known = _words(desk, one, pair.lab)
    if as_json:
        answer(
            {
                "exercise": one.name,
                "attempt": attempt.id,
                "task": one.task.filled(**known).within(language),
                "questions": {key: text.filled(**known).within(language) for key, text in one.questions.items()},
                "nodes": list(pair.lab.nodes),
                "lab": pair.lab.name,
            }
        )
        return
    _tell_task(one, pair.lab, known, language)
    if missing:
        text = Text("Before this one: {needs}", "Antes de este: {needs}").filled(needs=", ".join(missing))
        out.print(f"[yellow]{text.within(language)}[/yellow]")


def _examine(desk: Desk, one: Exercise, lab: Lab, root: Path, tell: Any) -> Examined:
    """Looks, judges, and keeps what was found."""
    attempt = desk.working()
    pair = Pair(lab, Variant(desk.student), dict(attempt.answers), root, tell)
    examined = work.examine(one, pair)
    record.keep(desk, lab, attempt, examined, pair.made)
    if examined.verdict == "pass" and one.name not in desk.passed:
        desk.passed[one.name] = now()
        desk.save()
    return examined


def _state(lab: Lab) -> tuple[str, dict[str, str]]:
    """All that a check may depend on and a student can change."""
    return work.fingerprint(lab), Desk.open().working().answers


def _found(name: str, attempt: Attempt) -> Lab:
    with progress(as_json=True) as shown:
        return work.find(Engine.connect(), name, attempt, shown)


def _words(desk: Desk, one: Exercise, lab: Lab) -> dict[str, Any]:
    return words(lab.spec, Variant(desk.student), one.name)


# What a student reads


def _tell_task(one: Exercise, lab: Lab, known: Mapping[str, Any], language: Language) -> None:
    minutes = Text("about {minutes} minutes", "unos {minutes} minutos").filled(minutes=one.minutes)
    out.rule(f"[bold]{one.name}[/bold] ({minutes.within(language)})")
    out.print(Markdown(f"# {one.title.within(language)}\n{one.task.filled(**known).within(language)}"))
    if one.questions:
        out.print(Text("To be answered:", "Para responder:").within(language))
        for key, text in one.questions.items():
            question = text.filled(**known).within(language)
            out.print(f"  [cyan]labkit exercise answer {key}[/cyan] ...   {markup(question)}", soft_wrap=True)
    out.print(Text("To get in:", "Para entrar:").within(language))
    for node in lab.nodes:
        out.print(f"  [cyan]labkit ssh --name {lab.name} {node}[/cyan]", soft_wrap=True)
    rest = Text(
        "Then: labkit exercise check (or watch); hint; reset; solution",
        "Después: labkit exercise check (o watch); hint; reset; solution",
    )
    out.print(rest.within(language))


def _tell_checks(examined: Examined, language: Language) -> None:
    for judged in examined.judged:
        colour, word = WORD[judged.verdict]
        out.print(f"[{colour}]{word.within(language)}[/{colour}]  [bold]{judged.check}[/bold]")
        if judged.verdict == "pass":
            continue
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 4))
        table.add_column()
        table.add_column(overflow="fold")
        for head, text in zip(ROWS, (judged.expected, judged.seen, judged.look), strict=True):
            table.add_row(f"[cyan]{head.within(language)}[/cyan]", markup(text.within(language)))
        out.print(table)


def _tell_end(one: Exercise, examined: Examined, language: Language) -> None:
    if examined.verdict == "pass":
        text = Text(
            "{name} is done. Why it works: labkit exercise solution. On: labkit exercise next",
            "{name} está hecho. Por qué funciona: labkit exercise solution. Para seguir: labkit exercise next",
        )
        out.print(f"[green]{text.filled(name=one.name).within(language)}[/green]")


def _document(judged: Judged, language: Language) -> dict[str, str]:
    texts = {"expected": judged.expected, "seen": judged.seen, "look": judged.look}
    return {
        "check": judged.check,
        "verdict": judged.verdict,
        **{key: text.within(language) for key, text in texts.items()},
    }


def register(root: typer.Typer) -> None:
    """Adds the commands."""
    root.add_typer(app, name="exercise")
