"""A campaign that several hosts share: their runs of a cell become one, and the sweeps of all shards one sweep."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from labkit import history
from labkit.campaign import grid, pairs
from labkit.campaign.compare import unlike_facts
from labkit.campaign.grid import Cell
from labkit.campaign.sweep import SWEEP, Sweep
from labkit.errors import BadInput, NotAvailable
from labkit.history import Event
from labkit.progress import Progress
from labkit.store import RunFolder, as_written

SHARES = "shares"  # inside a sweep's folder: a folder for each cell, and in it one for each host's run


def merge(root: Path, paths: Sequence[Path], progress: Progress) -> Sweep:
    """One sweep out of those of all shards, in a new folder under root, as if one machine had run it.

    A cell that a shard lacks is recorded with that as its error. Raises BadInput for sweeps that are not the shards of
    one.
    """
    shards = _in_order([Sweep.resumed(path, {}) for path in paths])
    parameters = replace(shards[0].parameters, shard=None)
    merged = Sweep(RunFolder.create(root, "sweep"), parameters, *grid.plan(parameters))
    for cell in merged.cells:
        progress.step(str(cell))
        merged.measure(cell, partial(_merge_cell, merged, shards, cell))
    merged.tell()
    return merged


def pool(folder: RunFolder, shares: Sequence[RunFolder], trials: int) -> None:
    """One run out of those of several hosts, whose header says which of them ran what, and in which facts they differ.

    trials: how many there should be. Raises BadInput where hosts have different platforms, or the same trial.
    """
    outlines = [pairs.outline(share) for share in shares]
    heads = [history.header([head] if head else []) for head, _ in outlines]
    platforms = {head["platform"]: head["worker"] for head in reversed(heads)}
    if len(platforms) > 1:
        told = ", ".join(f"{worker} has {platform}" for platform, worker in sorted(platforms.items()))
        raise BadInput(f"{told}: outages of different platforms are not pooled; name one with --platform")
    workers: dict[tuple[str, str], Event] = {}  # by name and facts: two shards' workers may be called the same
    for head, (_, numbers) in zip(heads, outlines, strict=True):
        for one in head.get("workers") or [_alone(head, numbers, heads[0])]:
            key = one["worker"], json.dumps(one["host"], sort_keys=True)
            if key not in workers:
                workers[key] = {**one, "worker": _called(one["worker"], workers), "trials": []}
                if head is not heads[0]:
                    workers[key]["differs"] = _differs(heads[0], head, one)
            workers[key]["trials"] = sorted([*workers[key]["trials"], *one["trials"]])
    times = Counter(number for one in workers.values() for number in one["trials"])
    if twice := [number for number, count in times.items() if count > 1]:
        raise BadInput(f"trial {min(twice)} was run twice, so these are no shares of one run")
    pairs.merge(folder, shares, trials, worker=None, workers=[*workers.values()])


def _called(name: str, others: Iterable[tuple[str, str]]) -> str:
    """A worker's name, with a number behind it if another host has the same."""
    same = sum(name == other for other, _ in others)
    return f"{name} ({same + 1})" if same else name


def _differs(first: Event, head: Event, worker: Event) -> list[str]:
    """In what a worker differs from the first run's host. head: its own run's, whose host it was compared with."""
    beside_host = [text for text in worker["differs"] if not text.startswith("host ")]
    return [*dict.fromkeys([*unlike_facts(first, {**head, "host": worker["host"]}), *beside_host])]


def _alone(head: Event, numbers: Sequence[int], first: Event) -> Event:
    """What the header of a pooled run says of the host of one that is not pooled itself."""
    return {
        "worker": head["worker"],
        "trials": numbers,
        "host": head["host"],
        "differs": unlike_facts(first, head),
    }


def _in_order(shards: list[Sweep]) -> list[Sweep]:
    """Raises BadInput where they are not all shards of one sweep, each once."""
    first = shards[0].parameters
    by_shard: dict[tuple[int, int], Sweep] = {}
    for sweep in shards:
        path, asked = sweep.folder.path, sweep.parameters
        if asked.shard is None:
            raise BadInput(f"{path} is no shard: it was made without --shard, and is whole")
        for name, value in vars(replace(asked, shard=first.shard, parallel=first.parallel)).items():
            if value != getattr(first, name):
                raise BadInput(f"{path} has another {name} than {shards[0].folder.path}: they are not of one sweep")
        place = grid.parse_shard(asked.shard)
        if (there := by_shard.setdefault(place, sweep)) is not sweep:
            raise BadInput(f"{there.folder.path} and {path} are the same shard, {asked.shard}")
    of = {of for _, of in by_shard}
    if len(of) > 1:
        raise BadInput(f"the shards are of different numbers: some of {min(of)}, some of {max(of)}")
    count = of.pop()
    if missing := [f"{one}/{count}" for one in range(1, count + 1) if (one, count) not in by_shard]:
        raise BadInput(f"shards are missing: {', '.join(missing)}")
    return [by_shard[one, count] for one in range(1, count + 1)]


def _merge_cell(merged: Sweep, shards: Sequence[Sweep], cell: Cell, folder: RunFolder) -> None:
    shares = []
    for number, shard in enumerate(shards, 1):
        path = shard.folder.path
        if cell.key not in shard.done:
            raise NotAvailable(
                f"shard {shard.parameters.shard} has not measured {cell}; `labkit sweep --resume {path}` does"
            )
        with as_written(path / SWEEP):
            there = path / Path(shard.done[cell.key]["run"]).name  # wherever it was when it was measured
        share = merged.folder.part(f"{SHARES}/{cell.slug}/{number}")
        shutil.copytree(RunFolder.open(there).path, share.path, dirs_exist_ok=True)
        shares.append(share)
    pool(folder, shares, merged.parameters.trials)
