"""How the clock of a node's host stands to that of the client's, by which everything in a run is told.

On one engine both are the same clock, and nothing is compared. Between two hosts a stamp of the one is asked for
between two stamps of the other: it was taken somewhere in between, and the quickest of several answers says most.
"""

import queue
from collections.abc import Callable
from dataclasses import dataclass

from labkit.engine import Container
from labkit.errors import LabkitError

TRIES = 20
ANSWERS_S = 30
READ_CLOCKS = """
import sys, time
for line in sys.stdin:
    print(int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e9), int(time.time() * 1e9), flush=True)
"""


@dataclass(frozen=True)
class Shift:
    """A node's clocks against the client's monotonic one, in ns. The true offsets are within error_ns of these."""

    monotonic_ns: int
    wall_ns: int
    error_ns: int


def compare(node: Container, now_ns: Callable[[], int]) -> Shift:
    """now_ns: reads the client's monotonic clock. Raises LabkitError if the node does not answer."""
    answers: queue.Queue[str] = queue.Queue()

    def heard(lines: list[str]) -> None:
        for line in lines:
            answers.put(line)

    process = node.talk("python3", "-c", READ_CLOCKS, heard=heard)
    try:
        return min((_once(process.send, answers, now_ns) for _ in range(TRIES)), key=lambda shift: shift.error_ns)
    except queue.Empty as error:
        raise LabkitError(f"{node.name} did not tell its clock within {ANSWERS_S} s\n{process.errors}") from error
    finally:
        process.close()


def _once(ask: Callable[[str], None], answers: "queue.Queue[str]", now_ns: Callable[[], int]) -> Shift:
    before = now_ns()
    ask("now")
    monotonic, wall = map(int, answers.get(timeout=ANSWERS_S).split())
    after = now_ns()
    middle = (before + after) // 2
    return Shift(monotonic - middle, wall - middle, (after - before + 1) // 2)
