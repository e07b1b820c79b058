"""What a sweep is to measure: every timing with every fault, less what Heartbeat refuses. Pure."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labkit import faults
from labkit.errors import BadInput
from labkit.heartbeat.times import parse_time, show_ms
from labkit.runner import Scenario
from labkit.spec import Spec
from labkit.store import plain

Key = tuple[float, float, str]
"""What tells cells apart: keepalive and deadtime in ms, and the fault."""


@dataclass(frozen=True)
class Cell:
    """One timing with one fault."""

    spec: Spec
    fault: str

    @property
    def key(self) -> Key:
        return self.spec.timing.keepalive_ms, self.spec.timing.deadtime_ms, self.fault

    @property
    def timing(self) -> dict[str, float]:
        return timing_of(self.spec)

    @property
    def slug(self) -> str:
        """What its folders are called after."""
        return plain(f"{self.spec.timing.keepalive}-{self.spec.timing.deadtime}-{self.fault}")

    def __str__(self) -> str:
        return f"{self.fault} at {show_ms(self.key[0])} / {show_ms(self.key[1])}"


@dataclass(frozen=True)
class Skipped:
    """A timing that cannot be, in ms, and why."""

    timing: dict[str, float]
    why: str

    def __str__(self) -> str:
        return f"{show_ms(self.timing['keepalive_ms'])} / {show_ms(self.timing['deadtime_ms'])}: {self.why}"


@dataclass(frozen=True)
class Parameters:
    """All that makes a sweep what it is, as its folder keeps it. spec: the lab's, whose timing the grid replaces.

    shard: `i/N`, where the sweep is one of N that share the trials of each cell.
    """

    spec: Spec
    keepalive: tuple[str, ...]
    deadtime: tuple[str, ...]
    faults: tuple[str, ...]
    trials: int
    seed: int
    parallel: int
    shard: str | None = None

    @property
    def numbers(self) -> Sequence[int]:
        """The trials of each cell that this sweep measures: all, or its hand of those dealt to the shards. Raises
        BadInput for what is no shard, and for more shards than trials."""
        every = range(1, self.trials + 1)
        if self.shard is None:
            return every
        place, of = parse_shard(self.shard)
        if of > self.trials:
            raise BadInput(f"--shard: {self.trials} trials a cell are too few for {of} shards; take at most that many")
        return every[place - 1 :: of]

    def scenario(self, cell: Cell) -> Scenario:
        """What is to be run for a cell."""
        return Scenario(
            faults.fault(cell.fault),
            self.trials,
            self.seed,
            share=self.numbers,
            worker=None if self.shard is None else f"shard {self.shard}",
        )

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        plain = {**asdict(self), "spec": self.spec.model_dump(mode="json")}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Parameters":
        """Raises ValueError, KeyError or TypeError if they are none, or of another version."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return cls(**{**values, "spec": Spec.model_validate(document["spec"])})


def parse_shard(text: str) -> tuple[int, int]:
    """Which shard, from 1, and of how many: `2/3`. Raises BadInput."""
    found = re.fullmatch(r"([1-9]\d{0,4})/([1-9]\d{0,4})", text)
    if found is None or int(found[1]) > int(found[2]):
        raise BadInput(f"--shard: {text!r} is no shard; write 2/3 for the second of three")
    return int(found[1]), int(found[2])


def listed(option: str, text: str) -> tuple[str, ...]:
    """The values of an option that takes several, separated by commas; each once. Raises BadInput for an empty one.

    A fault's parameters have commas between them, too: what begins like `loops=` belongs to the value before it.
    """
    values = [value.strip() for value in re.split(r",(?!\s*\w+=)", text)]
    if "" in values:
        raise BadInput(f"{option}: {text!r} has an empty value; write them like this: 1,2,3")
    return tuple(dict.fromkeys(values))


def plan(parameters: Parameters) -> tuple[list[Cell], list[Skipped]]:
    """All cells, the faults of one timing next to each other so that they share a lab, and the skipped timings.

    Raises BadInput for what is no time or no fault, and where no timing is left; NotAvailable for a fault that needs
    more privileges.
    """
    faults.require(parameters.spec, *map(faults.fault, parameters.faults))
    _ = parameters.numbers  # tells what is wrong with them before anything is made
    cells, skipped = [], []
    for keepalive, deadtime in _timings(parameters):
        try:
            spec = parameters.spec.with_options(keepalive=keepalive, deadtime=deadtime)
        except BadInput as error:
            timing = {"keepalive_ms": parse_time(keepalive), "deadtime_ms": parse_time(deadtime)}
            skipped.append(Skipped(timing, str(error)))
            continue
        cells += [Cell(spec, fault) for fault in parameters.faults]
    if not cells:
        raise BadInput("no timing of the grid is possible:\n" + "\n".join(map(str, skipped)))
    return cells, skipped


def missing(cells: Collection[Cell], done: Collection[Key]) -> list[Cell]:
    """The cells that are still to be measured, in order."""
    return [cell for cell in cells if cell.key not in done]


def timing_of(spec: Spec) -> dict[str, float]:
    return {"keepalive_ms": spec.timing.keepalive_ms, "deadtime_ms": spec.timing.deadtime_ms}


def _timings(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """Every pair of times once, however it is written: `1` and `1000ms` are the same. Raises BadInput for no time."""
    seen = set()
    for keepalive in parameters.keepalive:
        for deadtime in parameters.deadtime:
            timing = parse_time(keepalive), parse_time(deadtime)
            if timing not in seen:
                seen.add(timing)
                yield keepalive, deadtime
