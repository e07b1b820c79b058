"""The log lines that mean something: one typed table, in the order of a failover. Rank 1.

Source: the messages in the source of Heartbeat 3.0.6 and resource-agents, and lines of real pairs. A line is matched
against the whole table in order; the first hit names it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True)
class Marker:
    """One recognisable line: its name, the program that logs it, what its text matches, and what it tells."""

    name: str
    program: str
    pattern: re.Pattern[str]
    meaning: str


def _marker(name: str, program: str, pattern: str, meaning: str) -> Marker:
    return Marker(name, program, re.compile(pattern), meaning)


MARKERS: tuple[Marker, ...] = (
    _marker("late", "heartbeat", r"Late heartbeat: Node ", "a heartbeat came later than warntime"),
    _marker("declared-dead", "heartbeat", r"WARN: node \S+: is dead", "nothing heard of the peer for deadtime"),
    _marker("shutdown-notice", "heartbeat", r"Received shutdown notice from", "the peer says that it is going"),
    _marker("handing-over", "labkit-monitor", r"handing over to", "the monitor calls hb_standby"),
    _marker("restarting-locally", "labkit-monitor", r"starting \S+ here again", "no peer to hand over to"),
    _marker(
        "monitor-tripped",
        "monit",
        r"process is not running|failed protocol test|status failed",
        "the monitor misses the service",
    ),
    _marker("standby-requested", "heartbeat", r"wants to go standby \[", "a node asks its peer to take resources"),
    _marker("takeover-requested", "harc", r"Running \S*/hb_takeover ", "a node asks its peer for its resources"),
    _marker("standby-refused", "heartbeat", r"Standby request cancelled|standby message .*ignored", "no hand-over"),
    _marker("starting", "heartbeat", r"Configuration validated\. Starting heartbeat", "the daemon starts"),
    _marker("stopping", "heartbeat", r"Heartbeat shutdown in progress", "the daemon was told to stop"),
    _marker("taking-over", "heartbeat", r"Resources being acquired from", "the survivor begins to take over"),
    _marker("giving-up", "ResourceManager", r"Releasing resource group", "a node stops its resources"),
    _marker("acquiring", "ResourceManager", r"Acquiring resource group", "a node starts its resources"),
    _marker("address-up", "IPaddr2?", r"Adding inet address|eval ifconfig \S+ \S+ netmask", "the VIP is configured"),
    _marker("gratuitous-arp", "IPaddr2?", r"send_arp\s+-i", "the move is told to the link"),
    _marker("address-down", "IPaddr2?", r"IP status = ok|ifconfig \S+ down", "the VIP is taken away"),
    _marker("takeover-complete", "heartbeat", r"mach_down takeover complete|Standby resource acquisition done", "done"),
    _marker("failback", "heartbeat", r"Initial resource acquisition complete \(auto_failback\)", "back at home"),
    _marker("returning", "heartbeat", r"returning after partition", "the peer had only been out of reach"),
    _marker("both-own", "heartbeat", r"Both machines own (our|foreign) resources", "split brain seen by the daemon"),
    _marker("reset-requested", "reboot", r"reboot requested", "a resource would not stop and a reboot was asked for"),
)


class LogLine(NamedTuple):
    """A syslog line taken apart. wall_ns: its stamp, wall time in ns since the epoch."""

    wall_ns: int
    host: str
    program: str
    text: str
    marker: str | None


_LINE = re.compile(r"(?P<stamp>\d{4}-\d\d-\d\dT\S+) (?P<host>\S+) (?P<tag>.*?): ?(?P<text>.*)$")
_PROGRAM = re.compile(r"(?:.*/)?(?P<name>[\w.-]+)")


def classify(program: str, text: str) -> str | None:
    """Name of the marker that the line is, if it is one."""
    for marker in MARKERS:
        if re.fullmatch(marker.program, program) and marker.pattern.search(text):
            return marker.name
    return None


def parse(line: str) -> LogLine | None:
    """A line as the nodes' rsyslog writes it (RFC 3339 stamp, host, tag, text), or None for anything else."""
    found = _LINE.match(line)
    if found is None:
        return None
    try:
        stamp = datetime.fromisoformat(found["stamp"])
    except ValueError:
        return None
    if stamp.tzinfo is None:
        return None  # RFC 3339 wants the offset; without it, the line is somebody else's
    wall_ns = int(stamp.timestamp()) * 1_000_000_000 + stamp.microsecond * 1000
    name = _PROGRAM.match(found["tag"])
    program = name["name"] if name else found["tag"]
    return LogLine(wall_ns, found["host"], program, found["text"], classify(program, found["text"]))
