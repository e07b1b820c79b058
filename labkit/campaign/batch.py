"""What a sweep hands to a worker, and what it gets back. Both sides have to be of the same labkit."""

import io
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.spec import Spec

PAIRS = "pairs"  # the resource of Dask's of which a worker has one for each pair, and a batch needs one
PLUGIN = "labkit"


@dataclass(frozen=True)
class Batch:
    """Some trials of a cell, run one after another on one pair.

    sweep, session: the sweep's name, and the command's that is at work on it. cell: what its folders are called after.
    labkit: the sweep's version. shared: where the runs of the cell lie on a path that worker and sweep share; None to
    have them sent back.
    """

    sweep: str
    session: str
    labkit: str
    cell: str
    spec: Spec
    fault: str
    trials: int
    seed: int
    numbers: tuple[int, ...]
    shared: str | None

    @property
    def name(self) -> str:
        """Of its run folder; no other batch of the cell begins with the same trial."""
        return f"{self.numbers[0]}-to-{self.numbers[-1]}"

    @property
    def key(self) -> tuple[str, ...]:
        """Dask's name for it: the same whenever the sweep is taken up again. Its first part groups the tasks in Dask's
        own displays."""
        return ("labkit-trials", self.sweep, self.cell, self.name)


@dataclass(frozen=True)
class Outcome:
    """Who ran a batch, and its run folder as a tar archive; None if that lies on the shared path."""

    worker: str
    archive: bytes | None


def batches(numbers: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Trials in batches of a size; the last one may be smaller."""
    return [tuple(numbers[first : first + size]) for first in range(0, len(numbers), size)]


def pack(folder: Path) -> bytes:
    """A folder as a compressed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        archive.add(folder, arcname=".")
    return buffer.getvalue()


def unpack(archive: bytes, folder: Path) -> None:
    """The folder of an archive, there whole or not at all. Nothing is written outside of it."""
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
        packed.extractall(unfinished, filter="data")
    unfinished.rename(folder)
