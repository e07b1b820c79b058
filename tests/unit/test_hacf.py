"""The reader of ha.cf. That it refuses what the daemon refuses is held by tests/docker."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import BadInput
from labkit.heartbeat import hacf
from labkit.heartbeat._c import atoi
from labkit.heartbeat.hacf import Client
from labkit.heartbeat.media import Medium

CORE = "node master-cluster slave-cluster\nbcast eth0\n"


def test_the_guide_s_file() -> None:
    """The directives that the guide sets come out typed: media in order (udp is bcast), nodes, times in ms."""
    config = hacf.parse(
        "keepalive 2\ndeadtime 5\nudpport 694\nbcast ens18\nmcast ens18 225.0.0.1 694 1 0\nucast ens18 172.23.19.47\n"
        "udp ens18\nauto_failback on\nnode master-cluster\nnode slave-cluster\n"
    )
    assert config.nodes == ("master-cluster", "slave-cluster")
    assert config.media == (
        Medium("bcast", ("ens18",)),
        Medium("mcast", ("ens18", "225.0.0.1", "694", "1", "0")),
        Medium("ucast", ("ens18", "172.23.19.47")),
        Medium("bcast", ("ens18",)),
    )
    assert (config.keepalive_ms, config.deadtime_ms) == (2000, 5000)
    assert (config.auto_failback, config.udpport) == ("on", 694)


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        ("", "keepalive_ms", 1000),
        ("", "deadtime_ms", 30000),
        ("", "warntime_ms", 15000),
        ("", "initdead_ms", 30000),
        ("", "deadping_ms", 30000),
        ("", "auto_failback", "legacy"),
        ("", "udpport", 694),
        ("deadtime 5", "warntime_ms", 2500),
        ("deadtime 2001ms", "warntime_ms", 1000),
        ("deadtime 5", "initdead_ms", 12000),
        ("deadtime 6", "initdead_ms", 12000),
        ("deadtime 8", "initdead_ms", 16000),
        ("deadtime 10", "initdead_ms", 20000),
        ("deadtime 10001ms", "initdead_ms", 10001),
        ("deadtime 5\ninitdead 7", "initdead_ms", 7000),
        ("deadtime 5", "deadping_ms", 5000),
        ("warntime 100", "warntime_ms", 100000),
        ("keepalive 2 1", "keepalive_ms", 1000),
        ("keepalive 2\nkeepalive 1.5", "keepalive_ms", 1500),
        ("keepalive 200ms # 2", "keepalive_ms", 200),
        ("keepalive", "keepalive_ms", 1000),
        ("auto_failback OFF", "auto_failback", "off"),
        ("auto_failback Legacy", "auto_failback", "legacy"),
        ("nice_failback on", "auto_failback", "legacy"),
        ("auto_failback on\nnice_failback off", "auto_failback", "off"),
        ("node A,b", "nodes", ("a", "b", "master-cluster", "slave-cluster")),
        ("respawn hacluster /bin/x  -a b", "clients", (Client("hacluster", "/bin/x  -a b", False),)),
        ("failfast root /bin/x", "clients", (Client("root", "/bin/x", True),)),
        ("env A=b=c D=", "env", {"A": "b=c", "D": ""}),
        ("apiauth x  uid=root", "apiauth", ("x  uid=root",)),
        ("stonith_host * null a", "stonith_host", ("* null a",)),
    ],
)
def test_values_and_defaults(lines: str, field: str, value: object) -> None:
    """Values, Heartbeat's defaults and its rules for defaults that hang on other values, one directive at a time."""
    assert getattr(hacf.parse(f"{lines}\n{CORE}"), field) == value


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        ("", "realtime", True),
        ("realtime n", "realtime", False),
        ("", "conn_logd_time", 60000),
        ("", "memreserve", 6500),
        ("debug 3x", "debug", 3),
        ("debug x", "debug", 0),
        ("", "compression", "zlib"),
        ("", "watchdog", None),
        ("crm off", "pacemaker", False),
        ("logfacility local0", "logfacility", "local0"),
        ("autojoin NONE", "autojoin", "none"),
    ],
)
def test_other_directives_are_typed(lines: str, name: str, value: object) -> None:
    """All other directives stand under their names, typed, with Heartbeat's defaults."""
    assert hacf.parse(lines + "\n" + CORE).values[name] == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo\n", "ha.cf, line 1: 'foo' is not a directive of Heartbeat."),
        ("\nkeepalive 1s\n", "ha.cf, line 2: keepalive: '1s' is not a time: Heartbeat knows no unit 's'."),
        ("keepalive 0\n", "ha.cf, line 1: keepalive: '0' is less than 1 ms."),
        ("keepalive 2\ndeadtime 4\n" + CORE, "ha.cf, line 2: deadtime: 4 s is not more than twice keepalive (2 s)."),
        ("initdead 20\n" + CORE, "ha.cf, line 1: initdead: 20 s is less than deadtime (30 s)."),
        ("deadping 2\n" + CORE, "ha.cf, line 1: deadping: 2 s is not more than twice keepalive (1 s)."),
        ("bcast eth0\n", "ha.cf: there are no nodes."),
        ("node a\n", "ha.cf: there is no medium for the heartbeats."),
        (
            "auto_failback maybe\n",
            "ha.cf, line 1: auto_failback: 'maybe' is not possible. Use one of: legacy, on, off.",
        ),
        ("mcast eth0\n", "ha.cf, line 1: mcast: the group is missing."),
        ("ucast\n", "ha.cf, line 1: ucast: nothing follows, and Heartbeat crashes on that."),
        ("respawn root bin/x\n", "ha.cf, line 1: respawn: the program has no full path."),
        ("use_logd off\n" + CORE, "ha.cf, line 1: use_logd: it is off, and there is no other log."),
        ("autojoin any\n" + CORE, "ha.cf, line 1: autojoin: any does not go with haresources."),
        ("baud 9600 9600\n", "ha.cf, line 1: baud: Heartbeat takes one value only."),
    ],
)
def test_refusals_name_line_directive_and_reason(text: str, message: str) -> None:
    """Each refusal names line and directive and says why, and what to write instead."""
    with pytest.raises(BadInput) as caught:
        hacf.parse(text)
    assert str(caught.value).startswith(message)


def test_all_refusals_are_listed() -> None:
    """Several wrong lines are all reported, one a line, in the order of the file."""
    with pytest.raises(BadInput) as caught:
        hacf.parse("foo\nkeepalive x\nnode a\nmcast eth0\n", name="sample")
    starts = [line.split(":")[0] for line in str(caught.value).splitlines()]
    assert starts == ["sample, line 1", "sample, line 2", "sample, line 4"]


def test_local_node_has_to_be_a_node() -> None:
    """Told where it would run, the reader refuses a file without that machine, in any case of letters."""
    hacf.parse(CORE, node="MASTER-cluster")
    with pytest.raises(BadInput, match="this machine, other, is not among the nodes"):
        hacf.parse(CORE, node="other")


def test_result_is_frozen() -> None:
    """What was read cannot be changed, mappings included."""
    config = hacf.parse(CORE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.udpport = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.values["realtime"] = False  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "number"),
    [("", 0), ("12x", 12), (" -5", -5), ("+7", 7), ("x1", 0), ("4294967297", 1), ("9" * 5000, -1), ("-" + "9" * 30, 0)],
)
def test_numbers_are_c_s(text: str, number: int) -> None:
    """Numbers are read as atoi reads them, overflow included."""
    assert atoi(text) == number


WORDS = st.sampled_from([*sorted(hacf.NAMES), "1", "0", "x", "eth0", "225.0.0.1", "on", "/x", "uid=a", "*", "#", ","])
LINES = st.lists(WORDS, max_size=7).map(" ".join)


@given(st.one_of(st.text(), st.lists(LINES).map("\n".join)))
def test_any_text_is_read_or_bad_input(text: str) -> None:
    """No text makes the reader fail in any way but BadInput, and what is read fulfils the daemon's conditions."""
    try:
        config = hacf.parse(text, node="eth0")
    except BadInput:
        return
    assert config.deadtime_ms > 2 * config.keepalive_ms > 0
    assert config.initdead_ms >= config.deadtime_ms
    assert config.media
