"""The nodes' log lines as they are written, brought from their wall-clock stamps to the monotonic clock."""

import threading
from collections.abc import Callable
from typing import Any

from labkit.engine import Container
from labkit.errors import LabkitError
from labkit.heartbeat import markers
from labkit.timing import wait_until

Sink = Callable[[dict[str, Any]], None]


class LogFollower:
    """Follows one node's output over its death and return.

    offset: wall time minus monotonic time in ns, as the agent last read it; None before the first reading.
    """

    def __init__(self, node: Container, offset: Callable[[], int | None], sink: Sink) -> None:
        self._node = node
        self._offset = offset
        self._sink = sink
        self._marks: set[str] = set()
        self._last_wall_ns = int(float(node.must("date", "+%s.%N")) * 1e9)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"log of {node.host_name}", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                heard_before_ns = self._last_wall_ns
                for line in self._node.follow(since=heard_before_ns / 1e9):
                    self._heard(line, heard_before_ns)
            except LabkitError:
                pass  # the engine is busy with the node: try again below
            self._closing.wait(0.2)  # it has stopped; a heal will start it again

    def _heard(self, text: str, heard_before_ns: int) -> None:
        line = markers.parse(text)
        offset_ns = self._offset()
        if line is None or offset_ns is None or line.wall_ns <= heard_before_ns:
            return
        self._last_wall_ns = line.wall_ns
        if line.program == "labkit-mark":
            self._marks.add(line.text)
            return
        self._sink(
            {
                "event": "log",
                "t_ns": line.wall_ns - offset_ns,
                "node": self._node.host_name,
                "program": line.program,
                "text": line.text,
                "marker": line.marker,
            }
        )

    def catch_up(self, name: str, timeout_s: float = 10) -> None:
        """Returns when every line logged until now was heard: it logs a mark, and waits for that. The node must run."""
        self._node.must("logger", "-t", "labkit-mark", name)
        wait_until(lambda: name in self._marks, bool, timeout_s, f"the log of {self._node.host_name} is read to {name}")

    def close(self) -> None:
        self._closing.set()
