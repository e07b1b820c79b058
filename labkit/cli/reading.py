"""What a student reads of an exercise."""

from collections.abc import Mapping
from typing import Any

from rich.markdown import Markdown
from rich.table import Table

from labkit.cli.common import out
from labkit.cli.show import markup
from labkit.cluster import Lab
from labkit.course.work import Examined
from labkit.exercises import Exercise, Judged
from labkit.language import Language, Text

WORD = {
    "pass": ("green", Text("right", "bien")),
    "fail": ("red", Text("NOT YET", "AÚN NO")),
    "unknown": ("yellow", Text("cannot tell", "no se sabe")),
}
ROWS = (Text("expected", "esperado"), Text("seen", "visto"), Text("where to look", "dónde mirar"))


def tell_task(one: Exercise, lab: Lab, known: Mapping[str, Any], language: Language) -> None:
    """The task, its questions, and how to get in."""
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


def tell_checks(examined: Examined, language: Language) -> None:
    """What is right, and what is not yet: expected, seen, where to look."""
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


def tell_end(one: Exercise, examined: Examined, language: Language) -> None:
    """What comes next, when all is right."""
    if examined.verdict == "pass":
        text = Text(
            "{name} is done. Why it works: labkit exercise solution. On: labkit exercise next",
            "{name} está hecho. Por qué funciona: labkit exercise solution. Para seguir: labkit exercise next",
        )
        out.print(f"[green]{text.filled(name=one.name).within(language)}[/green]")


def document(judged: Judged, language: Language) -> dict[str, str]:
    """A judgement as `--json` has it."""
    texts = {"expected": judged.expected, "seen": judged.seen, "look": judged.look}
    return {
        "check": judged.check,
        "verdict": judged.verdict,
        **{key: text.within(language) for key, text in texts.items()},
    }
