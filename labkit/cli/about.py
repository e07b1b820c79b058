"""What a bug report should begin with, and the pages offline: --version, help."""

import os
import platform
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from labkit import __version__
from labkit.cli.common import LangOption, completed, out
from labkit.engine import Engine, images
from labkit.errors import BadInput, LabkitError
from labkit.language import LANGUAGES, Language, choose
from labkit.platforms import discover
from labkit.resources import docs_dir

ENGINE_ANSWERS_S = 3.0  # a question about versions does not wait for a sick engine


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    host = f"{platform.system()} {platform.release()} {platform.machine()}"
    print(f"labkit {__version__}")
    print(f"python {platform.python_version()} on {host}, {os.cpu_count()} CPUs")
    print("\n".join(_engine_in_time()))
    raise typer.Exit()


def _engine_in_time() -> list[str]:
    """What is known of the engine and of the images in it, a fact a line; that it is silent is a fact, too."""
    found: list[str] = []
    # Left alone if it does not come back: no time limit of the SDK covers every way to an engine (ssh, name look-ups).
    asking = threading.Thread(target=lambda: found.extend(_engine()), daemon=True)
    asking.start()
    asking.join(ENGINE_ANSWERS_S)
    return found or [f"engine: no answer within {ENGINE_ANSWERS_S:g} s"]


def _engine() -> list[str]:
    try:
        engine = Engine.connect()
        facts = engine.facts
        built = {
            name: all(images.exists(engine, one.image(role)) for role in images.ROLES)
            for name, one in discover().items()
        }
    except LabkitError as error:
        return [f"engine: {str(error).splitlines()[0]}"]
    return [
        f"engine Docker {facts.engine}, API {facts.api}, at {facts.where}",
        f"  on {facts.system}, kernel {facts.kernel}, {facts.cpus} CPUs, {facts.memory_mib} MiB, {facts.storage},"
        f" cgroup {facts.cgroup}",
        *(f"platform {name}: {'images are built' if there else 'no images'}" for name, there in built.items()),
    ]


def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="The versions of labkit, Python and the engine, for a bug report.",
        ),
    ] = False,
) -> None:
    """Takes the options that stand before a command; its help text is the program's."""


def _pages(language: Language) -> dict[str, Path]:
    """Topic -> page: NAME.md or NAME/README.md; in another language that with .LANGUAGE before .md, if there is one."""
    folder = docs_dir()
    names = {path: path.relative_to(folder).with_suffix("").as_posix() for path in sorted(folder.rglob("*.md"))}
    found = {name.replace("/README", ""): path for path, name in names.items()}
    endings = {f".{one}" for one in LANGUAGES}
    return {
        topic: found.get(f"{topic}.{language}", path)
        for topic, path in found.items()
        if Path(topic).suffix not in endings
    }


def help_(
    topic: Annotated[
        str | None,
        typer.Argument(
            help="A page. Without it, all pages are listed.", autocompletion=completed(lambda: _pages("en"))
        ),
    ] = None,
    lang: LangOption = None,
) -> None:
    """A page of the docs, without a network. Example pages: tutorial, faults, troubleshooting.

    Example: labkit help faults
    """
    pages = _pages(choose(lang, os.environ))
    if topic is None:
        for name, page in pages.items():
            title = page.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
            out.print(f"[bold]{name:16}[/bold] {title}", soft_wrap=True)
        return
    if topic not in pages:
        raise BadInput(
            f"there is no page {topic!r}; use one of: {', '.join(pages)}. All of one command: labkit COMMAND --help"
        )
    text = pages[topic].read_text(encoding="utf-8")
    if out.is_terminal:
        out.print(Markdown(text))
    else:
        print(text, end="")


def register(app: typer.Typer) -> None:
    """Adds the command and the options of the program itself."""
    app.callback()(root)
    app.command("help")(help_)
