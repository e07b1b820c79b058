"""The exercises as a student meets them: exercise."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from operator import ne
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markdown import Markdown
from rich.table import Table

from labkit.cli import reading
from labkit.cli.common import (
    RUNS,
    JsonOption,
    LangOption,
    LeastOption,
    PlatformOption,
    Printed,
    RunsOption,
    answer,
    leave,
    out,
    progress,
    speak,
)
from labkit.cli.show import markup
from labkit.cluster import Lab, lock
from labkit.course import record, submission, work
from labkit.course.desk import Attempt, Desk, now
from labkit.course.work import Examined
from labkit.engine import Engine, images
from labkit.exercises import Exercise, Pair, Variant, all_exercises, attended, exercise, words
from labkit.language import Language, Said, Text, choose, same
from labkit.spec import Spec
from labkit.store import RunFolder
from labkit.timing import wait_until

LAB = "exercise"
AUTO = "auto"
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


@app.command("list")
def list_(lang: LangOption = None, as_json: JsonOption = False) -> None:
    """All exercises, in the order of the course, and which are done.

    Example: labkit exercise list --lang es
    """
    desk = Desk.open()
    language = _language(desk, lang)
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
    heads = (Text("exercise", "ejercicio"), same(""), Text("minutes", "minutos"), Text("needs", "requiere"))
    table.add_column("")
    for number, head in enumerate(heads):
        table.add_column(head.within(language), overflow="fold", no_wrap=number == 0)
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
    language = _language(desk, lang)
    desk.belong_to(student)
    desk.language = lang or desk.language
    _begin(desk, Attempt(name, lab, platform or AUTO, least), language, as_json)


@app.command()
def reset(lang: LangOption = None, as_json: JsonOption = False) -> None:
    """A fresh pair in the starting state again, whatever became of the present one.

    Example: labkit exercise reset
    """
    desk = Desk.open()
    attempt = desk.working()
    again = Attempt(attempt.exercise, attempt.lab, attempt.platform, attempt.least)
    _begin(desk, again, _language(desk, lang), as_json)


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
    language = _language(desk, lang)
    if one is None:
        text = Text(
            "all exercises are done; hand them in: labkit exercise submit",
            "todos los ejercicios están hechos; entréguelos: labkit exercise submit",
        )
        out.print(text.within(language))
        return
    _begin(desk, Attempt(one.name, lab, platform or AUTO), language, as_json)


@app.command()
def task(lang: LangOption = None) -> None:
    """Tells the task of the present exercise again.

    Example: labkit exercise task --lang es
    """
    desk = Desk.open()
    language = _language(desk, lang)
    one, found = _begun(desk, language)
    reading.tell_task(one, found, _words(desk, one, found), language)


@app.command()
def check(root: RunsOption = RUNS, lang: LangOption = None, as_json: JsonOption = False) -> None:
    """Looks at the live pair and says what is right and what is not yet. Exit code 0 if all is, 1 if not, 2 if unknown.

    Example: labkit exercise check
    """
    desk = Desk.open()
    language = _language(desk, lang)
    attempt = desk.working()
    one = exercise(attempt.exercise)
    engine = Engine.connect()
    with progress(as_json) as shown, lock.held(attempt.lab, engine.identity, shown):
        found = work.find(engine, attempt, _telling(shown, language))
        examined = _examine(desk, one, found, root, _breaking(shown, language))
    if as_json:
        answer(
            {
                "exercise": one.name,
                "verdict": examined.verdict,
                "checks": [reading.document(judged, language) for judged in examined.judged],
            }
        )
    else:
        reading.tell_checks(examined, language)
        reading.tell_end(one, examined, language)
    leave(examined.verdict)


@app.command()
def watch(root: RunsOption = RUNS, lang: LangOption = None) -> None:
    """Checks, and checks again whenever something changes on the nodes or among the answers, until all is right.

    Example: labkit exercise watch
    """
    desk = Desk.open()
    language = _language(desk, lang)
    attempt = desk.working()
    one = exercise(attempt.exercise)
    engine = Engine.connect()
    with progress(as_json=False) as shown:
        found = work.find(engine, attempt, _telling(shown, language))
    keeps = attended(one, Pair(found, Variant(desk.student)))
    with keeps or nullcontext():
        while True:
            with progress(as_json=False) as shown, lock.held(attempt.lab, engine.identity, shown):
                examined = _examine(desk, one, found, root, _breaking(shown, language))
            out.rule(f"{one.name} {now()}")
            reading.tell_checks(examined, language)
            reading.tell_end(one, examined, language)
            if examined.verdict == "pass" and not keeps:
                return
            waiting = Text("waiting for a change; Ctrl-C ends", "esperando un cambio; Ctrl-C termina")
            if examined.verdict == "pass":
                waiting = Text("this goes on until Ctrl-C", "esto sigue hasta que pulse Ctrl-C")
            out.print(waiting.within(language))
            state = partial(_state, found)
            changed = partial(ne, state()) if examined.verdict != "pass" else lambda _: False
            wait_until(state, changed, FOREVER_S, "something changes", every_s=LOOK_EVERY_S)
            desk = Desk.open()
            if desk.working().id != attempt.id:
                another = Text(
                    "another exercise was started meanwhile; watch it anew",
                    "mientras tanto empezó otro ejercicio; vuelva a observar",
                )
                raise Said(another)


@app.command()
def hint(lang: LangOption = None, as_json: JsonOption = False) -> None:
    """One more hint; those that you had are repeated.

    Example: labkit exercise hint
    """
    desk = Desk.open()
    language = _language(desk, lang)
    one, found = _begun(desk, language)
    known = _words(desk, one, found)
    before = desk.hints.get(one.name, 0)
    told = min(before + 1, len(one.hints))
    desk.hints[one.name] = told
    desk.save()
    hints = [text.filled(**known).within(language) for text in one.hints[:told]]
    if as_json:
        answer({"hints": hints, "left": len(one.hints) - told})
        return
    for number, text in enumerate(hints, 1):
        out.print(f"[bold]{number}/{len(one.hints)}[/bold]")
        out.print(Markdown(text))
    if before == len(one.hints):
        no_more = Text(
            "There are no more; `labkit exercise solution` tells all.",
            "No hay más; `labkit exercise solution` lo dice todo.",
        )
        out.print(no_more.within(language))


@app.command()
def solution(lang: LangOption = None) -> None:
    """What to type, and why.

    Example: labkit exercise solution
    """
    desk = Desk.open()
    language = _language(desk, lang)
    one, found = _begun(desk, language)
    out.print(Markdown(one.solution.filled(**_words(desk, one, found)).within(language)))


@app.command("answer")
def answer_(
    key: Annotated[str, typer.Argument(help="Which question of the task.")],
    value: Annotated[list[str], typer.Argument(help="What you found out; one word or several.")],
    lang: LangOption = None,
) -> None:
    """Writes down what a task asks for; the next check reads it.

    Example: labkit exercise answer owner 02:42:ac:17:13:2e
    """
    desk = Desk.open()
    language = _language(desk, lang)
    attempt = desk.working()
    known = exercise(attempt.exercise).questions
    if key not in known:
        no_such = Text(
            "{exercise} does not ask for {key!r}; it asks for: {known}",
            "{exercise} no pregunta por {key!r}; pregunta por: {known}",
        )
        raise Said(no_such.filled(exercise=attempt.exercise, key=key, known=", ".join(known) or "-"))
    desk.attempt = replace(attempt, answers={**attempt.answers, key: " ".join(value)})
    desk.save()
    noted = Text("noted", "anotado").within(language)
    out.print(f"{noted}: {key} = {markup(' '.join(value))}", soft_wrap=True)


@app.command()
def submit(
    file: Annotated[Path | None, typer.Argument(help="Where to write it. Default: STUDENT.zip here.")] = None,
    student: StudentOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Writes what was reached into one signed file, for the teacher.

    It holds the newest passing check of each exercise, or else the newest one: facts, answers and histories.

    Example: labkit exercise submit
    """
    desk = Desk.open()
    language = _language(desk, lang)
    desk.belong_to(student)
    path = submission.write(desk, file or Path(f"{desk.student or 'submission'}.zip"))
    desk.save()
    verdicts = {one.exercise: one.document["verdict"] for one in record.all_records(desk)}
    if as_json:
        answer({"file": str(path), "student": desk.student, "verdicts": verdicts})
    else:
        passed = list(verdicts.values()).count("pass")
        told = Text("{passed} of {all} exercises passed", "{passed} de {all} ejercicios aprobados")
        told = told.filled(passed=passed, all=len(all_exercises()))
        out.print(f"{markup(str(path))}: {told.within(language)}", soft_wrap=True)


# A student's desk and pair


def _language(desk: Desk, asked: str | None) -> Language:
    """The one asked for now, or else the one that the student began in, or the locale's."""
    return speak(choose(asked or desk.language or None, os.environ))


def _telling(shown: Printed, language: Language) -> Callable[[Text], None]:
    return lambda text: shown.step(text.within(language))


def _begin(desk: Desk, attempt: Attempt, language: Language, as_json: bool) -> None:
    """Starts an exercise: the pair first, then the desk, so that what fails leaves the desk as it was."""
    one = exercise(attempt.exercise)
    privileged = False if attempt.least else None
    base = Spec().with_options(name=attempt.lab, platform=attempt.platform, privileged=privileged)
    variant = Variant(desk.student)
    spec = variant.spec(base, one.shape)
    engine = Engine.connect()
    missing = [need for need in one.needs if need not in desk.passed]
    with progress(as_json) as shown, lock.held(attempt.lab, engine.identity, shown):
        images.ensure(engine, spec.platform, shown)
        fresh = Text(
            "a fresh pair is brought to the starting state, which takes up to a minute",
            "se lleva una pareja nueva al estado inicial, lo que tarda hasta un minuto",
        )
        shown.step(fresh.within(language))
        pair = work.begin(engine, one, lambda lab: Pair(lab, variant), spec)
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
    reading.tell_task(one, pair.lab, known, language)
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


def _breaking(shown: Printed, language: Language) -> Callable[[RunFolder], None]:
    text = Text("breaking it on purpose, to see what happens", "rompiéndola a propósito, para ver qué sucede")
    return lambda folder: shown.step(f"{text.within(language)}: {folder.path}")


def _begun(desk: Desk, language: Language) -> tuple[Exercise, Lab]:
    """The exercise that is begun, and its pair."""
    attempt = desk.working()
    with progress(as_json=True) as shown:
        return exercise(attempt.exercise), work.find(Engine.connect(), attempt, _telling(shown, language))


def _words(desk: Desk, one: Exercise, lab: Lab) -> dict[str, Any]:
    return words(lab.spec, Variant(desk.student), one.name)


def register(root: typer.Typer) -> None:
    """Adds the commands."""
    root.add_typer(app, name="exercise")
