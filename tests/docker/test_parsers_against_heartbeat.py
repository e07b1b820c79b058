"""Holds the three readers of Heartbeat's files to the real daemon: what it refuses they refuse, and nothing else.

All cases run in one container, one after the other: a start of the daemon takes about 10 ms. Beside the tables stand
configurations that are made up from a seed; `make compare-heartbeat` makes up LABKIT_COMPARE of them.
"""

import io
import os
import random
import tarfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import docker
import pytest
from docker.models.containers import Container
from docker.types import Ulimit

from labkit.errors import BadInput
from labkit.heartbeat import authkeys, hacf, haresources
from labkit.heartbeat.directives import DIRECTIVES

pytestmark = pytest.mark.docker

NODE = "master-cluster"
ACCEPTED, CONFIGURATION_ERROR, CRASHED = 0, 6, 139

LOG = "logfile /tmp/heartbeat.log\ndebugfile /tmp/heartbeat.log\n"
CORE = (
    "keepalive 1\ndeadtime 5\ninitdead 12\nbcast lo\nauto_failback on\nnode master-cluster slave-cluster\n"
    "realtime off\n"
)
HA_CF = LOG + "logfacility none\n" + CORE
HARESOURCES = "master-cluster 172.23.19.48 apache2\n"
AUTHKEYS = "auth 1\n1 crc\n"


class Case(NamedTuple):
    """The three files of one start, and the mode of the third."""

    ha_cf: str = HA_CF
    haresources: str = HARESOURCES
    authkeys: str = AUTHKEYS
    mode: int = 0o600


# Each is added to a good ha.cf. Interfaces, users and programs are ones that every node image has.
HA_CF_LINES = [
    *("", "\n", "#", "  # comment", "keepalive 2 # comment", "keepalive 2#comment", "log#x", "foo", "Keepalive 1"),
    *(
        "\tkeepalive 2",
        "\fkeepalive 2",
        "\vkeepalive 2",
        "keepalive\v2",
        ",keepalive 2",
        "keepalive,2",
        "keepalive 2\r",
    ),
    *(
        "keepalive",
        "keepalive 2 1",
        "keepalive 4,1",
        "keepalive 1 4",
        "keepalive 1ms",
        "keepalive 0",
        "keepalive 499us",
    ),
    *("keepalive 501us", "keepalive 1s", "keepalive 1sec", "keepalive 200 ms", "keepalive 1.5.3", "keepalive .5"),
    *("keepalive .", "keepalive 200MSEC", "keepalive 200msfoo", "keepalive -1", "keepalive 99999999999999999999"),
    *("keepalive 1\0x", "keepalive \0x", "k" * 6000, "# " + "k" * 6000, "# " + "k" * 5117 + "keepalive 0"),
    *("deadtime 0", "deadtime 2", "deadtime 2001ms", "deadtime -1", "deadtime x", "deadtime 5 2", "deadtime 2 5"),
    *("initdead 3", "initdead 5", "initdead 4999ms", "initdead x", "initdead 9223372036854775807ms"),
    *("deadping 0", "deadping 2", "deadping 3", "warntime 0", "warntime 100", "warntime 1sec", "conn_logd_time 0"),
    *("hopfudge 255", "hopfudge 256", "hopfudge -1", "hopfudge x", "hopfudge 4294967296", "hopfudge " + "9" * 30),
    *("udpport 70000", "udpport x", "udpport 694x", "udpport 0", "baud 19200x", "baud 1200", "baud 9600\nbaud 9600"),
    *("rtprio 0", "rtprio 99", "rtprio 100", "debug 256", "debug -1", "debug x", "debug 0x10", "memreserve 0"),
    *("memreserve 1", "compression_threshold 0", "max_rexmit_delay 0", "max_rexmit_delay 10x", "watchdog /a /b"),
    *("coreroot x", "coreroot /x", "logfile x", "cluster a b", "quorum_server", "logfacility LOCAL0"),
    *("logfacility mark", "logfacility security", "logfacility x", "realtime maybe", "use_logd x", "use_logd off"),
    *("use_apphbd ON", "log_badpack 2", "syslogmsgfmt y", "coredumps n", "traditional_compression x"),
    *("record_config_changes x", "record_pengine_inputs Yes", "enable_config_writes 2"),
    *("auto_failback LEGACY", "auto_failback sometimes", "nice_failback on", "nice_failback maybe"),
    *("hbgenmethod time", "hbgenmethod Time", "msgfmt netstring", "msgfmt NETSTRING", "uuidfrom nodename"),
    *("uuidfrom FILE", "compression zlib bz2", "compression gzip", "compression ZLIB", "normalpoll true"),
    *("autojoin NONE", "autojoin other", "autojoin any", "autojoin x", "crm off", "crm off\npacemaker off", "crm x"),
    *("pacemaker Ccm-Only\nautojoin any", "crmd_spawns_pengine on", "pacemaker off\ncrmd_spawns_pengine on"),
    *("crmd_spawns_pengine x", "crm_daemon_dir /x", "crm off\ncrm_daemon_dir /x"),
    *("env FOO=1", "env =x", "env A=b,C=d", "node A,b", "node slave-cluster", "node " + " n" * 98, "node " + " n" * 99),
    *("apiauth", "apiauth x", "apiauth x uid=root", "apiauth x uid=root foo", "apiauth x uid=root uid=root"),
    *("apiauth ipfail uid=root", "apiauth x gid=root\napiauth x uid=root", "apiauth " + "x" * 70 + " uid=root"),
    *("respawn", "respawn root", "respawn root bin/true", "respawn root /bin/true x", "respawn ,root /bin/true"),
    *("failfast root /bin/true", "failfast", "stonith", "stonith_host", "stonith_host *", "stonith_host slave-cluster"),
    *("stonith_host MASTER-CLUSTER", "stonith_host * null master-cluster", "udp lo", "bcast", "bcast lo lo"),
    *("bcast " + "lo " * 63, "bcast " + "lo " * 64, "serial", "serial x", "ping", "ping 127.0.0.1,127.0.0.2"),
    *("ping " + " ".join(f"127.0.0.{i}" for i in range(1, 62)) + "\nnode" + " n" * 60, "hbaping x", "ping6"),
    *("ping_group", "ping_group g", "ping_group g 127.0.0.1", "ucast", "ucast lo", "ucast lo 127.0.0.1"),
    *("mcast", "mcast lo 225.0.0.1 694 1 0", "mcast lo 225.0.0.1 694 1", "mcast lo 10.0.0.1 694 1 0"),
    *("mcast lo 225.0.0.1 694 5 0", "mcast lo 225.0.0.1 694 1 2", "mcast lo 225.0.0.1 0 1 0"),
    *("mcast lo 225.0.0.1 65536 1 0", "mcast lo 225.0.0.1 65537 256 256", "mcast lo 225.0.0.1 694 1 0 more"),
    *("mcast lo 239.1 694 1 0", "mcast lo 225.0.0.01 694 1 0", "mcast6", "mcast6 lo ff02::1 694 1 0"),
    *("mcast6 lo ::2 694 1 0", "mcast6 lo ff02::1 x 1 0", "mcast6 lo ff02::1 694 255 0", "ucast6", "ucast6 lo"),
    *("ucast6 lo ::1", "ucast6 lo ff02::1", "ucast6 lo localhost", "ucast6 lo fe80::1"),
]
WHOLE_HA_CF = [
    *("", LOG + "bcast lo\nnode master-cluster\n", HA_CF.replace("bcast lo\n", ""), HA_CF.replace("node", "#")),
    *(HA_CF.replace(NODE, "other"), HA_CF.replace(NODE, NODE.upper()), HA_CF + "keepalive 2", CORE),
    *(CORE + "use_logd off\n", CORE + "use_logd on\n", CORE + "use_logd off\nlogfacility none\n"),
    *(CORE + "use_logd off\nlogfacility kern\n", CORE + "use_logd off\nlogfacility daemon\n"),
    *(HA_CF.replace("bcast lo\n", "ping 127.0.0.1\n"), HA_CF.replace("bcast lo\n", "bcast\n")),
]
HARESOURCES_TEXTS = [
    *("", "\n", " \n", "# x\n", "master-cluster\n", "MASTER-CLUSTER x\n", "other x\n", "other", "  slave-cluster x"),
    *("master-cluster x\nother y\n", "master-cluster \\\nother\n", "master-cluster \\\n\\\nother\nother x"),
    *("# \\\nother x\n", "master-cluster x \\", "master-cluster x \\\n", "master-cluster,x y\n", "\\\nother\n"),
    *("master-cluster nosuch::a\n", "master-cluster x # y \\\nother\n", "\0other\n", "master-cluster\vx\n"),
    *("master-cluster " + "m" * 5104 + " other\n", "master-cluster x\\\r\nother\n", "slave-cluster x\\ \nother\n"),
]
AUTHKEYS_TEXTS = [
    *("", AUTHKEYS, "auth1\n1crc\n", "1 crc\nauth 1\n", "auth 1\n", "1 crc\n", "auth 1\n1 crc key\n"),
    *("auth 1\n1 crc # c\n", "auth 1\n1 sha1\n", "auth 1\n1 sha1 a b\n", "auth 1\n1 SHA1 a\n", "auth 1\n1 md5 a\n"),
    *("auth 16\n16 crc\n", "auth 15\n15 crc\n", "auth -1\n-1 crc\n", "auth 1\n1 crc\n2\n", "auth 1\n1 crc\nfoo\n"),
    *("auth 1\n1 crc\nafoo\n", "auth 1\n1 crc\nauth 2\n", "auth 1\nauth 2\n1 crc\n", "auth 1 2\n1 crc\n"),
    *("auth +1\n+1 crc\n", "auth 0x1\n1 crc\n", "auth 01\n1 crc\n", "auth 4294967297\n1 crc\n"),
    *("auth 99999999999999999999\n1 crc\n", "  auth 1\n\t1 crc\n", "auth\v1\n1\vcrc\n", "\vauth 1\n1 crc\n"),
    *("auth 1\n1 crc", "auth 1\n1 sha256 x\n", "auth 1\n1 crc\n1 md5 k\n", "auth 1\n1 bad\n1 crc\n"),
    *("auth 1\n1\n crc\n", "auth 1\r\n1 crc\r\n", "auth 1\n1 sha1 " + "k" * 6000, "auth 1\n1- crc\n"),
    *("auth 1\n1 crc\0 key\n", "Auth 1\n1 crc\n", "auth 1x\n1 crc\n", "auth 1\n1 crc\nauth x\n"),
]
CASES = [
    *(Case(ha_cf=f"{HA_CF}{lines}\n") for lines in HA_CF_LINES),
    *(Case(ha_cf=text) for text in WHOLE_HA_CF),
    *(Case(haresources=text) for text in HARESOURCES_TEXTS),
    *(Case(haresources="127.0.0.1 x\n", ha_cf=text) for text in (HA_CF, HA_CF + "ping 127.0.0.1\n")),
    *(Case(authkeys=text) for text in AUTHKEYS_TEXTS),
    *(Case(mode=mode) for mode in (0o000, 0o604, 0o611, 0o622, 0o640, 0o644, 0o700)),
]

# Made up: whatever the tables have, several at a time and in any order, and any directive with any value.
MADE_UP = int(os.environ.get("LABKIT_COMPARE", "60"))
SEED = int(os.environ.get("LABKIT_SEED", "1"))
VALUES = [
    *("0", "1", "2", "3", "5", "10", "-1", "+5", "007", "99", "255", "256", "694", "9600", "65536", "2147483648"),
    *("1ms", "2000ms", "2.5", "5s", "10us", "5000000us", ".", "1e3", "on", "off", "yes", "no", "TRUE", "n", "x", "/x"),
    *("none", "any", "other", "legacy", "time", "file", "nodename", "zlib", "bz2", "classic", "netstring", "local3"),
    *("daemon", "kern", "a=b", "=b", "1,2", "1 2", ",", "1 # 2", "#", "", "\t5", "5\r", "\v", "\0", "5\0x"),
]
FITTING = {
    "time": ("1", "2", "2001ms", "2.5", "5", "9.9", "10", "13", "60"),
    "number": ("1", "7", "99", "250", "19200"),
    "switch": ("on", "off", "Yes", "0"),
}
# What the daemon refuses or not by what is on the machine: files, devices, Pacemaker's programs. The tables have them.
OF_THE_MACHINE = ("logfile", "debugfile", "watchdog", "coreroot", "crm_daemon_dir", "pacemaker")


def made_up(chance: random.Random) -> Case:
    """A start with one of its files changed."""
    kind = chance.choice(("ha_cf", "ha_cf", "haresources", "authkeys"))
    if kind == "ha_cf":
        return Case(ha_cf=shuffled_in(chance, HA_CF, [made_up_lines(chance) for _ in range(chance.randint(1, 4))]))
    if kind == "haresources":
        return Case(haresources=shuffled_in(chance, HARESOURCES, chance.sample(HARESOURCES_TEXTS, 2)))
    return Case(authkeys=shuffled_in(chance, AUTHKEYS, chance.sample(AUTHKEYS_TEXTS, chance.randint(1, 2))))


def made_up_lines(chance: random.Random) -> str:
    """Lines of a table, or a directive with a value that often is of its kind."""
    if chance.random() < 0.3:
        return chance.choice(HA_CF_LINES)
    name = chance.choice([name for name in DIRECTIVES if name not in OF_THE_MACHINE])
    row = DIRECTIVES[name]
    fitting = (*FITTING.get(row.kind, ()), *row.choices)
    value = chance.choice(fitting if fitting and chance.random() < 0.8 else VALUES)
    return f"{name}{chance.choice((' ', '  ', chr(9), ','))}{value}"


def shuffled_in(chance: random.Random, good: str, new: Sequence[str]) -> str:
    """A good file with other lines at any places, and now and then without one of its own."""
    lines = good.splitlines()
    if chance.random() < 0.1:
        lines.pop(chance.randrange(len(lines)))
    for one in new:
        for line in one.split("\n"):
            lines.insert(chance.randint(0, len(lines)), line)
    return "\n".join(lines) + "\n"


SCRIPT = """
daemon=$(find /usr/lib/heartbeat /usr/libexec/heartbeat -type f -name heartbeat 2>/dev/null | head -n 1)
mkdir -p /run/heartbeat && chown hacluster:haclient /run/heartbeat
cd /cases && for case in $(ls); do
    cp -p "$case"/* /etc/ha.d/
    rm -f /run/heartbeat.pid
    timeout -k 1 20 "$daemon" > /dev/null 2>&1 < /dev/null
    echo "$case $?"
    pkill -9 -x heartbeat
done
rm -rf /cases
"""


@pytest.fixture(scope="module")
def container(node_image: str) -> Iterator[Container]:
    """A node's image, alone, in which nothing is started."""
    client = docker.from_env()
    container = client.containers.run(
        node_image,
        entrypoint=["sleep", "600"],
        detach=True,
        init=True,
        hostname=NODE,
        network_mode="none",
        ulimits=[Ulimit(name="nofile", soft=1024, hard=1024)],
        labels={"labkit": "test-parsers"},
    )
    try:
        yield container
    finally:
        container.remove(force=True)
        client.close()


@pytest.fixture(scope="module")
def exit_codes(container: Container) -> list[int]:
    """What the daemon's start command exits with for each of CASES."""
    return run_cases(container, CASES)


def run_cases(container: Container, cases: Sequence[Case]) -> list[int]:
    """Copy all cases into the container and start the daemon with each."""
    container.put_archive("/", cases_tar(cases))
    output = container.exec_run(["bash", "-c", SCRIPT], stderr=False).output
    assert isinstance(output, bytes)
    lines = [line.split() for line in output.decode().splitlines()]
    assert [int(index) for index, _ in lines] == list(range(len(cases))), output
    return [int(status) for _, status in lines]


def cases_tar(cases: Sequence[Case]) -> bytes:
    """An archive with one folder a case, named so that `ls` gives them in order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for index, case in enumerate(cases):
            for name, text, mode in (
                ("ha.cf", case.ha_cf, 0o644),
                ("haresources", case.haresources, 0o644),
                ("authkeys", case.authkeys, case.mode),
            ):
                data = text.encode()
                entry = tarfile.TarInfo(f"cases/{index:06}/{name}")
                entry.size, entry.mode = len(data), mode
                archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def refusal(case: Case) -> str | None:
    """Why our readers refuse the files, or None."""
    try:
        config = hacf.parse(case.ha_cf, node=NODE)
        authkeys.parse(case.authkeys, case.mode)
        known = {*config.nodes, *(medium.args[0] for medium in config.media if medium.pings)}
        haresources.parse(case.haresources, known_nodes=known if not config.values["pacemaker"] else None)
    except BadInput as error:
        return str(error)
    return None


@pytest.mark.parametrize("index", range(len(CASES)))
def test_readers_refuse_what_the_daemon_refuses(exit_codes: list[int], index: int) -> None:
    """For each case, our readers refuse the files exactly if the daemon does not start with them."""
    assert not disagreement(CASES[index], exit_codes[index])


def disagreement(case: Case, exit_code: int) -> str:
    """Nothing where the readers and the daemon agree."""
    ours = refusal(case)
    expected = {ACCEPTED} if ours is None else {CONFIGURATION_ERROR, CRASHED}
    return "" if exit_code in expected else f"{case}\nthe daemon exits with {exit_code}; the readers say: {ours}"


def test_readers_agree_with_the_daemon_on_what_is_made_up(container: Container) -> None:
    """The same, of configurations that nobody has thought of. With pytest's -s it says how many."""
    chance = random.Random(SEED)
    cases = [made_up(chance) for _ in range(MADE_UP)]
    codes = run_cases(container, cases)
    wrong = [text for case, code in zip(cases, codes, strict=True) if (text := disagreement(case, code))]
    print(
        f"\n{len(CASES)} configurations of the tables and {MADE_UP} made up (seed {SEED}) were given to Heartbeat's"
        f" daemon; of those made up it took {codes.count(ACCEPTED)}; disagreements with the readers: {len(wrong)}"
    )
    assert not wrong, "\n\n".join(wrong[:10])


def test_cases_hold_both_verdicts(exit_codes: list[int]) -> None:
    """The table has enough good and bad files for the comparison to mean something, and no third verdict."""
    assert {ACCEPTED, CONFIGURATION_ERROR, CRASHED} == set(exit_codes)
    assert exit_codes.count(ACCEPTED) >= 60
    assert exit_codes.count(CONFIGURATION_ERROR) >= 60
