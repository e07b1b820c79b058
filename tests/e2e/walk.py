"""The pages typed: a user who follows the tutorial from its first line to its last, on a host of its own.

That host is a second engine's: there the lab can have its usual name, addresses and ports, as the pages have them.
"""

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from labkit.engine import Engine
from tests.engines import SecondEngine, second_engine
from tests.pages import DOCS, ROOT, Line, blocks, commands, words

TUTORIAL = DOCS / "tutorial.md"
EXAMPLES = (DOCS / "commands.md", DOCS / "faults.md")
LONGEST_S = 600.0
A_RUN = re.compile(r"runs/\d{8}T\d{6}Z-node-kill-\w+")
# What is not typed here: it asks a person, never ends, changes the user's shell, or takes long and has its own tests.
ELSEWHERE = {"lab", "failover", "guide", "sweep", "merge", "tune", "exercise", "class", "grade", "up", "shell", "down"}
ELSEWHERE |= {"watch", "worker"}
HARMFUL = {"--all", "--resume", "--install-completion"}


@dataclass(frozen=True)
class Typed:
    """A command line of a page, and what became of it."""

    line: Line
    exit_code: int
    output: str


def tutorial() -> list[Line]:
    """Its commands. `make lab` is `labkit lab` here: there is an engine already, and labkit is installed."""
    lines = [line._replace(text=re.sub("^make lab$", "labkit lab", line.text)) for line in commands()]
    return [line for line in lines if line.page == TUTORIAL and re.match("(labkit|curl) ", line.text)]


def examples() -> list[Line]:
    """The commands of the other pages that only look at what is there, or are undone by the next one."""
    lines = [line for line in commands() if line.page in EXAMPLES and line.text.startswith("labkit ")]
    return [line for line in lines if words(line)[1] not in ELSEWHERE and not HARMFUL & set(words(line))]


def in_order() -> list[Line]:
    """The examples come before the tutorial's lab is made one of the guide's, which would change what they find."""
    lines = tutorial()
    printed = next(number for number, line in enumerate(lines) if "as-printed" in line.text)
    return [*lines[:printed], *examples(), *lines[printed:]]


def shown_after(line: Line) -> list[str]:
    """What the page shows as the command's output: the rest of its block, or of the next one if it is its block's last
    line, up to the next command."""
    found = [text for _, block in blocks(line.page) for text in block if text.number > line.number]
    shown: list[str] = []
    for text in found:
        if text.text.startswith(("$ ", "labkit ", "curl ")):
            break
        shown.append(text.text)
    return shown


class Walk:
    """All of it, begun at once, in a thread. A context manager: it waits for the end."""

    def __init__(self, source: Engine, folder: Path) -> None:
        self.typed: Future[list[Typed]] = Future()
        self._source = source
        self._folder = folder
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Walk":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _work(self) -> None:
        try:
            with second_engine(self._folder / "engine", self._source) as engine:
                self.typed.set_result([self._type(engine, line) for line in in_order()])
        except BaseException as error:  # the test that asks for the result raises it
            self.typed.set_exception(error)

    def _type(self, engine: SecondEngine, line: Line) -> Typed:
        """A run that a page names is the last one of its fault."""
        home = self._folder / "home"
        home.mkdir(exist_ok=True)
        if line.page != TUTORIAL:
            (home / "lab.yaml").write_text("name: lab\n")
        else:
            (home / "lab.yaml").unlink(missing_ok=True)
        runs = sorted(home.glob("runs/*-node-kill-*"))
        text = A_RUN.sub(f"runs/{runs[-1].name}", line.text) if runs else line.text
        env = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "LABKIT_", "DOCKER_"))}
        env |= {"HOME": str(home), "DOCKER_HOST": engine.url, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        env["LABKIT_PLATFORM"] = os.environ.get("LABKIT_PLATFORM", "auto")
        done = subprocess.run(
            ["ip", "netns", "exec", engine.netns, "bash", "-c", text],
            cwd=home,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LONGEST_S,
        )
        return Typed(line, done.returncode, done.stdout)
