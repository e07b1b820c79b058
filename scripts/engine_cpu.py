"""CPU time that the engine's own processes use, for what is measured on the engine's host."""

from collections.abc import Mapping
from pathlib import Path

ENGINE = ("dockerd", "containerd", "containerd-shim")


def by_process() -> dict[str, int]:
    """CPU time in ns of each of the engine's processes; empty where they are another host's."""
    used: dict[str, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() in ENGINE:
                tasks = [int((task / "schedstat").read_text().split()[0]) for task in process.glob("task/*")]
                used[process.name] = sum(tasks)
        except OSError:
            continue  # it has ended
    return used


def engine_ns() -> int:
    """Of all of them."""
    return sum(by_process().values())


def since_ns(before: Mapping[str, int]) -> int:
    """What all of them have used since; of those that have ended meanwhile nobody knows."""
    return sum(ns - before.get(process, 0) for process, ns in by_process().items())
