"""A sweep on many machines: its trials go in batches to workers of Dask's, and come back as run folders. Needs the
extra `cluster`."""

import logging
import secrets
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from distributed import Client, Future, as_completed
from typing_extensions import Self

import labkit
from labkit.campaign import grid
from labkit.campaign.batch import PAIRS, Batch, Outcome, batches, unpack
from labkit.campaign.grid import Cell, Key
from labkit.campaign.pairs import outline
from labkit.campaign.shares import SHARES, pool
from labkit.campaign.sweep import Clock, Sweep, told
from labkit.campaign.worker import measure, require_settings, stop, version
from labkit.errors import NotAvailable
from labkit.progress import Progress
from labkit.store import HISTORY, RunFolder

CONNECT_S = 10.0
NAMED = 10  # missing trials that an error names


class Cluster:
    """The workers of one scheduler; a context manager that leaves neither tasks nor labs of its sweep on them."""

    def __init__(self, address: str, progress: Progress) -> None:
        """Raises NotAvailable if no scheduler answers, or if one of the machines has another labkit, and BadInput where
        Dask's settings do not suit the address."""
        require_settings(address, "client")
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._address = address
        self._progress = progress
        self._session = secrets.token_hex(4)
        self._futures: dict[Future[Outcome], tuple[Cell, Batch]] = {}
        try:
            self._client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, ImportError) as error:  # the last for a protocol that takes another package
            raise NotAvailable(
                f"no scheduler answers at {address} ({error}); `dask scheduler --host 127.0.0.1` starts one"
            ) from error
        try:
            self._require_same_version()
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._client.status == "running":
                if kind is not None:
                    self._progress.step("the workers end their trials and remove their labs; Ctrl-C does not wait")
                self._client.cancel([*self._futures], force=True)
                self._client.run(stop, self._session, on_error="ignore")
        finally:
            self._client.close()

    def run(self, sweep: Sweep, size: int, shared: Path | None) -> None:
        """Measures the cells that are missing, in batches of so many trials. What came back of a cell before is kept.

        shared: a path that all workers and this process know by that name. Raises NotAvailable if the scheduler goes.
        """
        left = grid.missing(sweep.cells, sweep.done)
        root = sweep.folder.path / SHARES if shared is None else shared.absolute() / sweep.folder.path.name
        places = {cell.key: root / cell.slug for cell in left}
        sweep.keep()
        for at, cell in enumerate(left):
            self._submit(sweep, cell, places[cell.key], size, shared is not None, priority=-at)
        outstanding = Counter(cell.key for cell, _ in self._futures.values())
        clock = Clock(sum(len(batch.numbers) for _, batch in self._futures.values()), size)
        errors: dict[Key, str] = {}
        try:
            for cell in [cell for cell in left if not outstanding[cell.key]]:
                self._finish(sweep, cell, places[cell.key], None)
            for future in as_completed([*self._futures], loop=self._client.loop):
                cell, batch = self._futures.pop(future)
                came = self._came_back(future)
                if isinstance(came, Outcome):
                    if came.archive is not None:
                        unpack(came.archive, places[cell.key] / batch.name)
                    clock.done += len(batch.numbers)
                    done = f"trials {', '.join(map(str, batch.numbers))} by {came.worker}{clock.left()}"
                    self._progress.detail(f"{cell}: {done}")
                else:
                    errors.setdefault(cell.key, came)
                    self._progress.step(f"{cell}: {came.splitlines()[0]}")
                outstanding[cell.key] -= 1
                if not outstanding[cell.key]:
                    self._finish(sweep, cell, places[cell.key], errors.get(cell.key))
        finally:
            sweep.tell()

    def _submit(self, sweep: Sweep, cell: Cell, place: Path, size: int, shared: bool, priority: int) -> None:
        """Hands out the trials of a cell that are not there yet."""
        there = {number for share in _shares(place) for number in outline(share)[1]}
        scenario = sweep.parameters.scenario(cell)
        for some in batches([number for number in scenario.numbers if number not in there], size):
            batch = Batch(
                sweep.folder.path.name,
                self._session,
                labkit.__version__,
                cell.slug,
                cell.spec,
                cell.fault,
                scenario.trials,
                scenario.seed,
                some,
                str(place) if shared else None,
            )
            future = self._client.submit(measure, batch, key=batch.key, resources={PAIRS: 1}, priority=priority)
            self._futures[future] = cell, batch

    def _came_back(self, future: Future[Outcome]) -> Outcome | str:
        """A batch's outcome, or why there is none: whatever a worker raised, or what Dask says of a batch whose workers
        died again and again. Raises NotAvailable if the scheduler has gone."""
        if future.status in ("cancelled", "lost"):
            raise NotAvailable(f"the scheduler at {self._address} has gone")
        try:
            outcome: Outcome = future.result()
        except Exception as error:
            return str(error) or type(error).__name__
        finally:
            future.release()
        return outcome

    def _finish(self, sweep: Sweep, cell: Cell, place: Path, error: str | None) -> None:
        """The runs of a cell become one; where some are missing, that is the cell's error."""

        def fill(folder: RunFolder) -> None:
            if shares := _shares(place):
                pool(folder, shares, len(sweep.parameters.numbers))
            if error is not None:
                raise NotAvailable(error)
            there = {number for share in shares for number in outline(share)[1]}
            if missing := [str(number) for number in sweep.parameters.numbers if number not in there]:
                more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
                raise NotAvailable(
                    f"{place} lacks trials that workers have run: {', '.join(missing[:NAMED])}{more}; it has to be the"
                    f" same folder on all machines. `labkit sweep --resume {sweep.folder.path}` runs them again"
                )

        self._progress.step(f"{cell}: {told(sweep.measure(cell, fill))}")
        for unfinished in place.glob(".*.part"):  # of workers that were killed
            shutil.rmtree(unfinished, ignore_errors=True)

    def _require_same_version(self) -> None:
        """Tasks are Python objects, which another version may take for something else."""
        found: dict[str, object] = {"the scheduler": None}
        with suppress(Exception):  # it says whatever its Python says of a module that it lacks
            found["the scheduler"] = self._client.run_on_scheduler(version)
        workers = self._client.run(version, on_error="return")
        for name, one in {**found, **workers}.items():
            if one != labkit.__version__:
                has = f"labkit {one}" if isinstance(one, str) else "no labkit that can be asked"
                raise NotAvailable(
                    f"{name} has {has}, and this is labkit {labkit.__version__}: install the same everywhere"
                )
        if not workers:
            self._progress.step(f"no worker is there yet; `labkit worker {self._address}` starts one")


def _shares(place: Path) -> list[RunFolder]:
    """The runs that lie there, the lowest trials first."""
    found = [RunFolder(path.parent) for path in place.glob(f"[!.]*/{HISTORY}")]
    return sorted(found, key=lambda share: min(outline(share)[1], default=0))
