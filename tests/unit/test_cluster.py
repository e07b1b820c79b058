"""A sweep on workers of Dask's: a real scheduler and real workers, in this process, whose pairs only pretend."""

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import dask
import pytest
from distributed import Reschedule, Scheduler, SpecCluster, Worker
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import labkit
from labkit import history
from labkit.campaign import cluster as cluster_module
from labkit.campaign.batch import PAIRS, Batch, batches, pack, unpack
from labkit.campaign.cluster import Cluster
from labkit.campaign.pairs import Pairs
from labkit.campaign.shares import SHARES
from labkit.campaign.sweep import Sweep
from labkit.campaign.worker import Keeper, require_settings, serve
from labkit.cli import app
from labkit.engine import Engine
from labkit.errors import BadInput, NotAvailable, Unsettled
from labkit.progress import Silent
from labkit.runner import Scenario, Watch
from labkit.spec import Spec
from labkit.store import RunFolder
from tests.unit.test_lock import HERE, holding, line_of
from tests.unit.test_shares import ASKED, SeededPairs, swept, trials_of

LONG_S = 60.0
ROLES = ("client", "worker")


class WorkersPairs(SeededPairs):
    """Pretended pairs of a worker, which note what they ran; they can hang until they are removed, end with an error
    then, fail at a trial, and be such that nothing removes them."""

    def __init__(
        self, mac: str, hang: bool = False, fail_at: int | None = None, error: Exception | None = None
    ) -> None:
        super().__init__(mac)
        self.error = error or Unsettled("gave up")
        self.stays = False
        self.together: threading.Barrier | None = None  # pairs whose next runs are at the same time
        self.ran: list[int] = []
        self.hang = hang
        self.fail_at = fail_at
        self.hanging = threading.Event()
        self.removed = threading.Event()

    def run(self, spec: Spec, scenario: Scenario, folder: RunFolder, watch: Watch) -> None:
        if self.hang:
            self.hanging.set()
            assert self.removed.wait(LONG_S)
            raise self.error
        if self.fail_at in scenario.numbers:
            raise self.error
        if self.together is not None:
            together, self.together = self.together, None
            together.wait(LONG_S)
        self.ran += scenario.numbers
        super().run(spec, scenario, folder, watch)

    def remove(self) -> None:
        if self.stays:
            raise NotAvailable("the engine is busy")
        self.removed.set()


def kept_by(*pairs: WorkersPairs) -> Keeper:
    return Keeper("w1", [cast(Pairs, one) for one in pairs], Silent())


def batch_of(session: str, *numbers: int) -> Batch:
    return Batch("sweep", session, labkit.__version__, "2-5-none", Spec(), "none", 6, 1, numbers, None)


@contextmanager
def working(**pairs: WorkersPairs) -> Iterator[SpecCluster]:
    """A scheduler with a worker for each pair, called by its name."""
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    workers = {
        name: {
            "cls": Worker,
            "options": {
                **here,
                "nthreads": 1,
                "resources": {PAIRS: 1},
                "plugins": (Keeper(name, [cast(Pairs, one)], Silent()),),
            },
        }
        for name, one in pairs.items()
    }
    with SpecCluster(workers, {"cls": Scheduler, "options": {**here, "port": 0}}, silence_logs=50) as made:
        yield made


def measured(address: str, sweep: Sweep, size: int = 2, shared: Path | None = None) -> None:
    with Cluster(address, Silent()) as cluster:
        cluster.run(sweep, size, shared)


def new(root: Path, **changes: Any) -> Sweep:
    return Sweep.new(root, Spec(), {**ASKED, **changes})


def stored(sweep: Sweep) -> list[int]:
    """The trials that came back from workers, in order."""
    found = sweep.folder.path.glob(f"{SHARES}/*/*/history.jsonl")
    return sorted(trial.number for path in found for trial in history.trials(history.read(path)))


# Batches


@given(st.lists(st.integers(1, 500), unique=True).map(sorted), st.integers(1, 9))
def test_batches_hold_every_trial_once(numbers: list[int], size: int) -> None:
    """Whatever is missing of a cell, and none is larger than asked."""
    found = batches(numbers, size)
    assert [number for batch in found for number in batch] == numbers
    assert all(0 < len(batch) <= size for batch in found)


def test_a_batch_has_the_same_key_whenever_it_is_handed_out() -> None:
    """So that Dask takes a batch that is handed out again for the same; another cell, sweep or trial is another."""
    batch = Batch("sweep", "one", "0", "2-5-none", Spec(), "none", 6, 1, (1, 2), None)
    assert replace(batch, session="two").key == batch.key
    others = [{"sweep": "b"}, {"cell": "1-5-none"}, {"numbers": (3, 4)}]
    assert len({batch.key, *(replace(batch, **cast(Any, change)).key for change in others)}) == 4


def test_an_archive_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """With all files; a torn one leaves no folder that could pass for a run."""
    run = tmp_path / "run"
    (run / "logs").mkdir(parents=True)
    (run / "logs" / "master-cluster.log").write_text("line\n")
    packed = pack(run)
    unpack(packed, tmp_path / "copy")
    assert (tmp_path / "copy" / "logs" / "master-cluster.log").read_text() == "line\n"
    with pytest.raises(EOFError):
        unpack(packed[: len(packed) // 2], tmp_path / "torn")
    assert not (tmp_path / "torn").exists()


# Workers


def test_workers_measure_what_one_machine_would(tmp_path: Path) -> None:
    """The same trials with the same seeds; their run folders come back, and who ran what is told."""
    one, two = WorkersPairs("a1"), WorkersPairs("a2")
    one.together = two.together = threading.Barrier(2)
    sweep = new(tmp_path)
    with working(w1=one, w2=two) as dask:
        measured(dask.scheduler_address, sweep)
    assert trials_of(sweep) == trials_of(swept(tmp_path, SeededPairs()))
    assert stored(sweep) == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(one.ran + two.ran) == stored(sweep)
    (cell,) = sweep.document()["cells"]
    shares = {host["worker"]: host["trials"] for host in cell["hosts"]}
    assert shares == {"w1": sorted(one.ran), "w2": sorted(two.ran)}
    assert one.removed.is_set()
    assert two.removed.is_set()


def test_a_lost_workers_trials_run_elsewhere(tmp_path: Path) -> None:
    """It goes while it is at work: every trial is there once, and none of them is the lost worker's."""
    lost, other = WorkersPairs("a1", hang=True), WorkersPairs("a2")
    sweep = new(tmp_path)
    with working(lost=lost, other=other) as dask:
        measuring = threading.Thread(target=measured, args=(dask.scheduler_address, sweep))
        measuring.start()
        assert lost.hanging.wait(LONG_S)
        dask.sync(dask.workers["lost"].close)
        measuring.join(LONG_S)
        assert not measuring.is_alive()
    assert stored(sweep) == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(other.ran) == stored(sweep)
    (cell,) = sweep.document()["cells"]
    assert cell["error"] is None


@pytest.mark.parametrize("error", [Unsettled("gone"), KeyError("gone")], ids=["foreseen", "unforeseen"])
def test_what_a_worker_had_begun_when_it_ends_runs_elsewhere(error: Exception) -> None:
    """Whatever a trial raises whose lab is removed under it, Dask is asked to run it on another worker."""
    pairs = WorkersPairs("a1", hang=True, error=error)
    keeper = kept_by(pairs)
    with ThreadPoolExecutor() as pool:
        begun = pool.submit(keeper.measure, batch_of("one", 1, 2))
        assert pairs.hanging.wait(LONG_S)
        keeper.close()
        with pytest.raises(Reschedule):
            begun.result(LONG_S)


def test_a_worker_whose_engine_has_gone_fails_no_batch() -> None:
    """It would be quick at that, and all trials that are left be its errors; they run elsewhere, and it ends."""
    pair, lost = WorkersPairs("02:00", fail_at=1), Mock()
    keeper = Keeper("w1", [cast(Pairs, pair)], Silent(), answers=lambda: False)
    keeper.lost = lost
    for batch in (batch_of("one", 1), batch_of("one", 2)):
        with pytest.raises(Reschedule):
            keeper.measure(batch)
    assert pair.ran == []
    lost.assert_called_once_with()


def test_an_unforeseen_error_is_told_by_its_kind() -> None:
    """The worker's name stands before it, and the pair serves the next batch."""
    pairs = WorkersPairs("a1", fail_at=1, error=KeyError("VIP"))
    keeper = kept_by(pairs)
    with pytest.raises(NotAvailable, match="w1: KeyError: 'VIP'"):
        keeper.measure(batch_of("one", 1, 2))
    assert keeper.measure(batch_of("one", 3)).worker == "w1"


def test_a_pair_that_cannot_be_removed_keeps_no_other_up() -> None:
    """Whoever ends a sweep is told; its other pairs are gone, every pair serves the next sweep, and the labs that
    stayed are tried again."""
    stays, goes = WorkersPairs("a1"), WorkersPairs("a2")
    keeper = kept_by(stays, goes)
    with ThreadPoolExecutor() as pool:
        stays.together = goes.together = threading.Barrier(2)
        for begun in [pool.submit(keeper.measure, batch_of("one", number)) for number in (1, 2)]:
            begun.result(LONG_S)
        stays.stays = True
        with pytest.raises(NotAvailable, match="the engine is busy"):
            keeper.stop("one")
        assert goes.removed.is_set()
        stays.together = goes.together = threading.Barrier(2)
        for begun in [pool.submit(keeper.measure, batch_of("two", number)) for number in (3, 4)]:
            begun.result(LONG_S)
    stays.stays = False
    keeper.close()
    assert stays.removed.is_set()


class Interrupting(Silent):
    """Progress at whose first detail somebody presses Ctrl-C."""

    def detail(self, text: str) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_keeps_what_came_back(tmp_path: Path) -> None:
    """The workers' labs are removed before the command ends, one that hangs among them; taken up again, only what is
    missing is run."""
    quick, hanging = WorkersPairs("a1"), WorkersPairs("a2", hang=True)
    sweep = new(tmp_path)
    with working(quick=quick, hanging=hanging) as dask:
        with pytest.raises(KeyboardInterrupt), Cluster(dask.scheduler_address, Interrupting()) as cluster:
            cluster.run(sweep, 2, None)
        assert quick.removed.is_set()
        assert hanging.removed.is_set() or not hanging.hanging.is_set()
        kept = stored(sweep)
        assert len(kept) == 2
        hanging.hang, quick.ran = False, []
        resumed = Sweep.resumed(sweep.folder.path, {})
        measured(dask.scheduler_address, resumed)
    assert stored(resumed) == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(quick.ran + hanging.ran) == [number for number in stored(resumed) if number not in kept]
    assert resumed.document()["complete"]


def test_a_batch_that_fails_is_its_cells_error(tmp_path: Path) -> None:
    """With the worker's name; the other trials are kept, and taken up again it is tried again."""
    pairs = WorkersPairs("a1", fail_at=3)
    sweep = new(tmp_path)
    with working(w1=pairs) as dask:
        measured(dask.scheduler_address, sweep)
        (cell,) = sweep.document()["cells"]
        assert (cell["error"], cell["verdict"]) == ("w1: gave up", "error")
        assert stored(sweep) == [1, 2, 5, 6, 7]
        pairs.fail_at, pairs.ran = None, []
        resumed = Sweep.resumed(sweep.folder.path, {})
        measured(dask.scheduler_address, resumed)
    assert pairs.ran == [3, 4]
    assert trials_of(resumed) == trials_of(swept(tmp_path, SeededPairs()))


def test_runs_can_lie_on_a_shared_path(tmp_path: Path) -> None:
    """Then they are not sent; nothing unfinished is left there."""
    sweep = new(tmp_path)
    with working(w1=WorkersPairs("a1")) as dask:
        measured(dask.scheduler_address, sweep, 4, tmp_path / "shared")
    assert not (sweep.folder.path / SHARES).exists()
    (place,) = (tmp_path / "shared" / sweep.folder.path.name).iterdir()
    assert sorted(path.name for path in place.iterdir()) == ["1-to-4", "5-to-7"]
    assert len(trials_of(sweep)) == 7


class Losing(Silent):
    """Progress that takes away one batch's run when it is told, as if it lay on another machine's disk."""

    def __init__(self, place: Path, name: str) -> None:
        self.place, self.name = place, name

    def detail(self, text: str) -> None:
        for found in self.place.glob(f"*/*/{self.name}"):
            shutil.rmtree(found)


def test_trials_that_are_not_on_the_shared_path_are_missed(tmp_path: Path) -> None:
    """A path that is not the same folder everywhere is the cell's error, with the trials; they can be run again, and
    what a killed worker had begun there is cleared away."""
    sweep, shared = new(tmp_path), tmp_path / "shared"
    with working(w1=WorkersPairs("a1")) as dask:
        with Cluster(dask.scheduler_address, Losing(shared, "5-to-7")) as cluster:
            cluster.run(sweep, 4, shared)
        (cell,) = sweep.document()["cells"]
        assert "lacks trials that workers have run: 5, 6, 7; it has to be the same folder" in cell["error"]
        (place,) = (shared / sweep.folder.path.name).iterdir()
        (place / ".5-to-7.0a1b2c3d.part").mkdir()
        resumed = Sweep.resumed(sweep.folder.path, {})
        measured(dask.scheduler_address, resumed, 4, shared)
    assert [one["number"] for one in trials_of(resumed)] == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(path.name for path in place.iterdir()) == ["1-to-4", "5-to-7"]


def test_a_shard_can_be_run_by_workers(tmp_path: Path) -> None:
    """The trials are the shard's."""
    sweep = new(tmp_path, shard="2/3")
    with working(w1=WorkersPairs("a1")) as dask:
        measured(dask.scheduler_address, sweep, 1)
    assert [one["number"] for one in trials_of(sweep)] == [2, 5]


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is handed out, and a worker that comes later refuses for itself."""
    batch = Batch("sweep", "one", "9.9", "2-5-none", Spec(), "none", 6, 1, (1, 2), None)
    with pytest.raises(NotAvailable, match=r"w1 has labkit .*, and the sweep has 9\.9"):
        Keeper("w1", [], Silent()).measure(batch)
    with working(w1=WorkersPairs("a1")) as dask:
        monkeypatch.setattr(cluster_module, "labkit", SimpleNamespace(__version__="9.9"))
        with pytest.raises(NotAvailable, match=r"this is labkit 9\.9: install the same everywhere"):
            Cluster(dask.scheduler_address, Silent())


def test_no_scheduler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that starts one."""
    monkeypatch.setattr(cluster_module, "CONNECT_S", 0.5)
    with pytest.raises(NotAvailable, match="`dask scheduler"):
        Cluster("tcp://127.0.0.1:9", Silent())


def test_an_engine_has_one_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one does not wait for the first: it is told who that is. Another engine's does not mind."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("labkit.campaign.worker.Pairs", missing_pairs := Mock(side_effect=NotAvailable("no pairs")))

    def start(identity: str) -> None:
        engine = SimpleNamespace(facts=SimpleNamespace(cpus=2), identity=identity, where="there")
        serve("tcp://127.0.0.1:9", "w2", "127.0.0.1", cast(Engine, engine), Spec(), 1, Silent())

    with holding(".worker") as first:
        assert line_of(first) == "held"
        with pytest.raises(NotAvailable, match=f"has a worker already, .*: process {first.pid}"):
            start(HERE)
        assert not missing_pairs.called
        with pytest.raises(NotAvailable, match="no pairs"):
            start("elsewhere")


@pytest.mark.parametrize(
    ("address", "settings", "told"),
    [
        ("tls://127.0.0.1:9", {}, "takes certificates, and none are set; `labkit help cluster`"),
        ("tcp://127.0.0.1:9", {"require-encryption": True}, "write tls:// in place of tcp://"),
        ("tls://127.0.0.1:9", {"tls.ca-file": "/nonexistent"}, "name files that cannot be used"),
    ],
    ids=["none", "tcp", "file"],
)
def test_a_mistake_in_the_settings_of_tls_is_told(address: str, settings: dict[str, object], told: str) -> None:
    """By sweep and worker alike, before anything connects."""
    settings = {f"distributed.comm.{name}": value for name, value in settings.items()}
    every = {f"distributed.comm.tls.{role}.{what}": "/nonexistent" for role in ROLES for what in ("cert", "key")}
    with dask.config.set({**(every if "tls.ca-file" in str(settings) else {}), **settings}):
        with pytest.raises(BadInput, match=told):
            Cluster(address, Silent())
        with pytest.raises(BadInput, match=told):
            require_settings(address, "worker")


# The commands


def complaint(arguments: list[str]) -> str:
    """What a command raises that refuses."""
    error = CliRunner().invoke(app, arguments).exception
    assert error is not None
    return f"{type(error).__name__}: {error}"


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither command needs it to be there for anything else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)
    for module in ("cluster", "worker"):
        monkeypatch.delitem(sys.modules, f"labkit.campaign.{module}")
        monkeypatch.delattr(f"labkit.campaign.{module}")
    for command in (["sweep", "--scheduler", "tcp://127.0.0.1:9"], ["worker", "tcp://127.0.0.1:9"]):
        told = complaint(command)
        assert told.startswith("NotAvailable: ")
        assert "pip install 'heartbeat-labkit[cluster]'" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["worker", "tcp://192.0.2.1:8786"], "--host: the scheduler is on another machine"),
        (["worker", "8786"], "tcp://127.0.0.1:8786"),
        (["worker", "tcp://127.0.0.1:9", "--name", "No Name"], "cannot start a container's name"),
        (["sweep", "--scheduler", "tcp://127.0.0.1:9", "--parallel", "2"], "the workers' own --pairs"),
    ],
    ids=["reach", "address", "name", "parallel"],
)
def test_what_a_cluster_cannot_be_is_bad_input(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a scheduler or an engine is asked."""
    monkeypatch.chdir(tmp_path)
    found = complaint(arguments)
    assert found.startswith("BadInput: ")
    assert told in found


def test_what_a_failed_sweep_tells_to_do_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if it failed before its first cell: its folder can be taken up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster_module, "CONNECT_S", 0.5)
    failed = CliRunner().invoke(app, ["sweep", "--scheduler", "tcp://127.0.0.1:9", "--trials", "3"])
    assert isinstance(failed.exception, NotAvailable)
    (folder,) = (tmp_path / "runs").iterdir()
    assert f"labkit sweep --resume {folder.relative_to(tmp_path)}" in " ".join(failed.output.split())
    assert Sweep.resumed(folder, {}).parameters.trials == 3


def test_pairs_are_admitted_for_the_shards_own_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of eight trials has no use for more than two pairs."""
    monkeypatch.chdir(tmp_path)
    asked: list[int] = []

    def admitted(engine: object, spec: object, trials: int, *_: object) -> int:
        asked.append(trials)
        raise NotAvailable("this is enough")

    monkeypatch.setattr("labkit.cli.campaigns.admitted", admitted)
    monkeypatch.setattr("labkit.cli.campaigns.Engine.connect", lambda: None)
    told = complaint(["sweep", "--shard", "1/4", "--trials", "8", "--parallel", "auto"])
    assert (asked, told) == ([2], "NotAvailable: this is enough")


def test_a_service_of_ones_own_is_not_for_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker would read files of its own machine under the same names; nothing is made."""
    monkeypatch.chdir(tmp_path)
    Path("site").mkdir()
    Path("lab.yaml").write_text("service:\n  document_root: site\n")
    told = complaint(["sweep", "--scheduler", "tcp://127.0.0.1:9"])
    assert told.startswith("BadInput: service: its files are on this machine alone")
    assert not Path("runs").exists()


def test_a_sweep_tells_what_its_workers_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command needs no Docker of its own, and its JSON says which host ran what."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    grid = ["--keepalive", "200ms", "--deadtime", "1", "--trials", "2", "--batch", "1", "--seed", "5"]
    with working(w1=WorkersPairs("a1")) as dask:
        done = CliRunner().invoke(app, ["sweep", "--scheduler", dask.scheduler_address, *grid, "--json"])
    document = json.loads(done.stdout)
    assert document["complete"], done.output
    assert [cell["error"] for cell in document["cells"]] == [None]
    assert done.exit_code in (0, 1, 2)
