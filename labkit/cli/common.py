"""What all commands share: the options that make a spec, progress, JSON, and the lab that a run uses."""

import ipaddress
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.status import Status

from labkit import spec as specs
from labkit.campaign.admission import MOST as MOST_PAIRS
from labkit.cluster import Lab, lifecycle
from labkit.engine import Engine
from labkit.errors import BadInput, LabkitError, NotAvailable
from labkit.language import Language, Said, choose
from labkit.platforms import discover
from labkit.progress import Silent
from labkit.spec import Spec
from labkit.timing import SECOND, now_ns

INTERRUPTED = 130
EXIT = {"pass": 0, "fail": 1, "unknown": 2}
DEFAULT_FILE = Path("lab.yaml")
RUNS = Path("runs")

PLAIN_WIDTH = 140  # of text that goes into a file or a CI log


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH)


out = _console(stderr=False)
err = _console(stderr=True)


def completed(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What a shell offers in place of a word that is begun."""

    def offered(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return offered


JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress goes to stderr.")]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="The lab's spec. Default: lab.yaml here, if there is one.")
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="The lab's name. Default: that of lab.yaml here, else lab.")
]
PlatformOption = Annotated[
    str | None,
    typer.Option(
        "--platform",
        envvar="LABKIT_PLATFORM",
        help="auto, or one that `labkit platforms` lists.",
        autocompletion=completed(lambda: ["auto", *discover()]),
    ),
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="corrected, or as-printed: what the guide prints.")
]
KeepaliveOption = Annotated[str | None, typer.Option("--keepalive", help="Time between heartbeats: 2, 1.5 or 200ms.")]
DeadtimeOption = Annotated[str | None, typer.Option("--deadtime", help="Silence after which a node is dead.")]
SubnetOption = Annotated[str | None, typer.Option("--subnet", help="One of the same size; auto takes a free one.")]
PortsOption = Annotated[str | None, typer.Option("--ports", help="auto takes free ports.")]
LeastOption = Annotated[bool, typer.Option("--least-privilege", help="The smallest set of capabilities that works.")]
MirrorOption = Annotated[str, typer.Option("--mirror", help="Package archive to use in place of the distribution's.")]
LangOption = Annotated[str | None, typer.Option("--lang", help="en or es. Default: that of the locale.")]
AssertOption = Annotated[
    list[str] | None,
    typer.Option("--assert", help="What must hold, such as 'outage.p95 < 6s'; may be given more than once."),
]
ParallelOption = Annotated[
    str,
    typer.Option(
        "--parallel", metavar="K|auto", help="So many pairs share the trials; auto: as many as the machine bears."
    ),
]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of the stored runs.")]


_speaking: ContextVar[Language | None] = ContextVar("speaking", default=None)


def speak(language: Language) -> Language:
    """From now on errors are told in this language, where they can be. Returns it."""
    _speaking.set(language)
    return language


def in_words(error: LabkitError) -> str:
    """An error's message, in the language that the command speaks."""
    return error.text.within(_speaking.get() or choose(None, os.environ)) if isinstance(error, Said) else str(error)


@contextmanager
def cluster_extra() -> Iterator[None]:
    """Around an import of what needs Dask. Raises NotAvailable where that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise NotAvailable(
            f"many machines take Dask, which is not installed ({error}): pip install 'heartbeat-labkit[cluster]'"
        ) from error


def complain(text: str) -> None:
    """An error, on stderr."""
    err.print(f"[red]labkit:[/red] {_plain(text)}", soft_wrap=True)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


class Printed:
    """Progress: steps stay. Details pass by in one line of a terminal; elsewhere one is printed at times, or all."""

    EVERY_S = 2.0

    def __init__(self, console: Console, everything: bool = False) -> None:
        self._console = console
        self._everything = everything
        self._status: Status | None = None
        self._next_ns = 0
        self._lock = threading.Lock()

    def step(self, text: str) -> None:
        self._console.print(f"[cyan]*[/cyan] {_plain(text)}", soft_wrap=True)

    def detail(self, text: str) -> None:
        with self._lock:
            if self._everything or not self._console.is_terminal:
                if self._everything or now_ns() >= self._next_ns:
                    self._next_ns = now_ns() + int(self.EVERY_S * SECOND)
                    self._console.print(f"  {_plain(text)}", style="dim", soft_wrap=True)
                return
            line = _plain(text[: self._console.width - 4])
            if self._status is None:
                self._status = self._console.status(line)
                self._status.start()
            self._status.update(line)

    def close(self) -> None:
        if self._status is not None:
            self._status.stop()


@contextmanager
def progress(as_json: bool, everything: bool = False) -> Iterator[Printed]:
    """Progress for one command; on stderr where stdout is for JSON."""
    shown = Printed(err if as_json else out, everything)
    try:
        yield shown
    finally:
        shown.close()


def answer(document: Any) -> None:
    """The one JSON document of a command. Dataclasses become objects."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=_jsonable))


def _jsonable(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def worst(verdicts: list[str]) -> str:
    """fail if any failed, else unknown if any could not be judged, else pass."""
    return next((verdict for verdict in ("fail", "unknown") if verdict in verdicts), "pass")


def leave(verdict: str) -> None:
    """Ends the command with the verdict's exit code."""
    raise typer.Exit(EXIT[verdict])


def read_spec(
    file: Path | None,
    name: str | None = None,
    platform: str | None = None,
    profile: str | None = None,
    keepalive: str | None = None,
    deadtime: str | None = None,
    subnet: str | None = None,
    least: bool = False,
    base: Spec | None = None,
) -> Spec:
    """The spec that a command's options ask for: a file or the defaults, changed by the other options.

    base: what stands in for the defaults where no file is named. Raises BadInput.
    """
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    spec = specs.load(file) if file or base is None else base
    spec = spec.with_options(
        name=name,
        platform=platform,
        profile=profile,
        keepalive=keepalive,
        deadtime=deadtime,
        privileged=False if least else None,
    )
    if subnet not in (None, "auto"):
        try:
            spec = spec.on_subnet(ipaddress.IPv4Network(subnet))
        except ValueError as error:
            raise BadInput(f"--subnet: {error}; use one of the size of {spec.network.pool}, or auto") from error
    return spec


def auto(option: str, value: str | None) -> bool:
    """Whether an option that only knows `auto` was given. Raises BadInput for anything else."""
    if value not in (None, "auto"):
        raise BadInput(f"{option}: {value!r} is not possible; use auto, or set the ports in lab.yaml")
    return value == "auto"


def auto_subnet(value: str | None) -> bool | None:
    """Whether `--subnet` was `auto`; None where it was not given."""
    return None if value is None else value == "auto"


def pairs_asked(value: str) -> int | None:
    """The number of `--parallel`; None for `auto`. Raises BadInput."""
    if value == "auto":
        return None
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= MOST_PAIRS):
        raise BadInput(f"--parallel: {value!r} is not possible; use auto, or a number from 1 to {MOST_PAIRS}")
    return int(value)


def lab_name(name: str | None) -> str:
    """The lab that is meant: the one of that name, else that of lab.yaml here, else `lab`. Raises BadInput."""
    return name or (specs.load(DEFAULT_FILE) if DEFAULT_FILE.exists() else specs.default()).name


def present_spec(engine: Engine, name: str | None) -> Spec | None:
    """The spec of the lab that is up under that name."""
    lab = lifecycle.find(engine, lab_name(name))
    return None if lab is None else lab.spec


@contextmanager
def lab_for(
    engine: Engine, spec: Spec, options: lifecycle.Options, shown: Printed, keep: bool, by_hand: bool = False
) -> Iterator[tuple[Lab, bool]]:
    """A lab to run something on, and whether it goes away afterwards: not if it was there before, or is to be kept.

    by_hand: a lab that was configured by hand is taken as it stands. Raises BadInput if other settings than its own are
    asked for then: making it anew would throw somebody's work away.
    """
    with lifecycle.changing(engine, spec.name, shown):
        present = lifecycle.find(engine, spec.name)
        disposable = not keep and present is None
        if by_hand and present is not None and lifecycle.is_bare(present):
            if present.spec != spec:
                raise BadInput(
                    f"the lab {spec.name!r} was configured by hand, and other settings than its own are asked for, by"
                    f" options or by {DEFAULT_FILE}; leave them out, or remove it first: labkit down --name {spec.name}"
                )
            lab = present
        else:
            lab = lifecycle.up(engine, spec, options, shown).lab
        try:
            yield lab, disposable
        finally:
            if disposable:
                shown.step("removing the lab")
                lifecycle.remove(engine, spec.name, Silent())
