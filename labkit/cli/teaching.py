"""What teachers and authors do with the exercises: exercise verify, exercise new, grade."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from labkit.cli import exercises
from labkit.cli.common import RUNS, JsonOption, PlatformOption, RunsOption, answer, err, leave, out, progress
from labkit.cli.show import markup
from labkit.cluster import lock
from labkit.course import author, grading
from labkit.course.verify import verify_all
from labkit.engine import Engine, images
from labkit.errors import BadInput
from labkit.exercises import Variant, all_exercises, exercise
from labkit.spec import Spec
from labkit.store import RunFolder
from labkit.timing import SECOND, now_ns


def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Exercises to prove.")] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=16, help="So many pairs at once.")] = 2,
    student: Annotated[str, typer.Option("--student", help="Whose variant.")] = "",
    platform: PlatformOption = None,
    root: RunsOption = RUNS,
    lab: Annotated[str, typer.Option("--name", help="How the pairs' names begin.")] = "verify",
    as_json: JsonOption = False,
) -> None:
    """Proves that each exercise fails unsolved, passes solved, speaks both languages and leaves nothing behind.

    Example: labkit exercise verify identical-haresources
    """
    if all_of_them == bool(names):
        raise BadInput("name the exercises to verify, or use --all")
    chosen = list(all_exercises().values()) if all_of_them else [exercise(name) for name in names or ()]
    base = Spec().with_options(name=lab, platform=platform)
    engine = Engine.connect()
    with progress(as_json) as shown, lock.held(base.name, engine.identity, shown):
        images.ensure(engine, base.platform, shown)
        since = now_ns()
        verified = verify_all(engine, chosen, Variant(student), base, root, parallel, shown)
    if as_json:
        answer([asdict(one) for one in verified])
    for one in () if as_json else verified:
        sign = "[red]WRONG[/red]" if one.wrong else "[green]proved[/green]"
        out.print(f"{sign}  {one.name}  {sum(one.took_s.values()):.0f} s")
        for wrong in one.wrong:
            out.print(f"    {markup(wrong)}", soft_wrap=True)
    if not as_json:
        proved = sum(not one.wrong for one in verified)
        out.print(f"{proved} of {len(verified)} exercises proved in {(now_ns() - since) / SECOND:.0f} s")
    leave("fail" if any(one.wrong for one in verified) else "pass")


def new(
    name: Annotated[str, typer.Argument(help="Its name: small letters, digits and hyphens.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where to put it.")] = Path("exercises"),
) -> None:
    """Writes the skeleton of a new exercise: a small one that works.

    Example: labkit exercise new silent-peer && LABKIT_EXERCISES=exercises labkit exercise verify silent-peer
    """
    path = author.write_skeleton(name, folder)
    out.print(f"{markup(str(path))}: LABKIT_EXERCISES={markup(str(folder))} makes labkit find it", soft_wrap=True)


def grade(
    folder: Annotated[Path, typer.Argument(help="Where the submissions lie.")],
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the table there, too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Verifies submissions, judges them again from their histories, and compares them with each other.

    Exit code 0 if all is in order, 1 if something must be looked at: a file that was changed, a duplicate, a pair that
    is not the student's own, a verdict that does not come out again.

    Example: labkit grade submissions --csv grades.csv
    """
    graded = grading.grade(folder)
    if csv_file:
        RunFolder(csv_file.parent).write(csv_file.name, grading.table(graded))
    if as_json:
        answer([asdict(one) for one in graded])
    else:
        names = list(all_exercises())
        table = Table(box=None, pad_edge=False)
        for head in ("student", "file", f"passed of {len(names)}", "not passed", "hints", "look at"):
            table.add_column(head, overflow="fold")
        for one in graded:
            passed = [name for name in names if one.verdicts.get(name) == "pass"]
            others = ", ".join(f"{name} ({word})" for name, word in one.verdicts.items() if word != "pass")
            flags = ", ".join(sorted({remark.flag for remark in one.remarks}))
            table.add_row(*map(markup, (one.student, one.file)), str(len(passed)), markup(others),
                          str(sum(one.hints.values())), f"[red]{flags}[/red]")  # fmt: skip
        out.print(table)
        for one in graded:
            for remark in one.remarks:
                where = f" {remark.exercise}:" if remark.exercise else ""
                err.print(
                    f"[red]{remark.flag}[/red] {markup(one.file)}:{where} {markup(remark.detail)}", soft_wrap=True
                )
    leave("fail" if any(one.remarks for one in graded) else "pass")


def register(root: typer.Typer) -> None:
    """Adds the commands; two of them to `exercise`."""
    exercises.app.command()(verify)
    exercises.app.command()(new)
    root.command()(grade)
