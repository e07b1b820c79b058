"""A worker of Dask's that runs trials: one Docker engine, so many pairs. Needs the extra `cluster`.

A pair stays up between two batches with the same settings, and goes when nobody has used it for a while. Its labs are
called after the worker, WORKER-1-p1, WORKER-2-p1 and so on; their locks are held for as long as the worker lives.
"""

import asyncio
import logging
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from distributed import Reschedule, Security, Status, Worker, WorkerPlugin, get_worker

import labkit
from labkit import faults
from labkit.campaign.batch import PAIRS, PLUGIN, Batch, Outcome, pack
from labkit.campaign.pairs import REMOVE_EVERY_S, Pairs
from labkit.campaign.turns import Turns
from labkit.cluster import lock
from labkit.engine import Engine
from labkit.errors import BadInput, LabkitError, NotAvailable
from labkit.progress import Progress
from labkit.runner import Scenario
from labkit.spec import Spec
from labkit.store import RunFolder

IDLE_S = 60.0  # a pair that nobody has used for so long is removed
CONNECT_S = 10.0
ENGINE = ".worker"  # stands for a lab's name in the lock that the one worker of an engine has; no lab is called so
CLOSE_S = 30.0


@dataclass
class _Pair:
    """One pair of the worker. session: of the sweep that had it last; uses: how often it was taken."""

    pairs: Pairs
    session: str = ""
    uses: int = 0
    busy: bool = False


class Keeper(WorkerPlugin):
    """Gives each batch a pair. All methods may be called from any thread."""

    name = PLUGIN

    def __init__(
        self, worker: str, pairs: list[Pairs], progress: Progress, answers: Callable[[], bool] = lambda: True
    ) -> None:
        """answers: whether the engine does. lost is called, from any thread, when it was found that it does not."""
        self.lost: Callable[[], object] = lambda: None
        self._answers = answers
        self._worker = worker
        self._pairs = [_Pair(one) for one in pairs]
        self._progress = progress
        self._changed = threading.Condition()
        self._stopped: set[str] = set()
        self._closing = False

    def measure(self, batch: Batch) -> Outcome:
        """Runs a batch. Raises NotAvailable, with the worker's name, if that cannot be done, and Dask's Reschedule if
        this worker is about to end, or its engine has gone, so that another one runs it."""
        if batch.labkit != labkit.__version__:
            raise NotAvailable(f"{self._worker} has labkit {labkit.__version__}, and the sweep has {batch.labkit}")
        try:
            with self._pair_for(batch) as pair, _folder(batch) as folder:
                self._progress.step(f"{batch.sweep}: {batch.cell}, trials {', '.join(map(str, batch.numbers))}")
                scenario = Scenario(
                    faults.fault(batch.fault),
                    batch.trials,
                    batch.seed,
                    share=batch.numbers,
                    pairs=len(self._pairs),
                    worker=self._worker,
                )
                pair.pairs.run(batch.spec, scenario, folder, lambda event: None)
                return Outcome(self._worker, None if batch.shared else pack(folder.path))
        except Exception as error:  # a lab that is removed under a trial can break it anywhere
            if not self._closing and not self._answers():  # every batch that came here would fail, one after the other
                self._closing = True
                self.lost()
            if self._closing:
                raise Reschedule from None
            told = str(error) if isinstance(error, LabkitError) else f"{type(error).__name__}: {error}"
            self._progress.step("its sweep was ended" if batch.session in self._stopped else f"failed: {told}")
            raise NotAvailable(f"{self._worker}: {told}") from None

    def stop(self, session: str) -> None:
        """Ends what runs for a sweep, and removes its labs. Returns when none is left."""
        with self._changed:
            self._stopped.add(session)
        self._remove(lambda pair: pair.session == session)

    def close(self) -> None:
        """Ends everything. Returns when no lab is left; batches that come later are refused."""
        self._closing = True
        self._remove(lambda pair: True)

    async def teardown(self, worker: Worker) -> None:
        """Dask ends the worker, as it does when the scheduler has gone."""
        with suppress(LabkitError):  # Dask would print its traceback; serve() removes the labs again, and tells
            await asyncio.to_thread(self.close)

    @contextmanager
    def _pair_for(self, batch: Batch) -> Iterator[_Pair]:
        """A pair that nobody uses, if possible one that was used for the same sweep."""
        with self._changed:
            while not (free := [pair for pair in self._pairs if not pair.busy]):
                self._changed.wait()
            if self._closing or batch.session in self._stopped:
                raise NotAvailable("the sweep or the worker was ended")
            pair = max(free, key=lambda one: one.session == batch.session)
            pair.busy, pair.session, pair.uses = True, batch.session, pair.uses + 1
            uses = pair.uses
        try:
            yield pair
        finally:
            self._free(pair)
            idle = threading.Timer(IDLE_S, self._remove_idle, (pair, uses))
            idle.daemon = True
            idle.start()

    def _free(self, pair: _Pair) -> None:
        with self._changed:
            pair.busy = False
            self._changed.notify_all()

    def _remove_idle(self, pair: _Pair, uses: int) -> None:
        """Removes a pair that nobody has used since. One that cannot be removed is tried again when the worker ends."""
        try:
            self._remove(lambda one: one is pair and one.uses == uses, also_busy=False)
        except LabkitError as error:
            self._progress.step(f"cannot remove a pair that is not used: {error}")

    def _remove(self, which: Callable[[_Pair], bool], also_busy: bool = True) -> None:
        """Removes the labs of some pairs. A batch that runs on one ends soon without its lab; what it was making at
        that moment has to be removed again. Raises what went wrong with one of them, when the others are gone."""
        while True:
            with self._changed:
                chosen = [pair for pair in self._pairs if which(pair) and pair.session]
                busy = [pair for pair in chosen if pair.busy]
                free = [pair for pair in chosen if not pair.busy]
                if not busy or not also_busy:
                    for pair in free:
                        pair.busy = True  # nobody gets it before its lab is gone
                    break
            for pair in busy:
                with suppress(Exception):  # it is tried again until the batch has ended
                    pair.pairs.remove()
            with self._changed:
                self._changed.wait_for(partial(_all_free, busy), REMOVE_EVERY_S)
        with ExitStack() as each:
            for pair in free:
                each.callback(self._free_without_lab, pair)

    def _free_without_lab(self, pair: _Pair) -> None:
        try:
            pair.pairs.remove()
            pair.session = ""
        finally:
            self._free(pair)


def _all_free(pairs: Sequence[_Pair]) -> bool:
    return not any(pair.busy for pair in pairs)


def measure(batch: Batch) -> Outcome:
    """The task: runs a batch on the worker that it comes to. Raises NotAvailable and Reschedule as Keeper.measure."""
    worker = get_worker()
    keeper = worker.plugins.get(PLUGIN)
    if not isinstance(keeper, Keeper):
        raise NotAvailable(f"the worker {worker.name} was not started by `labkit worker`")
    return keeper.measure(batch)


def version() -> str:
    """To be run everywhere before a sweep begins; who has no such module has another labkit."""
    return labkit.__version__


async def stop(session: str, dask_worker: Worker) -> None:
    """To be run on every worker when a sweep ends, however it ends."""
    keeper = dask_worker.plugins.get(PLUGIN)
    if isinstance(keeper, Keeper):
        await asyncio.to_thread(keeper.stop, session)


def require_settings(address: str, role: Literal["client", "worker"]) -> None:
    """Raises BadInput where Dask's settings do not suit an address. Dask itself would say so when it has begun to
    connect, with an error of Python's, and could not end any more."""
    try:
        security = Security()
        certified = security.get_connection_args(role).get("ssl_context") is not None
    except (OSError, ValueError) as error:
        raise BadInput(f"Dask's settings for TLS name files that cannot be used: {error}") from error
    if address.startswith("tls://") and not certified:
        raise BadInput(f"{address} takes certificates, and none are set; `labkit help cluster` shows the settings")
    if security.require_encryption and not address.startswith("tls://"):
        raise BadInput(f"Dask's settings demand encryption, and {address} has none; write tls:// in place of tcp://")


def serve(address: str, name: str, host: str, engine: Engine, spec: Spec, pairs: int, progress: Progress) -> None:
    """Works for a scheduler until a signal ends it; then it returns, and no lab is left.

    host: what it listens on. Raises NotAvailable if no scheduler answers, or when it or the engine has gone, and if the
    engine has a worker of this user already; BadInput if a lab cannot have such a name, or where Dask's settings do not
    suit the address.
    """
    require_settings(address, "worker")
    logging.getLogger("distributed").setLevel(logging.ERROR)
    turns = Turns(engine.facts.cpus) if pairs > 1 else None
    busy = f"the engine at {engine.where} has a worker already, to which `--pairs` can give more; end it first"
    with ExitStack() as stack:
        stack.enter_context(lock.held(ENGINE, engine.identity, progress, busy))
        held = [
            stack.enter_context(Pairs(engine, spec.with_options(name=f"{name}-{number}"), 1, progress, turns=turns))
            for number in range(1, pairs + 1)
        ]
        for one in held:
            one.remove()  # a worker of this name that was killed may have left it
        keeper = Keeper(name, held, progress, engine.answers)
        asyncio.run(_work(address, name, host, keeper, pairs, progress))


async def _work(address: str, name: str, host: str, keeper: Keeper, pairs: int, progress: Progress) -> None:
    asked, lost = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    keeper.lost = partial(loop.call_soon_threadsafe, lost.set)
    worker = Worker(
        address,
        name=name,
        host=host,
        nthreads=pairs,
        resources={PAIRS: pairs},
        plugins=(keeper,),
        death_timeout=CONNECT_S,
    )
    try:
        await worker
    except Exception as error:  # Dask wraps what went wrong in a RuntimeError
        raise NotAvailable(
            f"cannot work for the scheduler at {address}: {error.__cause__ or error}; `dask scheduler --host 127.0.0.1`"
            " starts one"
        ) from error
    progress.step(f"{name} works for {address}, on {pairs} {'pair' if pairs == 1 else 'pairs'}; Ctrl-C ends it")
    ended = asyncio.create_task(worker.finished())
    ends = [ended, *(asyncio.create_task(one.wait()) for one in (asked, lost))]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        raise NotAvailable(f"the scheduler at {address} has gone, or has sent {name} away")
    progress.step("removing the labs; what was begun is run by other workers")
    worker.status = Status.closing_gracefully  # so that nothing comes back that is given back now
    try:
        await asyncio.to_thread(keeper.close)
    except NotAvailable:
        if not lost.is_set():
            raise
    finally:
        await worker.close(CLOSE_S)
    if lost.is_set():
        raise NotAvailable(f"the engine of {name} does not answer any more; its labs may still be there: `labkit gc`")


@contextmanager
def _folder(batch: Batch) -> Iterator[RunFolder]:
    """Where a batch's run is written: on the shared path it gets its name when it is whole."""
    if batch.shared is None:
        with tempfile.TemporaryDirectory(prefix="labkit-") as place:
            yield RunFolder(Path(place))
        return
    root = Path(batch.shared)
    folder = RunFolder(root).part(f".{batch.name}.{secrets.token_hex(4)}.part")
    try:
        yield folder
        if not (root / batch.name).exists():  # a worker that was given up for lost may have come back
            folder.path.rename(root / batch.name)
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)
