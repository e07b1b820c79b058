"""What a second worker is worth, and what Dask's scheduler bears, on this machine; printed, never asserted.

python -m scripts.bench_cluster workers [TRIALS]    TRIALS of node-kill (100) by one worker, then by two with an
                                                    engine each; root, and some 15 s a trial
python -m scripts.bench_cluster scheduler [TASKS]   TASKS (5000) that do nothing and return as much as a batch does;
                                                    a minute, without Docker
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM

from distributed import Client, as_completed
from rich.console import Console
from rich.table import Table

from labkit.campaign.batch import PAIRS
from labkit.engine import Engine, images
from labkit.errors import BadInput
from labkit.progress import Silent
from labkit.timing import SECOND, now_ns
from tests.e2e.helpers import Running
from tests.engines import second_engine
from tests.workers import scheduler

TIMING = ("--keepalive", "200ms", "--deadtime", "1", "--fault", "node-kill", "--seed", "1")
BATCH_KB = (0, 100, 300)  # nothing; a trial's folder when packed; that of a batch of two
SIDE_THREADS, SIDES = 8, 2

out = Console(highlight=False)


def swept(address: str, trials: int, folder: Path) -> tuple[float, str]:
    """How long a sweep takes, in s, and the folder of its one run."""
    begun = now_ns()
    command = ["-m", "labkit", "sweep", "--scheduler", address, *TIMING, "--trials", str(trials)]
    done = subprocess.run(
        [sys.executable, *command, "--runs", str(folder), "--json"], stdout=subprocess.PIPE, check=False, text=True
    )
    took = (now_ns() - begun) / SECOND
    if not done.stdout:
        raise SystemExit(f"the sweep could not be run: exit code {done.returncode}")
    (cell,) = json.loads(done.stdout)["cells"]
    if cell["error"]:
        raise SystemExit(f"the sweep could not be run: {cell['error']}")
    return took, cell["run"]


def workers(trials: int) -> None:
    engine = Engine.connect()
    images.ensure(engine, "auto", Silent())
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, results = Path(name), Path(name) / "runs"
        second = stack.enter_context(second_engine(folder / "engine", engine))
        address = stack.enter_context(scheduler(folder))
        took = []
        for number, url in enumerate((engine.where, second.url), 1):
            worker = Running("worker", address, "--name", f"bench-{number}", env={"DOCKER_HOST": url})
            stack.callback(worker.finish)
            stack.callback(worker.send, SIGTERM)
            worker.await_line("works for")
            took.append(swept(address, trials, results))
        table = Table("workers", "seconds", "share of one worker's")
        for number, (seconds, _) in enumerate(took, 1):
            table.add_row(str(number), f"{seconds:.0f}", f"{seconds / took[0][0]:.0%}")
        out.print(table)
        subprocess.run([sys.executable, "-m", "labkit", "compare", *(run for _, run in took)], check=False)


def scheduling(tasks: int) -> None:
    """As Cluster does it: every task wants a pair, and each result is fetched and forgotten as it comes."""
    table = Table("payload", "tasks", "tasks a second")
    with tempfile.TemporaryDirectory() as name, scheduler(Path(name)) as address:
        side = [sys.executable, "-m", "dask", "worker", address, "--no-nanny", "--no-dashboard"]
        side += ["--nthreads", str(SIDE_THREADS), "--resources", f"{PAIRS}={SIDE_THREADS}"]
        quiet = subprocess.DEVNULL
        processes = [subprocess.Popen(side, cwd=name, stdout=quiet, stderr=quiet) for _ in range(SIDES)]
        try:
            with Client(address, set_as_default=False) as client:
                client.wait_for_workers(SIDES, timeout=60)
                for kb in BATCH_KB:
                    begun = now_ns()
                    futures = [
                        client.submit(os.urandom, kb * 1000, key=("bench", kb, at), resources={PAIRS: 1})
                        for at in range(tasks)
                    ]
                    for future in as_completed(futures, loop=client.loop):
                        future.result()
                        future.release()
                    table.add_row(f"{kb} kB", str(tasks), f"{tasks * SECOND / (now_ns() - begun):.0f}")
        finally:
            for process in processes:
                process.terminate()
                process.wait()
    out.print(table)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["workers", *rest]:
            workers(int(rest[0]) if rest else 100)
        case ["scheduler", *rest]:
            scheduling(int(rest[0]) if rest else 5000)
        case _:
            print(__doc__, file=sys.stderr)
            return BadInput.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
