"""Measures what a student of a class costs: memory and CPU of a pair that idles, and of one that is checked.

Reports, never asserts: figures belong to a machine. Run it on an otherwise idle one, as root on the engine's host; else
what the engine itself needs beside the containers stays unknown. usage: bench_class.py [STUDENTS]
"""

import sys
import tempfile
import threading
from collections.abc import Iterable
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

NAME = "bench"
EXERCISE = "identical-haresources"
STUDENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
CLASS = 30
IDLE_S = 60
MIB = 2**20


def used(containers: Iterable[Container]) -> tuple[float, float]:
    """Memory in MiB without files that the kernel may forget, and CPU seconds since their start, of all together."""
    memory, cpu_s = 0.0, 0.0
    for one in containers:
        told: Any = one.sdk.stats(stream=False, one_shot=True)
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


def main() -> None:
    engine = Engine.connect()
    enrolled = [Enrolled(f"student-{number}") for number in range(1, STUDENTS + 1)]
    wanted = classroom.places(NAME, enrolled, [""], {}, 25000)
    with tempfile.TemporaryDirectory() as folder:
        order = classroom.Order(exercise(EXERCISE), Spec().with_options(privileged=False), Path(folder), anyway=True)
        try:
            begun = now_ns()
            for came in classroom.up({"": engine}, NAME, wanted, {}, order, Silent()).values():
                if isinstance(came, LabkitError):
                    raise came
            tell(engine, wanted, (now_ns() - begun) / SECOND, Path(folder))
        finally:
            classroom.down({"": engine}, NAME, None, Silent())


def tell(engine: Engine, wanted: list[classroom.Place], up_s: float, folder: Path) -> None:
    containers = [one for place in wanted for one in create.find_containers(engine, place.lab)]
    _, before_s = used(containers)
    begun = now_ns()
    pause_until(begun + IDLE_S * SECOND)
    idle_mib, after_s = used(containers)
    idle_share = (after_s - before_s) / ((now_ns() - begun) / SECOND)
    beside = outside(containers, [port for one in wanted for port in range(one.first_port, one.first_port + 5)])

    highest, done = [idle_mib], threading.Event()

    def sample() -> None:
        while not done.wait(0.5):
            highest.append(used(containers)[0])

    sampler = threading.Thread(target=sample)
    sampler.start()
    begun, (_, before_s) = now_ns(), used(containers)
    benches = classroom.find({"": engine}, NAME)
    looks = {lab: partial(classroom.look, bench, folder, False) for lab, bench in benches.items()}
    classroom.each(looks, len(looks), lambda lab: lifecycle.changing(engine, lab, Silent()))
    checks_s, checked_s = (now_ns() - begun) / SECOND, used(containers)[1] - before_s
    done.set()
    sampler.join()

    table = Table("figure", f"{STUDENTS} students", "one", f"{CLASS}, extrapolated")

    def row(what: str, value: float | None, unit: str) -> None:
        shown = ("-",) * 3 if value is None else (value, value / STUDENTS, value / STUDENTS * CLASS)
        table.add_row(what, *(one if isinstance(one, str) else f"{one:.3g} {unit}" for one in shown))

    row("memory, idle", idle_mib, "MiB")
    row("memory, highest while all are checked", max(highest), "MiB")
    # shims and port forwarders
    row("memory of the engine beside it", beside, "MiB")
    row("CPU, idle", idle_share * 100, "% of a core")
    row("CPU for a check", checked_s, "CPU seconds")
    table.add_row(f"`class up`, {classroom.Order.parallel} at a time", f"{up_s:.0f} s", f"{up_s / STUDENTS:.0f} s", "")
    table.add_row("all checks at once", f"{checks_s:.0f} s", "", "")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
