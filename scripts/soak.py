"""Runs many failovers on one pair, in one `labkit failover`, and looks whether anything grows: the memory, files and
processes of labkit and of the lab's containers, their disk, the run's folder, and the outage itself.

Exit code 1 if files or processes grew, or memory did by half and more; what is measured is printed either way.
usage: soak.py [FAILOVERS [FAULT]]
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from labkit import spec
from labkit.cluster import Lab, lifecycle
from labkit.engine import Engine
from labkit.measure.statistics import difference, summarize
from labkit.progress import Silent
from labkit.timing import SECOND, now_ns

NAME = "soak"
FAILOVERS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
FAULT = sys.argv[2] if len(sys.argv) > 2 else "node-kill"
LOOKS = 20
GROWN = 1.5  # what grew by half is not flat
MIB = 2**20
INSIDE = "ls -d /proc/[0-9]*/fd/* 2>/dev/null | wc -l; ls -d /proc/[0-9]* | wc -l"

out = Console(highlight=False)


@dataclass(frozen=True)
class Look:
    """One moment, before trial `trial`. labkit's memory is what is resident; a container's without its page cache, and
    its disk what it has written beside its image. All in MiB but the counts."""

    trial: int
    load: float
    labkit_memory: float
    labkit_files: int
    labkit_threads: int
    folder: float
    memory: float
    files: int
    processes: int
    disk: float


def look(trial: int, pid: int, lab: Lab, folder: Path) -> Look:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    containers = [*lab.nodes.values(), lab.client]
    counts = [[int(one) for one in container.run("sh", "-c", INSIDE).output.split()] for container in containers]
    api = lab.engine.client.api
    labelled = api.containers(filters=lab.engine.filters(lab.name), size=True)
    return Look(
        trial=trial,
        load=os.getloadavg()[0],
        labkit_memory=int(status["VmRSS"].split()[0]) / 1024,
        labkit_files=len(os.listdir(f"/proc/{pid}/fd")),
        labkit_threads=int(status["Threads"]),
        folder=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MIB,
        memory=sum(own(api.stats(one["Id"], stream=False, one_shot=True)) for one in labelled) / MIB,
        files=sum(files for files, _ in counts),
        processes=sum(processes for _, processes in counts),
        disk=sum(one.get("SizeRw") or 0 for one in labelled) / MIB,
    )


def own(stats: dict[str, Any]) -> int:
    """Bytes of a container's processes, not of the files that the kernel keeps for them; cgroup v1 or v2."""
    kinds = stats["memory_stats"].get("stats", {})  # none of a container that has just ended
    return int(kinds.get("total_rss", kinds.get("anon", 0)))


def soak(lab: Lab, folder: Path) -> Iterator[Look]:
    """Runs them all and looks LOOKS times, between trials. Ends with the failing command's own words if it fails."""
    command = [sys.executable, "-m", "labkit", "failover", "--name", NAME, "--fault", FAULT, "--json"]
    command += ["--trials", str(FAILOVERS), "--seed", "1", "--runs", str(folder)]
    with (folder / "result").open("w") as result, (folder / "said").open("w+") as said:
        process = subprocess.Popen(command, stdout=result, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            said.write(line)
            if line.startswith("trial ") and ((trial := int(line.split()[1])) - 1) % max(1, FAILOVERS // LOOKS) == 0:
                yield look(trial, process.pid, lab, folder)
        if process.wait() > 2:
            said.seek(0)
            raise SystemExit(said.read()[-3000:])


def row(table: Table, what: str, looks: list[Look], value: Callable[[Look], float]) -> None:
    values = [value(one) for one in looks]
    cells = (values[0], values[len(values) // 2], values[-1], min(values), max(values))
    table.add_row(what, *(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells))


def main() -> None:
    engine = Engine.connect()
    wanted = spec.default().with_options(name=NAME, keepalive="200ms", deadtime="1")
    options = lifecycle.Options(staged=False, auto_ports=True, auto_subnet=True)
    looks: list[Look] = []
    try:
        lab = lifecycle.up(engine, wanted, options, Silent()).lab
        with tempfile.TemporaryDirectory() as folder:
            begun = now_ns()
            for seen in soak(lab, Path(folder)):
                looks.append(seen)
                out.print(", ".join(f"{name} {value:.1f}" for name, value in vars(seen).items()), soft_wrap=True)
            took_s = (now_ns() - begun) / SECOND
            result = json.loads((Path(folder) / "result").read_text())
    finally:
        lifecycle.remove(engine, NAME, Silent())

    table = Table(
        "before trial", *(str(one.trial) for one in (looks[0], looks[len(looks) // 2], looks[-1])), "min", "max"
    )
    row(table, "labkit: memory, MiB", looks, lambda one: one.labkit_memory)
    row(table, "labkit: open files", looks, lambda one: one.labkit_files)
    row(table, "labkit: threads", looks, lambda one: one.labkit_threads)
    row(table, "run folder, MiB", looks, lambda one: one.folder)
    row(table, "containers: memory, MiB", looks, lambda one: one.memory)
    row(table, "containers: open files", looks, lambda one: one.files)
    row(table, "containers: processes", looks, lambda one: one.processes)
    row(table, "containers: disk, MiB", looks, lambda one: one.disk)
    row(table, "load of the machine", looks, lambda one: one.load)
    out.print(table)

    outages = [trial["outage_ms"] for trial in result["trials"]]
    quarter = len(outages) // 4
    first, last = outages[:quarter], outages[-quarter:]
    drift = difference(first, last)
    passed = sum(check["verdict"] == "pass" for check in result["checks"])
    checks = f"{passed} of {len(result['checks'])} checks passed"
    out.print(f"{len(outages)} of {FAILOVERS} failovers ({FAULT}) in {took_s:.0f} s; {checks}")
    for which, some in (("all", outages), ("first quarter", first), ("last quarter", last)):
        told = summarize(some)
        out.print(
            f"outage, {which}: median {told.median} ms [{told.min}, {told.max}], 95 % {told.ci95}, missed {told.missed}"
        )
    out.print(f"last quarter against first: {drift.median} ms, 95 % {drift.ci95}")
    grown = [
        name
        for name in ("labkit_memory", "labkit_files", "labkit_threads", "memory", "files", "processes")
        if getattr(looks[-1], name) > GROWN * getattr(looks[1], name)
    ]
    if grown:
        raise SystemExit(f"grew by half or more: {', '.join(grown)}")


if __name__ == "__main__":
    main()
