"""The measuring agent in the client, as the driver sees it: events, stamps on demand, waiting for what it sees."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from labkit.cluster import Lab
from labkit.errors import LabkitError, Unsettled
from labkit.render import mark
from labkit.timing import SECOND, now_ns

AGENT = "/usr/lib/labkit/agent"  # in the client; images/shared/agent.c
# The ARP watcher's own link, made over $1 once; where the kernel has no macvlan, it has to share $1 with the probe.
WATCHING_LINK = """
ip link show watch0 >/dev/null 2>&1 || ip link add link "$1" name watch0 type macvlan mode bridge >/dev/null 2>&1
ip link set watch0 up 2>/dev/null && echo watch0 || echo "$1"
"""
Sink = Callable[[list[dict[str, Any]]], None]


@dataclass(frozen=True)
class Settings:
    """Schedules in ms: a request every cadence_ms, given up after limit_ms; an ARP question every arp_ms."""

    cadence_ms: float = 10.0
    limit_ms: float = 800.0
    arp_ms: float = 50.0


@dataclass
class Seen:
    """What the agent has seen. server: who sent the last good answer; good_in_a_row: how many it sent since then.

    good_since_ns: when the first of these was due. That an older request has timed out is no news, and breaks no row.
    moves: (when its request was due, server) of each good answer that came from another server than the one before.
    """

    server: str | None = None
    good_in_a_row: int = 0
    good_since_ns: int = 0
    requests: int = 0
    failed: int = 0
    latest_ns: int = 0
    moves: list[tuple[int, str]] = field(default_factory=list)
    clocks: dict[str, int] = field(default_factory=dict)

    def server_at(self, instant_ns: int) -> str | None:
        """Who served at an instant of the run's clock, None before the first good answer."""
        return next((server for since_ns, server in reversed(self.moves) if since_ns <= instant_ns), None)

    def answered(self, request: dict[str, Any]) -> None:
        """Takes in the end of a request."""
        due_ns, server = request["t_ns"], request["server"]
        self.requests += 1
        self.latest_ns = max(self.latest_ns, due_ns)
        if request["outcome"] != "good":
            self.failed += 1
            if due_ns >= self.good_since_ns:
                self.good_in_a_row = 0
            return
        if server != self.server:
            self.moves.append((due_ns, server))
        if server != self.server or not self.good_in_a_row:
            self.server, self.good_in_a_row, self.good_since_ns = server, 0, due_ns
        self.good_in_a_row += 1


class Agent:
    """A running agent. `offset_ns` is wall time minus monotonic time at its last reading of both clocks."""

    def __init__(self, lab: Lab, settings: Settings, sink: Sink) -> None:
        self._sink = sink
        self._changed = threading.Condition()
        self._trouble: LabkitError | None = None
        self._stamps = 0
        self.seen = Seen()
        self.offset_ns: int | None = None
        link = lab.client.must("sh", "-c", WATCHING_LINK, "link", lab.spec.network.interface).strip()
        command = [AGENT, "--vip", lab.vip, "--path", lab.spec.service.path, "--interface", link]
        command += ["--cadence-ms", f"{settings.cadence_ms:g}", "--limit-ms", f"{settings.limit_ms:g}"]
        command += ["--arp-ms", f"{settings.arp_ms:g}"]
        for node in lab.nodes:
            command += ["--marker", f"{node}={mark(lab.spec, node)}"]
        self._process = lab.client.talk(*command, heard=self._heard)

    def _heard(self, lines: list[str]) -> None:
        events: list[dict[str, Any]] = [json.loads(line) for line in lines]
        try:
            self._sink(events)
        except LabkitError as error:  # on the listening thread; whoever waits next is told
            self._trouble = self._trouble or error
        with self._changed:
            for event in events:
                self._note(event)
            self._changed.notify_all()

    def _note(self, event: dict[str, Any]) -> None:
        seen = self.seen
        if event["event"] == "clock":
            self.offset_ns = event["wall_ns"] - event["t_ns"]
            if event["id"]:
                seen.clocks[event["id"]] = event["t_ns"]
        elif event["event"] == "request":
            seen.answered(event)

    def wait(self, holds: Callable[[Seen], bool], timeout_s: float, what: str) -> None:
        """Waits until what was seen is right.

        Raises Unsettled on time-out, LabkitError if the agent is gone, and what the sink raised, such as NotAvailable
        on a full disk.
        """
        limit = now_ns() + int(timeout_s * SECOND)
        with self._changed:
            while not holds(self.seen):
                if self._trouble:
                    raise self._trouble
                if not self._process.alive:
                    raise LabkitError(f"the measuring agent ended while waiting until {what}\n{self._process.errors}")
                left_s = (limit - now_ns()) / SECOND
                if left_s <= 0:
                    raise Unsettled(f"gave up after {timeout_s:g} s waiting until {what}; last seen: {self.seen}")
                self._changed.wait(min(left_s, 1.0))

    def now_ns(self) -> int:
        """The engine's monotonic clock, asked of the agent: the answer is late by the way there, never early."""
        self._stamps += 1
        name = f"stamp-{self._stamps}"
        self._process.send(f"stamp {name}")
        self.wait(lambda seen: name in seen.clocks, 10, "the agent reads its clock")
        return self.seen.clocks.pop(name)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Asks nothing meanwhile, and costs nothing. What was seen before counts no more for a row of good answers."""
        self._process.send("rest")
        try:
            yield
        finally:
            with self._changed:
                self.seen.good_in_a_row = 0
            self._process.send("work")

    def latest_ns(self) -> int:
        """The latest instant that the agent has told, without asking it: it may be gone."""
        return self.seen.latest_ns

    @property
    def alive(self) -> bool:
        return self._process.alive

    def close(self) -> None:
        """Ends the agent; its last events are heard."""
        if self._process.alive:
            self._process.send("quit")
        self._process.close()
