"""Measures what a class costs: memory and CPU while its pairs come up, idle, and are all checked at once.

Reports, never asserts: figures belong to a machine. Run it on an otherwise idle one, as root on the engine's host; else
what the engine itself needs beside the containers stays unknown. What the host has less of than containers and engine
account for is the kernel's own: networks, buffers, tables. usage: python -m scripts.bench_class [STUDENTS]
"""

import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from labkit.cluster import lifecycle
from labkit.course import classroom
from labkit.course.roster import Enrolled
from labkit.engine import Container, Engine, create
from labkit.errors import LabkitError
from labkit.exercises import exercise
from labkit.progress import Silent
from labkit.spec import Spec
from labkit.timing import SECOND, now_ns, pause_until
from scripts.engine_cpu import by_process, since_ns

NAME = "bench"
EXERCISE = "identical-haresources"
STUDENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
AT_ONCE = 32  # as many as `labkit class status --parallel` takes
IDLE_S = 60
MIB = 2**20

out = Console(highlight=False)


def used(containers: Sequence[Container]) -> tuple[float, float]:
    """Memory in MiB without files that the kernel may forget, and CPU seconds since their start, of all together.

    The engine takes a second for an answer, so all are asked at once.
    """
    memory, cpu_s = 0.0, 0.0
    with ThreadPoolExecutor(len(containers)) as pool:
        answers = list(pool.map(lambda one: one.sdk.stats(stream=False, one_shot=True), containers))
    told: Any
    for told in answers:
        of_files = told["memory_stats"]["stats"]
        memory += told["memory_stats"]["usage"] - of_files.get("total_inactive_file", of_files.get("inactive_file", 0))
        cpu_s += told["cpu_stats"]["cpu_usage"]["total_usage"] / SECOND
    return memory / MIB, cpu_s


def outside(containers: Iterable[Container], ports: Iterable[int]) -> float | None:
    """MiB of the engine's own processes for these containers and ports, their share of what they share counted once.

    None where they cannot be seen."""
    marks = {str(one.sdk.id).encode() for one in containers} | {f"-host-port\0{port}\0".encode() for port in ports}
    total_kib, found = 0, 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if any(mark in command for mark in marks):
                found += 1
                rollup = (process / "smaps_rollup").read_text()
                total_kib += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        except OSError:
            continue
    return total_kib / 1024 if found else None


def free_mib() -> float:
    """What this host could still give to programs; the kernel's own memory is gone from it, too."""
    told = Path("/proc/meminfo").read_text()
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("MemAvailable:")) / 1024


def engine_s(before: Mapping[str, int]) -> float | None:
    """CPU seconds of the engine since then; None where its processes cannot be seen."""
    return since_ns(before) / SECOND if before else None


def main() -> None:
    engine = Engine.connect()
    enrolled = [Enrolled(f"student-{number}") for number in range(1, STUDENTS + 1)]
    wanted = classroom.places(NAME, enrolled, [""], {}, 25000)
    with tempfile.TemporaryDirectory() as folder:
        order = classroom.Order(exercise(EXERCISE), Spec().with_options(privileged=False), Path(folder), anyway=True)
        before_mib = free_mib()
        try:
            begun, engine_before = now_ns(), by_process()
            came = classroom.up({"": engine}, NAME, wanted, {}, order, Silent())
            up_s, up_engine_s = (now_ns() - begun) / SECOND, engine_s(engine_before)
            for lab, error in came.items():
                if isinstance(error, LabkitError):
                    out.print(f"{lab} did not come up: {error}", soft_wrap=True)
            there = [place for place in wanted if not isinstance(came[place.lab], LabkitError)]
            if not there:
                raise SystemExit("no pair came up")
            table = tell(engine, there, before_mib, Path(folder))
        finally:
            classroom.down({"": engine}, NAME, None, Silent())
    table.add_row(f"`class up`, {order.parallel} at a time", f"{up_s:.0f} s", f"{up_s / STUDENTS:.1f} s")
    add(table, len(there), "CPU of the engine for `class up`", up_engine_s, "CPU seconds")
    table.add_row("host's free memory before, and after `class down`", f"{before_mib:.0f}, {free_mib():.0f} MiB", "")
    out.print(table)


def add(table: Table, pairs: int, what: str, value: float | None, unit: str) -> None:
    shown = ("-",) * 2 if value is None else (f"{value:.3g} {unit}", f"{value / pairs:.3g} {unit}")
    table.add_row(what, *shown)


def tell(engine: Engine, there: list[classroom.Place], before_mib: float, folder: Path) -> Table:
    containers = [one for place in there for one in create.find_containers(engine, place.lab)]
    _, before_s = used(containers)
    begun, engine_before = now_ns(), by_process()  # after the asking, which costs the engine most of all
    pause_until(begun + IDLE_S * SECOND)
    took_s, idle_engine_s = (now_ns() - begun) / SECOND, engine_s(engine_before)
    idle_free_mib = free_mib()
    idle_mib, after_s = used(containers)
    beside = outside(containers, [port for one in there for port in range(one.first_port, one.first_port + 5)])

    lowest, done = [idle_free_mib], threading.Event()

    def sample() -> None:
        while not done.wait(0.5):
            lowest.append(free_mib())

    sampler = threading.Thread(target=sample)
    sampler.start()
    benches = classroom.find({"": engine}, NAME)
    looks = {place.lab: partial(classroom.look, benches[place.lab], folder, False) for place in there}
    _, before_check_s = used(containers)
    begun, engine_before = now_ns(), by_process()
    looked = classroom.each(looks, min(len(looks), AT_ONCE), lambda lab: lifecycle.changing(engine, lab, Silent()))
    checks_s, checks_engine_s = (now_ns() - begun) / SECOND, engine_s(engine_before)
    _, after_check_s = used(containers)
    done.set()
    sampler.join()
    for lab, error in looked.items():
        if isinstance(error, LabkitError):
            out.print(f"{lab} could not be checked: {error}", soft_wrap=True)

    pairs = len(there)
    table = Table("figure", f"{pairs} of {STUDENTS} students", "one")
    add(table, pairs, "memory of the containers, idle", idle_mib, "MiB")
    add(table, pairs, "memory of the engine's processes for them", beside, "MiB")  # shims and port forwarders
    add(table, pairs, "memory that the host has less, idle", before_mib - idle_free_mib, "MiB")
    add(table, pairs, "memory that the host has less, most while all are checked", before_mib - min(lowest), "MiB")
    add(table, pairs, "CPU of the containers, idle", 100 * (after_s - before_s) / took_s, "% of a core")
    share = None if idle_engine_s is None else 100 * idle_engine_s / took_s
    add(table, pairs, "CPU of the engine, idle", share, "% of a core")
    add(table, pairs, "CPU of the containers for a check", after_check_s - before_check_s, "CPU seconds")
    add(table, pairs, "CPU of the engine for a check", checks_engine_s, "CPU seconds")
    table.add_row(f"checks, {min(pairs, AT_ONCE)} at once", f"{checks_s:.1f} s", "")
    return table


if __name__ == "__main__":
    main()
