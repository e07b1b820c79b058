"""The wire capture of a run as events, so that what measures needs neither the file nor its format. Rank 6.

Each is {"event": "wire", "trial", "t_ns", "kind", "mac"}: a `heartbeat`, or a `gratuitous` ARP for the VIP, and the
address that it came from. The packets' wall-clock stamps are brought to the monotonic clock by the history's `clock`
events, as those of log lines are.
"""

import socket
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

from labkit.errors import BadInput
from labkit.history import Event, header, of_kind, trials

_ARP, _IP, _UDP = 0x0806, 0x0800, 17


def wire_events(capture: Path, events: Sequence[Event]) -> list[Event]:
    """What a capture tells about the trials of a history; nothing if there is no such file, as in a run cut short.

    BadInput if the file is no capture.
    """
    spec = header(events).get("spec", {})
    clocks = sorted((clock["wall_ns"], clock["wall_ns"] - clock["t_ns"]) for clock in of_kind(events, "clock"))
    vip, port = spec.get("network", {}).get("vip"), spec.get("timing", {}).get("udpport")
    if not (capture.exists() and clocks and vip and port):
        return []
    spans = [(trial.start_ns, trial.end_ns, trial.number) for trial in trials(events)]
    walls = [wall_ns for wall_ns, _ in clocks]
    address = socket.inet_aton(vip)
    found: list[Event] = []
    for wall_ns, frame in _frames(capture):
        told = _told(frame, address, port)
        t_ns = wall_ns - clocks[max(bisect_right(walls, wall_ns) - 1, 0)][1]
        number = next((number for start, end, number in spans if start <= t_ns <= end), None)
        if told and number is not None:
            found.append({"event": "wire", "trial": number, "t_ns": t_ns, "kind": told[0], "mac": told[1]})
    return found


def announcements(capture: Path, vip: str) -> list[tuple[int, str]]:
    """The gratuitous ARPs for the VIP in any capture of Ethernet: wall time in ns, and the address that it came from.

    BadInput if the file is no capture.
    """
    address = socket.inet_aton(vip)
    told = ((wall_ns, _told(frame, address, 0)) for wall_ns, frame in _frames(capture))
    return [(wall_ns, what[1]) for wall_ns, what in told if what and what[0] == "gratuitous"]


def _frames(capture: Path) -> Iterator[tuple[int, bytes]]:
    """Each frame with its stamp, wall time in ns; a last one that was torn is left out."""
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapReader

    try:
        with RawPcapReader(str(capture)) as reader:
            unit_ns = 1 if reader.nano else 1000
            for frame, stamp in reader:
                yield stamp.sec * 1_000_000_000 + stamp.usec * unit_ns, frame
    except (Scapy_Exception, OSError) as error:
        raise BadInput(
            f"cannot read the capture {capture}: {error}. Without the file the run can be judged."
        ) from error


def _told(frame: bytes, vip: bytes, port: int) -> tuple[str, str] | None:
    """The kind of a frame that counts, and whom it came from: bytes at their places in Ethernet, ARP, IPv4 and UDP."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == _ARP and len(frame) >= 42 and frame[28:32] == frame[38:42] == vip:
        return "gratuitous", _mac(frame[22:28])
    if kind == _IP and len(frame) >= 42 and frame[23] == _UDP:
        udp = 14 + 4 * (frame[14] & 0x0F)
        if frame[udp + 2 : udp + 4] == struct.pack("!H", port):
            return "heartbeat", _mac(frame[6:12])
    return None


def _mac(address: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in address)
