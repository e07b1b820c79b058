"""Asking a node again and again how it is. Rank 4.

To start a command in a container costs 50 ms of a CPU and more, most of it the engine's. Who waits for a state asks
many times, and must not take the CPU from what it waits for: so one process stays in the node, and answers each line
with two.
"""

import queue
from contextlib import suppress

from labkit.engine import Container, Process
from labkit.errors import LabkitError
from labkit.heartbeat import commands

ANSWER_S = 8.0  # longest wait for an answer: on a busy machine, and with a daemon that may be asked for 3 s in vain
LOOK_S = 0.2
LIFE = f"grep -E 'Heartbeat shutdown in progress|Configuration validated' {commands.SYSLOG} | tail -n 1"
# $1, $2: the VIP and the peer. First what the node says of itself, then the last line about its daemon's life, which is
# looked for only where it may be ending.
ANSWERS = f"""
while read -r _; do
    told=$(/usr/lib/labkit/status "$1" "$2")
    case $told in *'"none"'*) life=$({LIFE}) ;; *) life= ;; esac
    printf '%s\\n%s\\n' "$told" "$life"
done
"""


class Asked:
    """One node that can be asked. It may die and come back at any time."""

    def __init__(self, node: Container, vip: str, peer: str) -> None:
        self._node = node
        self._command = ("sh", "-c", ANSWERS, "answers", vip, peer)
        self._process: Process | None = None
        self._said: queue.Queue[str] = queue.Queue()

    def now(self) -> tuple[str, str] | None:
        """What the node says of itself, as JSON, and the last line about its daemon's life; None if it says nothing."""
        try:
            if self._process is None or not self._process.alive:
                self._begin()
            assert self._process is not None
            self._process.send("")
            return self._line(), self._line()
        except (LabkitError, queue.Empty):
            self.close()
            return None

    def close(self) -> None:
        if self._process is not None:
            self._process.close(LOOK_S)
            self._process = None

    def _begin(self) -> None:
        said: queue.Queue[str] = queue.Queue()
        self._said = said

        def heard(lines: list[str]) -> None:
            for line in lines:
                said.put(line)

        self._process = self._node.talk(*self._command, heard=heard)

    def _line(self) -> str:
        """Raises Empty if none comes, at once if the process is gone."""
        assert self._process is not None
        for _ in range(int(ANSWER_S / LOOK_S)):
            with suppress(queue.Empty):
                return self._said.get(timeout=LOOK_S)
            if not self._process.alive:
                break
        return self._said.get_nowait()
