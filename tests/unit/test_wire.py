"""The wire capture as events: made with scapy, read back, and brought to the run's clock."""

from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet
from scapy.utils import wrpcap

from labkit.errors import BadInput
from labkit.history import Event
from labkit.wire import announcements, wire_events
from tests.unit.histories import MACS, MASTER, SLAVE, VIP, TrialBuilder, at_ns, run_event

OFFSET_NS = 1_700_000_000_000_000_000  # wall time minus monotonic time


def trial(number: int, start_ms: float) -> list[Event]:
    """A second of a trial, with the clocks read at its beginning; between them they drift by 1 ms a trial."""
    builder = TrialBuilder(number).start(start_ms)
    wall_ns = at_ns(start_ms) + OFFSET_NS + number * 1_000_000
    return builder.add("clock", id="", t_ns=at_ns(start_ms), wall_ns=wall_ns).end(start_ms + 1000).events


HISTORY = [run_event(2), *trial(1, 0), *trial(2, 5000)]


def sent(packet: Packet, ms: float, drift_ms: float) -> Packet:
    packet.time = (at_ns(ms) + OFFSET_NS) / 1e9 + drift_ms / 1000
    return packet


def gratuitous(node: str, address: str = VIP, asked: str | None = None) -> Packet:
    arp = ARP(op=2, hwsrc=MACS[node], psrc=address, pdst=asked or address)
    return Ether(src=MACS[node], dst="ff:ff:ff:ff:ff:ff") / arp


def heartbeat(node: str, port: int = 694) -> Packet:
    datagram = IP(src="172.23.19.46", dst="172.23.19.255") / UDP(sport=40000, dport=port)
    return Ether(src=MACS[node], dst="ff:ff:ff:ff:ff:ff") / datagram / b"###"


def read(tmp_path: Path, *packets: Packet) -> list[Event]:
    wrpcap(str(tmp_path / "capture.pcap"), list(packets))
    return wire_events(tmp_path / "capture.pcap", HISTORY)


def test_heartbeats_and_announcements_are_events_of_their_trial(tmp_path: Path) -> None:
    """Each at its instant on the run's clock, to the microsecond of the stamp; what is between trials is nobody's."""
    found = read(
        tmp_path,
        sent(heartbeat(MASTER), 100, 1),
        sent(heartbeat(SLAVE), 3000, 1),
        sent(gratuitous(SLAVE), 5200, 2),
    )
    assert [(one["trial"], one["kind"], one["mac"]) for one in found] == [
        (1, "heartbeat", MACS[MASTER]),
        (2, "gratuitous", MACS[SLAVE]),
    ]
    assert [one["t_ns"] for one in found] == pytest.approx([at_ns(100), at_ns(5200)], abs=2000)


def test_other_packets_mean_nothing(tmp_path: Path) -> None:
    """An answer to a question, somebody else's address, another port, and a frame that was cut off."""
    others = [gratuitous(SLAVE, asked="172.23.19.43"), gratuitous(SLAVE, "172.23.19.9"), heartbeat(MASTER, 695)]
    assert (
        read(tmp_path, *(sent(one, 100, 1) for one in others), sent(Ether(bytes(gratuitous(SLAVE))[:30]), 110, 1)) == []
    )


def test_announcements_of_any_capture_are_read_without_a_history(tmp_path: Path) -> None:
    """With the wall time of their stamp; heartbeats and answers to questions are none."""
    sent_ones = [gratuitous(SLAVE), gratuitous(MASTER, asked="172.23.19.43"), heartbeat(MASTER)]
    wrpcap(str(tmp_path / "any.pcap"), [sent(one, 100, 0) for one in sent_ones])
    ((wall_ns, mac),) = announcements(tmp_path / "any.pcap", VIP)
    assert mac == MACS[SLAVE]
    assert wall_ns == pytest.approx(at_ns(100) + OFFSET_NS, abs=2000)


def test_a_run_without_a_capture_has_no_wire_events(tmp_path: Path) -> None:
    """A killed run leaves none."""
    assert wire_events(tmp_path / "capture.pcap", HISTORY) == []


def test_a_file_that_is_no_capture_is_bad_input(tmp_path: Path) -> None:
    """The error names it, and says what to do."""
    (tmp_path / "capture.pcap").write_bytes(b"no capture at all, but long enough for the header of one")
    with pytest.raises(BadInput, match=r"capture\.pcap.*Without the file the run can be judged"):
        wire_events(tmp_path / "capture.pcap", HISTORY)


def test_a_torn_capture_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """The last packet of a capture that was cut off is left out."""
    assert len(read(tmp_path, sent(heartbeat(MASTER), 100, 1), sent(heartbeat(MASTER), 200, 1))) == 2
    whole = (tmp_path / "capture.pcap").read_bytes()
    (tmp_path / "capture.pcap").write_bytes(whole[:-20])
    assert len(wire_events(tmp_path / "capture.pcap", HISTORY)) == 1
