"""The wire as the client's network card sees it: the capture of a run, and heartbeats one by one as they pass."""

import re
from collections.abc import Callable
from typing import Any

from labkit.cluster import Lab
from labkit.engine import Process
from labkit.timing import SECOND, wait_until

CAPTURE = "/tmp/capture.pcap"
AFRESH = 'rm -f "$0"; exec tcpdump "$@"'  # the last run's is tcpdump's own, and the client's root may not write to it


# Ends with its input, so also when whoever listens was killed.
WHILE_HEARD = 'tcpdump "$@" & cat >/dev/null; kill $!; wait'
HEARTBEAT = re.compile(r"(\d+)\.(\d{6}) ((?:[0-9a-f]{2}:){5}[0-9a-f]{2}) > ")  # as `tcpdump -tt -e` begins a line
Sink = Callable[[dict[str, Any]], None]


class Capture:
    """tcpdump in the client, from construction until stop()."""

    def __init__(self, lab: Lab) -> None:
        self._client = lab.client
        # without the watcher's questions, twenty a second: their sender is 0.0.0.0
        wanted = f"(arp and arp[14:4] != 0) or udp port {lab.spec.timing.udpport}"
        command = ("sh", "-c", AFRESH, CAPTURE, *_on(lab), "-w", CAPTURE, wanted)
        self._process = lab.client.talk(*command, heard=lambda lines: None)
        _await_listening(self._process)

    def stop(self) -> bytes:
        """Ends the capture, and nobody else's, and gives the file that it wrote."""
        self._client.run("pkill", "-INT", "-f", f"^tcpdump .*-w {CAPTURE}")
        wait_until(lambda: self._process.alive, lambda alive: not alive, 10, "tcpdump has written its file")
        return self._client.get(CAPTURE)


class Heartbeats:
    """Tells each heartbeat as it passes, in the form of `labkit.wire`'s events, from construction until close().

    offset: wall time minus monotonic time in ns, as an agent last read it; None before the first reading.
    """

    def __init__(self, lab: Lab, offset: Callable[[], int | None], sink: Sink) -> None:
        self._offset = offset
        self._sink = sink
        wanted = ("-l", "-e", "-tt", "-q", f"udp port {lab.spec.timing.udpport}")
        self._process = lab.client.talk("sh", "-c", WHILE_HEARD, "tcpdump", *_on(lab), *wanted, heard=self._heard)
        _await_listening(self._process)

    def _heard(self, lines: list[str]) -> None:
        offset_ns = self._offset()
        for found in map(HEARTBEAT.match, lines):
            if found and offset_ns is not None:
                wall_ns = int(found[1]) * SECOND + int(found[2]) * 1000
                self._sink({"event": "wire", "t_ns": wall_ns - offset_ns, "kind": "heartbeat", "mac": found[3]})

    @property
    def alive(self) -> bool:
        return self._process.alive

    def close(self) -> None:
        """Ends it, whether the client is still there or not."""
        self._process.close()


def _on(lab: Lab) -> tuple[str, ...]:
    return "-i", lab.spec.network.interface, "-n", "-U", "--immediate-mode"


def _await_listening(process: Process) -> None:
    wait_until(lambda: process.errors, lambda said: "listening on" in said, 10, "tcpdump listens")
