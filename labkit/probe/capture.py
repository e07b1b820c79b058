"""The wire capture of a run: ARP and heartbeats as the client's network card sees them."""

from pathlib import Path

from labkit.cluster import Lab
from labkit.timing import wait_until

CAPTURE = "/tmp/capture.pcap"


class Capture:
    """tcpdump in the client, from construction until save()."""

    def __init__(self, lab: Lab) -> None:
        self._client = lab.client
        self._said: list[str] = []
        wanted = f"arp or udp port {lab.spec.timing.udpport}"
        self._process = self._client.talk(
            "tcpdump", "-i", lab.spec.network.interface, "-n", "-U", "--immediate-mode", "-w", CAPTURE, wanted,
            heard=self._said.append,
        )  # fmt: skip
        wait_until(lambda: self._process.errors, lambda said: "listening on" in said, 10, "tcpdump listens")

    def save(self, path: Path) -> None:
        """Ends the capture and writes it to a file of this host."""
        self._client.run("pkill", "-INT", "-x", "tcpdump")
        wait_until(lambda: self._process.alive, lambda alive: not alive, 10, "tcpdump has written its file")
        path.write_bytes(self._client.get(CAPTURE))
