"""The wire capture of a run: ARP and heartbeats as the client's network card sees them."""

from labkit.cluster import Lab
from labkit.timing import wait_until

CAPTURE = "/tmp/capture.pcap"


class Capture:
    """tcpdump in the client, from construction until stop()."""

    def __init__(self, lab: Lab) -> None:
        self._client = lab.client
        self._said: list[str] = []
        wanted = f"arp or udp port {lab.spec.timing.udpport}"
        self._process = self._client.talk(
            "tcpdump", "-i", lab.spec.network.interface, "-n", "-U", "--immediate-mode", "-w", CAPTURE, wanted,
            heard=self._said.extend,
        )  # fmt: skip
        wait_until(lambda: self._process.errors, lambda said: "listening on" in said, 10, "tcpdump listens")

    def stop(self) -> bytes:
        """Ends the capture and gives the file that it wrote."""
        self._client.run("pkill", "-INT", "-x", "tcpdump")
        wait_until(lambda: self._process.alive, lambda alive: not alive, 10, "tcpdump has written its file")
        return self._client.get(CAPTURE)
