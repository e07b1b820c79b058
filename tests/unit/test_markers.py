"""Log lines: taken apart as the nodes' rsyslog writes them, and recognised by the table of markers.

Lines are of a real pair unless their group says otherwise.
"""

import re
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labkit.heartbeat.markers import MARKERS, LogLine, classify, parse

STAMP = "2026-11-22T09:27:24.336541+00:00"
STAMP_NS = 1_795_339_644_336_541_000
IPADDR2 = "IPaddr2(IPaddr2_172.23.19.48)[559]: INFO: "
OCF = "/usr/lib/ocf/resource.d//heartbeat/"
GROUP = "master-cluster IPaddr2::172.23.19.48/24/eth0 apache2"

SEEN = {
    "declared-dead": ["heartbeat: [153]: WARN: node slave-cluster: is dead"],
    "shutdown-notice": ["heartbeat: [168]: info: Received shutdown notice from 'master-cluster'."],
    "handing-over": ["labkit-monitor: apache2 does not serve: handing over to slave-cluster"],
    "monitor-tripped": [
        "monit[256]: 'apache2' process is not running",
        "monit[118]: 'apache2' failed protocol test [HTTP] at [localhost]:80 [TCP/IP] -- Cannot assign requested"
        " address",
        "monit[196]: 'counter' status failed (1) -- no output",
    ],
    "standby-requested": [
        "heartbeat: [153]: info: master-cluster wants to go standby [all]",
        "heartbeat: [168]: info: slave-cluster wants to go standby [foreign]",
    ],
    "takeover-requested": ["harc(default)[1398]: info: Running /etc/ha.d//rc.d/hb_takeover hb_takeover"],
    "starting": ["heartbeat: [167]: info: Configuration validated. Starting heartbeat 3.0.6"],
    "stopping": ["heartbeat: [153]: info: Heartbeat shutdown in progress. (153)"],
    "taking-over": ["heartbeat: [153]: info: Resources being acquired from slave-cluster."],
    "giving-up": [f"ResourceManager(default)[1394]: info: Releasing resource group: {GROUP}"],
    "acquiring": [f"ResourceManager(default)[424]: info: Acquiring resource group: {GROUP}"],
    "address-up": [
        f"{IPADDR2}Adding inet address 172.23.19.48/24 with broadcast address 172.23.19.255 to device eth0",
    ],
    "gratuitous-arp": [
        f"{IPADDR2}/usr/libexec/heartbeat/send_arp  -i 200 -r 5 -p /run/resource-agents/send_arp-172.23.19.48 eth0"
        " 172.23.19.48 auto not_used not_used",
    ],
    "address-down": [f"{IPADDR2}IP status = ok, IP_CIP="],
    "takeover-complete": [
        "heartbeat: [168]: info: mach_down takeover complete.",
        "heartbeat: [168]: info: Standby resource acquisition done [all].",
        "heartbeat: [1940]: info: Standby resource acquisition done [foreign].",
    ],
    "failback": ["heartbeat: [1940]: info: Initial resource acquisition complete (auto_failback)"],
}
# Put together from the formats in the sources of Heartbeat 3.0.6, resource-agents and labkit's own scripts.
FROM_SOURCE = {
    "late": [
        "heartbeat: [153]: WARN: Late heartbeat: Node slave-cluster: interval 3010 ms",
        "heartbeat: [153]: WARN: Late heartbeat: Node slave-cluster: interval 6010 ms (> deadtime)",
    ],
    "restarting-locally": [
        "labkit-monitor: slave-cluster is dead and cannot take over: starting apache2 here again",
    ],
    "standby-refused": [
        "heartbeat: [153]: WARN: No reply to standby request.  Standby request cancelled.",
        "heartbeat: [153]: WARN: standby message [me] from master-cluster ignored.  Other side is in flux.",
        "heartbeat: [153]: WARN: standby message [me] from master-cluster ignored.  local resources in flux.",
        "heartbeat: [153]: WARN: standby message ignored during shutdown",
    ],
    "address-up": [
        "IPaddr(IPaddr_172.23.19.48)[559]: INFO: eval ifconfig eth0:0 172.23.19.48 netmask 255.255.255.0"
        " broadcast 172.23.19.255",
    ],
    "gratuitous-arp": [f"{OCF}{IPADDR2}/usr/lib/heartbeat/send_arp -i 200 -r 5 -p /run/x eth0 172.23.19.48 auto"],
    "address-down": ["IPaddr(IPaddr_172.23.19.48)[559]: INFO: ifconfig eth0:0 down"],
    "returning": ["heartbeat: [153]: CRIT: Cluster node slave-cluster returning after partition."],
    "both-own": [
        "heartbeat: [153]: ERROR: Both machines own our resources!",
        "heartbeat: [153]: ERROR: Both machines own foreign resources!",
    ],
    "reset-requested": ["reboot: reboot requested (-nf) and not carried out: this is a container"],
}
MARKED = [(name, line) for table in (SEEN, FROM_SOURCE) for name, lines in table.items() for line in lines]

UNMARKED = [
    "heartbeat: [153]: info: Link slave-cluster:eth0 dead.",
    "heartbeat: [168]: info: Dead node master-cluster gave up resources.",
    "heartbeat: [153]: info: standby: slave-cluster can take our all resources",
    "heartbeat: [153]: info: Local standby process completed [all].",
    "heartbeat: [153]: info: Initial resource acquisition complete (mach_down)",
    "mach_down(default)[1081]: info: mach_down takeover complete for node master-cluster.",
    "ResourceManager(default)[424]: info: Running /etc/ha.d/resource.d/IPaddr2 172.23.19.48/24/eth0 start",
    f"{OCF}{IPADDR2} Resource is stopped",
    f"{IPADDR2}Bringing device eth0 up",
    f"{IPADDR2}IP status = no, IP_CIP=",
    "monit[256]: 'apache2' exec: '/usr/lib/labkit/hand-over 172.23.19.48 slave-cluster'",
    "monit[256]: 'apache2' process is running with pid 2123",
    "labkit-mark: trial-1",
    "root: node slave-cluster: is dead",
    "ipfail: [170]: info: Status update: Node slave-cluster now has status dead",
]


def syslog(rest: str) -> str:
    return f"{STAMP} master-cluster {rest}"


def test_table_has_a_line_for_every_marker_and_no_name_twice() -> None:
    """Each marker is proved by a line, and its name is its own."""
    names = [marker.name for marker in MARKERS]
    assert sorted(set(names)) == sorted(names)
    assert {name for name, _ in MARKED} == set(names)


@pytest.mark.parametrize(("name", "rest"), MARKED)
def test_line_has_its_marker_and_no_other(name: str, rest: str) -> None:
    """A line is recognised as what it is, and the order of the table plays no part in it."""
    line = parse(syslog(rest))
    assert line is not None
    assert line.marker == name
    fits = [m.name for m in MARKERS if re.fullmatch(m.program, line.program) and m.pattern.search(line.text)]
    assert fits == [name]


@pytest.mark.parametrize("rest", UNMARKED)
def test_other_lines_have_no_marker(rest: str) -> None:
    """Lines that only sound alike, or come from another program, are parsed and mean nothing."""
    line = parse(syslog(rest))
    assert line is not None
    assert line.marker is None


@pytest.mark.parametrize(
    ("rest", "program", "text"),
    [
        ("heartbeat: [153]: info: x", "heartbeat", "[153]: info: x"),
        ("monit[256]: x: y", "monit", "x: y"),
        (f"{OCF}IPaddr2(IPaddr2_172.23.19.48)[5]: INFO:  Success", "IPaddr2", "INFO:  Success"),
        ("IPaddr2(IPaddr2_172.23.19.48)[559]: INFO: ", "IPaddr2", "INFO: "),
        ("ip-request-resp(default)[407]: received", "ip-request-resp", "received"),
        ("labkit-mark: trial-1", "labkit-mark", "trial-1"),
        ("rsyslogd: [origin software=x] start", "rsyslogd", "[origin software=x] start"),
        ("root: ", "root", ""),
    ],
)
def test_program_and_text(rest: str, program: str, text: str) -> None:
    """The program is the tag without folder, instance and process id; the text is all that follows the tag."""
    assert parse(syslog(rest)) == LogLine(STAMP_NS, "master-cluster", program, text, None)


@pytest.mark.parametrize(
    ("stamp", "wall_ns"),
    [
        ("1970-01-01T00:00:00.000001+00:00", 1_000),
        ("2026-11-22T09:27:24.336541+00:00", STAMP_NS),
        ("2026-11-22T10:27:24.336541+01:00", STAMP_NS),
        ("2026-11-22T04:57:24.336541-04:30", STAMP_NS),
        ("2026-11-22T09:27:24+00:00", STAMP_NS - 336_541_000),
        ("2026-11-22T09:27:24.999999+00:00", STAMP_NS + 663_458_000),
    ],
)
def test_stamp_in_ns(stamp: str, wall_ns: int) -> None:
    """A stamp is brought to UTC nanoseconds without losing a microsecond."""
    line = parse(f"{stamp} host program: text")
    assert line is not None
    assert line.wall_ns == wall_ns


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Starting High-Availability services: Done.",
        "Nov 22 09:21:54 INFO:  Resource is stopped",
        " Stored in '/var/lib/monit.id'",
        "2026-11-22T09:27:24.336541+00:00",
        "2026-11-22T09:27:24.336541+00:00 host program text",
        "2026-13-22T09:27:24.336541+00:00 host program: text",
        "2026-11-22T09:27:24.336541 host program: text",
        "0001-01-01T00:00:00 host program: text",
        "2026-11-22 09:27:24+00:00 host program: text",
    ],
)
def test_anything_else_is_no_line(line: str) -> None:
    """What the init scripts print between the log lines, and stamps without an offset from UTC, are no log lines."""
    assert parse(line) is None


@given(
    st.one_of(
        st.text(),
        st.builds("{} {} {}: {}".format, st.datetimes().map(datetime.isoformat), st.text(), st.text(), st.text()),
        st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d:\d\d)? \w+ .*: .*"),
    )
)
@example("0001-01-01T00:00:00+23:59 host program: text")
@example("9999-12-31T23:59:59.999999-23:59 host program: text")
def test_no_line_breaks_the_parser(text: str) -> None:
    """A node may log anything at all: parsing gives a line or None, and never an error."""
    line = parse(text)
    assert line is None or line.marker == classify(line.program, line.text)
