"""The live view in a terminal and as a page: watch."""

import os
import select
import string
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import typer
from rich.columns import Columns
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text as RichText

from labkit import faults
from labkit.cli.common import RUNS, LangOption, NameOption, RunsOption, lab_name, out, speak
from labkit.cli.show import in_line, sign
from labkit.cluster import lifecycle
from labkit.engine import Engine
from labkit.errors import BadInput, LabkitError
from labkit.judging import REPORT
from labkit.language import Language, Said, Text, choose
from labkit.live.watcher import Watcher
from labkit.live.words import words
from labkit.plot import duration

REFRESH_HZ = 5
COLOURS = ("blue", "dark_orange3")  # of the nodes, in their order
STOPPED = Text("it was stopped", "se detuvo")
OPEN = Text("open {url} in a browser on this machine", "abra {url} en un navegador de esta máquina")
LEGEND = Text(
    "{nodes}; x no good answer, / some without one; ! two owners, - nobody",
    "{nodes}; x sin respuesta buena, / algunas sin ella; ! dos dueños, - nadie",
)


def watch(
    web: Annotated[bool, typer.Option("--web", help="Serve a page on 127.0.0.1, and print its address.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="With --web; 0 takes a free one.")] = 0,
    name: NameOption = None,
    lang: LangOption = None,
    root: RunsOption = RUNS,
) -> None:
    """Shows the lab that is up as it lives: both nodes, who has the VIP, heartbeats on the wire, the client's answers.
    A key, or with --web a button, injects a fault; the failover is shown as it happens, measured, and healed.

    Watching keeps no other command waiting; a trial does. Ctrl-C ends it, and the lab stays.

    Example: labkit watch --web
    """
    if port and not web:
        raise BadInput("--port is the page's; it goes with --web")
    language = speak(choose(lang, os.environ))
    lab = lifecycle.require(Engine.connect(), lab_name(name))
    screen = out.is_terminal and sys.stdin.isatty() and not web

    def heard(text: Text) -> None:
        if not screen:
            out.print(f"[cyan]*[/cyan] {escape(text.within(language))}", soft_wrap=True)

    with Watcher(lab, root, heard) as watcher:
        try:
            with ExitStack() as stack:
                if web:
                    from labkit.live.web import served

                    url = stack.enter_context(served(watcher, port, language))
                    out.print(OPEN.filled(url=f"[bold]{url}[/bold]").within(language), soft_wrap=True)
                if screen:
                    stack.enter_context(_screen(watcher, language))
                _until_the_end(watcher, language)
        finally:
            for folder in watcher.reports.values():
                out.print(f"{words(language)['report']}: {escape(str(folder / REPORT))}", soft_wrap=True)


def _until_the_end(watcher: Watcher, language: Language) -> None:
    """Ctrl-C is how it ends when all is well."""
    try:
        watcher.run()
    except KeyboardInterrupt:
        watcher.view.ended(STOPPED.within(language))
    except LabkitError as error:
        watcher.view.ended(str(error))
        raise


# The terminal


@contextmanager
def _screen(watcher: Watcher, language: Language) -> Iterator[None]:
    """Shows the lab on the whole screen, and takes keys, for as long as the `with` lasts."""
    keys = dict(zip(string.ascii_letters, faults.all_faults(), strict=False))
    refused = ""

    def pressed(key: str) -> None:
        nonlocal refused
        refused = ""
        try:
            if key in keys:
                watcher.press(keys[key])
        except Said as refusal:
            refused = refusal.text.within(language)

    def drawn() -> Group:
        document = watcher.view.document(language)
        return Group(*_picture(document, words(language), language, watcher.lab.name, keys, refused, out.height))

    with _keyboard(pressed), Live(get_renderable=drawn, console=out, refresh_per_second=REFRESH_HZ, screen=True):
        yield


@contextmanager
def _keyboard(pressed: Callable[[str], None]) -> Iterator[None]:
    """Tells each key of the terminal at once; Ctrl-C stays what it is."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    woken, wake = os.pipe()

    def listen() -> None:
        while woken not in (ready := select.select([terminal, woken], [], [])[0]):
            if ready and (key := os.read(terminal, 1)):
                pressed(key.decode("ascii", "replace"))

    thread = threading.Thread(target=listen, name="keyboard", daemon=True)
    tty.setcbreak(terminal)
    thread.start()
    try:
        yield
    finally:
        os.write(wake, b"x")
        thread.join()
        os.close(woken)
        os.close(wake)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _picture(
    document: Mapping[str, Any],
    word: Mapping[str, str],
    language: Language,
    lab: str,
    keys: Mapping[str, str],
    refused: str,
    height: int,
) -> list[Any]:
    """What fills the screen, from the top. height: of the screen, in lines; a trial's steps take what is left."""
    without = document["without_answer_ms"]
    alarm = f"  [red]{word['without'].format(ago=duration(without))}[/red]" if without is not None else ""
    top: list[Any] = [
        f"[bold]labkit, {word['title']}: {lab}[/bold]  [dim]{word['end']}[/dim]",
        f"[bold]{escape(document['owned'])}[/bold] · {escape(document['client'])}{alarm}",
        _nodes(document["nodes"], word),
        *_minute(document, word, language),
    ]
    holder = word["held"].format(holder=document["holder"]) if document["holder"] else ""
    if note := refused or holder:
        top.append(f"[yellow]{escape(note)}[/yellow]")
    trial = document["trial"]
    if trial is None:
        top.append(f"[dim]{word['no_trial']}[/dim]")
    else:
        stage = f": {trial['stage_in_words']}" if trial["stage_in_words"] else ""
        top.append(f"[bold]{escape(trial['fault'])}[/bold]{escape(stage)}")
    bottom: list[Any] = []
    for one in document["results"][:3]:
        what = word["on"].format(fault=one["fault"], node=one["node"] or "-")
        bottom.append(f"{sign(one['verdict'], language)}  {escape(what)}: [bold]{one['outage']}[/bold]")
    bottom.append(Columns([f"[bold]{key}[/bold] {name}" for key, name in keys.items()], padding=(0, 2)))
    left = height - len(out.render_lines(Group(*top, *bottom)))
    steps = trial["steps"][-left:] if trial is not None and left > 0 else []
    return [*top, *map(_step, steps), *bottom]


def _step(step: Mapping[str, Any]) -> RichText:
    """One line, cut where the screen ends."""
    line = RichText.from_markup(in_line(step["after_ms"], step["kind"], step["what"], step["detail"]))
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _nodes(nodes: list[dict[str, Any]], word: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", word["owner"], word["node_is"], word["heartbeats"], word["resources"], word["apache2"]):
        table.add_column(column, no_wrap=True)
    for number, node in enumerate(nodes):
        apache2 = "-" if node["apache2"] is None else word["runs" if node["apache2"] else "stopped"]
        vip = f"[green]{word['has_vip']}[/green]" if node["vip"] else "-"
        name = f"[{COLOURS[number]}]{number + 1} {escape(node['name'])}[/]"
        table.add_row(name, vip, node["state_in_words"], _heartbeats(node, word), node["resources"] or "-", apache2)
    return table


def _heartbeats(node: Mapping[str, Any], word: Mapping[str, str]) -> str:
    if node["heartbeat_ago_ms"] is None:
        return word["none_heard"]
    ago, rate = duration(node["heartbeat_ago_ms"]), node["heartbeats_per_s"]
    if node["silent"]:
        return f"[red]{word['silent'].format(ago=ago)}[/red]"
    return word["beating"].format(ago=ago, rate="-" if rate is None else f"{rate:.1f}")


def _minute(document: Mapping[str, Any], word: Mapping[str, str], language: Language) -> Iterator[Any]:
    """The last minute, a letter a second: what the client got, who had the VIP, each node's heartbeats."""
    names = [node["name"] for node in document["nodes"]]
    seconds = document["seconds"]
    lanes = Table(box=None, pad_edge=False, show_header=False)
    lanes.add_row(word["answers"], "".join(_answers(one, names) for one in seconds))
    lanes.add_row(word["owner"], "".join(_owner(one, names) for one in seconds))
    for number, name in enumerate(names):
        beats = "".join("|" if one and one["heartbeats"].get(name) else " " for one in seconds)
        lanes.add_row(f"{word['heartbeats']} {number + 1}", f"[{COLOURS[number]}]{beats}[/]")
    yield lanes
    nodes = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))
    yield f"[dim]{escape(LEGEND.filled(nodes=nodes).within(language))}[/dim]"


def _answers(second: Mapping[str, Any] | None, names: list[str]) -> str:
    if second is None:
        return " "
    served = [names.index(name) for name in names if second["good"].get(name)]
    if second["failed"]:
        return "[yellow]/[/]" if served else "[red]x[/]"
    return f"[{COLOURS[served[-1]]}]{served[-1] + 1}[/]" if served else " "


def _owner(second: Mapping[str, Any] | None, names: list[str]) -> str:
    if second is None or second["owners"] is None:
        return " "
    owners = second["owners"]
    if len(owners) > 1:
        return "[red]![/]"
    return f"{names.index(owners[0]) + 1}" if owners and owners[0] in names else "-"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(watch)
