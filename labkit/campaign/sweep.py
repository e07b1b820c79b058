"""A grid of timings and faults, measured cell by cell. Each cell is an ordinary run folder inside the sweep's.

sweep.json is written anew after each cell: an interrupted sweep keeps what is done, and can go on.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from labkit.campaign import grid, page
from labkit.campaign.grid import Cell, Key, Parameters, Skipped
from labkit.campaign.pairs import Pairs
from labkit.errors import BadInput, LabkitError
from labkit.history import Event
from labkit.judging import judge
from labkit.plot import duration
from labkit.progress import Progress
from labkit.report import verdict
from labkit.spec import Spec
from labkit.store import RunFolder, as_written
from labkit.timing import SECOND, now_ns

SWEEP = "sweep.json"
PAGE = "sweep.html"
ERROR = "error"  # stands as a cell's verdict where the cell could not be run
DEFAULTS = {"keepalive": ("2",), "deadtime": ("5",), "faults": ("node-kill",), "trials": 5, "parallel": 1}


@dataclass
class Sweep:
    """A sweep as its folder has it. done: the cells that were measured, as they stand in the answer."""

    folder: RunFolder
    parameters: Parameters
    cells: Sequence[Cell]
    skipped: Sequence[Skipped]
    done: dict[Key, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def new(cls, root: Path, spec: Spec, asked: Mapping[str, Any]) -> "Sweep":
        """A sweep that can be taken up from now on, whatever happens.

        asked: the values of Parameters by name; what is None or not there gets its default. Raises BadInput.
        """
        given = {name: value for name, value in asked.items() if value is not None}
        parameters = Parameters(spec=spec, **{**DEFAULTS, "seed": random.randrange(2**31), **given})
        cells, skipped = grid.plan(parameters)
        made = cls(RunFolder.create(root, "sweep"), parameters, cells, skipped)
        made.keep()
        return made

    @classmethod
    def resumed(cls, path: Path, asked: Mapping[str, Any]) -> "Sweep":
        """The sweep of a folder, with its own parameters. Raises BadInput if others are asked for."""
        try:
            document = json.loads((path / SWEEP).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise BadInput(f"{path} is no sweep's folder, or its {SWEEP} cannot be read: {error}") from error
        with as_written(path / SWEEP):
            parameters = Parameters.of(document["parameters"])
            measured = {_key(cell): cell for cell in document["cells"] if cell["error"] is None}
            cells, skipped = grid.plan(parameters)
        for name, value in asked.items():
            stored = getattr(parameters, name)
            if value not in (None, stored):
                raise BadInput(
                    f"{path} has {_said(stored)} for {name}, not {_said(value)}; a sweep goes on as it began"
                )
        return cls(RunFolder(path), parameters, cells, skipped, measured)

    def document(self) -> dict[str, Any]:
        """What `labkit sweep --json` answers and sweep.json keeps."""
        return {
            "sweep": str(self.folder.path),
            "complete": not grid.missing(self.cells, self.done),
            "parameters": self.parameters.document(),
            "cells": [self.done[cell.key] for cell in self.cells if cell.key in self.done],
            "skipped": [asdict(one) for one in self.skipped],
        }

    def run(self, pairs: Pairs, progress: Progress) -> None:
        """Measures the cells that are missing. One that cannot be run is recorded with its error, and the next begins
        with labs of its own."""
        left = grid.missing(self.cells, self.done)
        trials = len(self.parameters.numbers)
        clock = Clock(len(left) * trials, trials)
        self.keep()
        try:
            for cell in left:
                title = f"cell {len(self.done) + 1} of {len(self.cells)}, {cell}"
                progress.step(f"{title}{clock.left()}")
                one = self.measure(cell, partial(self._trials, cell, pairs, progress, clock, title))
                progress.step(f"  {told(one)}")
        finally:
            self.tell()

    def _trials(
        self, cell: Cell, pairs: Pairs, progress: Progress, clock: "Clock", title: str, folder: RunFolder
    ) -> None:
        def watch(event: Event) -> None:
            if event["event"] == "trial-end":
                clock.done += 1
                progress.detail(f"{title}: trial {event['trial']} of {self.parameters.trials} is done{clock.left()}")

        pairs.run(cell.spec, self.parameters.scenario(cell), folder, watch)

    def measure(self, cell: Cell, fill: Callable[[RunFolder], None]) -> dict[str, Any]:
        """Has a new run folder of a cell filled, judges it, and keeps the cell, which is returned as in the answer.

        fill: where it raises a LabkitError, that is recorded as the cell's error.
        """
        folder = RunFolder.create(self.folder.path, cell.slug)
        result, error = None, None
        try:
            fill(folder)
            result = judge(folder)
        except LabkitError as trouble:
            error = str(trouble)
            with suppress(LabkitError):  # for its report; the cell's own trouble is the one to tell
                judge(folder)
        self.done[cell.key] = one = {
            "timing": cell.timing,
            "fault": cell.fault,
            "summary": result and result["summary"],
            "predicted": result and result["predicted"],
            "checks": result["checks"] if result else [],
            "flagged": result["flagged"] if result else [],
            "verdict": verdict(result) if result else ERROR,
            "error": error,
            "hosts": result["hosts"] if result else [],
            "run": str(folder.path),
        }
        self.keep()
        return one

    def keep(self) -> None:
        """Writes what is done."""
        self.folder.write_json(SWEEP, self.document())

    def tell(self) -> None:
        """Writes the page."""
        self.folder.write(PAGE, page.render(self.document()))


def told(cell: Mapping[str, Any]) -> str:
    """A cell in a few words."""
    if cell["error"] is not None:
        return f"{ERROR}: {cell['error'].splitlines()[0]}"
    outage = cell["summary"]["outage_ms"]
    if outage["median"] is None:
        return f"{cell['verdict']}: no outage was measured"
    spread = f"[{duration(outage['min'])} to {duration(outage['max'])}]"
    busy = f"; trials {', '.join(map(str, cell['flagged']))} on a busy machine" if cell.get("flagged") else ""
    return f"{cell['verdict']}: median outage {duration(outage['median'])} {spread}{busy}"


class Clock:
    """How long the rest will take, if its trials cost what those done have cost, labs and all.

    telling: trials of a cell, before which it says nothing: the first ones bear all of their lab's start.
    """

    def __init__(self, trials: int, telling: int) -> None:
        self._trials = trials
        self._telling = telling
        self._begun_ns = now_ns()
        self.done = 0

    def left(self) -> str:
        if self.done < self._telling:
            return ""
        seconds = (now_ns() - self._begun_ns) / SECOND / self.done * max(self._trials - self.done, 0)
        return f"; about {seconds / 60:.0f} min left" if seconds >= 90 else f"; about {seconds:.0f} s left"


def _key(cell: Mapping[str, Any]) -> Key:
    return cell["timing"]["keepalive_ms"], cell["timing"]["deadtime_ms"], cell["fault"]


def _said(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
