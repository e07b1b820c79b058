"""Sweeps on workers: on two with a Docker engine each, one of which is killed while it is at work; and the end of the
others, of the sweep by Ctrl-C and of the scheduler."""

import json
from contextlib import ExitStack
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import jsonschema
import pytest

from labkit import history
from labkit.campaign.shares import SHARES
from labkit.campaign.sweep import SWEEP
from labkit.cli.common import INTERRUPTED
from labkit.engine import Engine
from labkit.engine.way import Way
from labkit.errors import NotAvailable
from labkit.store import RunFolder
from labkit.timing import wait_until
from tests import engines
from tests.e2e.helpers import ROOT, Running, leftovers, named, swept
from tests.workers import scheduler

STAYS, DIES = named("w1"), named("w2")
GRID = ("--keepalive", "1", "--deadtime", "3", "--fault", "node-kill", "--trials", "3", "--seed", "7", "--batch", "1")
BATCH_S = 300.0  # until a batch has begun, or all are done, on a machine that has much else to do


def worker(address: str, name: str, engine: str, folder: Path, *options: str) -> Running:
    """folder: where its runs are written before they are sent."""
    folder.mkdir(exist_ok=True)
    return Running("worker", address, "--name", name, *options, env={"DOCKER_HOST": engine, "TMPDIR": str(folder)})


def struck(folder: Path) -> bool:
    """Whether the fault of a trial has struck, by the history that a worker writes there."""
    return any(b'"stage":"inject"' in written.read_bytes() for written in folder.glob("labkit-*/history.jsonl"))


@engines.takes_one
@pytest.mark.timeout(900)
def test_a_worker_that_is_killed_loses_no_trial(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, working_folder: Path
) -> None:
    """In the middle of an outage: its trials run again on the other one, so that each is there once. What it left on
    its engine it removes when it starts again; a worker that is asked to end leaves nothing."""
    lab = f"{DIES}-1-p1"
    folder = tmp_path_factory.mktemp("two")  # short: a socket's path has no room for a test's name
    with (
        engines.second_engine(folder / "engine", engine) as second,
        second.client() as client,
        scheduler(folder) as address,
        swept(engine, f"{STAYS}-1-p1"),
        swept(other := Engine(client, Way(second.url, second.url, False, ())), lab),
    ):
        workers = [
            worker(address, STAYS, engine.where, folder / STAYS),
            worker(address, DIES, second.url, folder / DIES),
        ]
        for one in workers:
            one.await_line("works for")
        sweep = Running("sweep", "--scheduler", address, *GRID)
        for one in workers:
            one.await_line(": 1-3-node-kill, trials", BATCH_S)
        wait_until(
            lambda: struck(folder / DIES), bool, BATCH_S, "a fault has struck", lambda: workers[1].output, every_s=0.05
        )
        workers[1].send(SIGKILL)
        workers[1].finish()
        done = sweep.finish(BATCH_S)
        assert done.exit_code in (0, 1, 2), done.stdout  # by this machine's speed, too
        assert "Traceback" not in done.stdout

        (runs,) = (working_folder / "runs").iterdir()
        document = json.loads((runs / SWEEP).read_text())
        jsonschema.validate(document, json.loads((ROOT / "docs" / "sweep.schema.json").read_text()))
        (cell,) = document["cells"]
        assert cell["error"] is None
        run = RunFolder.open(working_folder / cell["run"])
        assert [trial.number for trial in history.trials(history.read(run.history))] == [1, 2, 3]
        shares = [history.read(path) for path in sorted((runs / SHARES).glob("*/*/history.jsonl"))]
        assert sorted(trial.number for events in shares for trial in history.trials(events)) == [1, 2, 3]
        assert {history.header(events)["worker"] for events in shares} == {STAYS}

        assert leftovers(other, lab)
        again = worker(address, DIES, second.url, folder / DIES)
        again.await_line("works for")
        assert leftovers(other, lab) == []
        for one in (workers[0], again):
            one.send(SIGTERM)
        assert [one.finish().exit_code for one in (workers[0], again)] == [0, 0]
        assert leftovers(engine, f"{STAYS}-1-p1") == []


@pytest.mark.timeout(600)
def test_the_end_of_a_sweep_and_of_the_scheduler(engine: Engine, tmp_path: Path, working_folder: Path) -> None:
    """Ctrl-C at a sweep leaves nothing of it on a worker with two pairs that come up, and the worker works on. Without
    its scheduler a worker ends with 4."""
    labs = [f"{STAYS}-{number}-p1" for number in (1, 2)]
    with ExitStack() as stack:
        for lab in labs:
            stack.enter_context(swept(engine, lab))
        with scheduler(tmp_path) as address:
            one = worker(address, STAYS, engine.where, tmp_path / STAYS, "--pairs", "2")
            one.await_line("works for")
            sweep = Running("sweep", "--scheduler", address, *GRID)
            wait_until(
                lambda: all(leftovers(engine, lab) for lab in labs), bool, BATCH_S, "both come up", lambda: one.output
            )
            sweep.send(SIGINT)
            done = sweep.finish(BATCH_S)
            assert (done.exit_code, "Traceback" in done.stdout) == (INTERRUPTED, False), done.stdout
            assert [leftovers(engine, lab) for lab in labs] == [[], []]
            assert one.alive
        ended = one.finish(BATCH_S)
        assert (ended.exit_code, "Traceback" in ended.stdout) == (NotAvailable.exit_code, False), ended.stdout
