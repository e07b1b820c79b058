"""Spec -> files: the guide's edits on the image's own samples, and nothing but them.

The samples here hold the lines that the edits need and a few that must survive. That the real ones have those lines,
and become as long as the guide says, is held by tests/docker.
"""

import difflib
from pathlib import Path
from typing import Any

import pytest

from labkit import render, spec
from labkit.errors import LabkitError
from labkit.heartbeat import authkeys, commands, hacf, haresources
from labkit.heartbeat.hacf import HaCf
from labkit.spec import Spec

MASTER, SLAVE = "master-cluster", "slave-cluster"
PROFILES = ("corrected", "as-printed")
KEY = "0123456789abcdef"

HA_CF = """\
#	There are lots of options in this file.
#keepalive 2
#deadtime 30
#warntime 10
#initdead 120
#udpport	694
#bcast	eth0		# Linux
#bcast	eth1 eth2	# Linux
#mcast eth0 225.0.0.1 694 1 0
#ucast eth0 192.168.1.2
auto_failback on
#node	ken3
#node	kathy
#realtime off
"""
HARESOURCES = "#	This file must be the same on all nodes.\n#just.linux-ha.org 135.9.216.110 httpd\n"
AUTHKEYS = "#	Must be mode 600\n#auth 1\n#1 crc\n"
INDEX_HTML = """\
<title>Apache2 Debian Default Page: It works</title>
<span class="floating_element">
  Apache2 Debian Default Page
</span>
"""
STATUS = (Path(__file__).resolve().parents[2] / "images/shared/node" / render.STATUS[1:]).read_text(encoding="utf-8")
SAMPLES = render.Samples(HA_CF, HARESOURCES, AUTHKEYS, INDEX_HTML, STATUS)


def lab(profile: str = "corrected", **timing: Any) -> Spec:
    """The default lab with other values."""
    return Spec.model_validate({"profile": profile, "timing": timing})


def texts(wanted: Spec, node: str) -> dict[str, str]:
    """Path -> text of everything that one node gets."""
    return {file.path: file.text for file in render.node_files(wanted, SAMPLES, KEY, node)}


def changes(old: str, new: str) -> tuple[list[str], list[str]]:
    """The lines that only the old text has, and those that only the new one has."""
    lines = [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] in "+-"]
    return [line[2:] for line in lines if line[0] == "-"], [line[2:] for line in lines if line[0] == "+"]


def test_as_printed_edits_are_the_guides() -> None:
    """As printed, ha.cf differs from the sample by the edits of the guide's step S6 and by nothing else."""
    _, new = changes(HA_CF, render.ha_cf(lab("as-printed"), HA_CF, MASTER))
    assert new == [
        "keepalive 2",
        "deadtime 5",
        "udpport\t694",
        "bcast\teth0\t\t# Linux",
        "mcast eth0 225.0.0.1 694 1 0",
        "ucast eth0 172.23.19.47",
        "udp eth0",
        "node\tmaster-cluster",
        "node\tslave-cluster",
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_nodes_ha_cf_differ_in_the_peer_alone(profile: str) -> None:
    """Each node's ucast line names the other node, and no other line differs."""
    files = [render.ha_cf(lab(profile), HA_CF, node) for node in (MASTER, SLAVE)]
    assert changes(*files) == (["ucast eth0 172.23.19.47"], ["ucast eth0 172.23.19.46"])


@pytest.mark.parametrize(
    ("profile", "timing", "line", "there"),
    [
        ("corrected", {}, "udp eth0", False),
        ("as-printed", {}, "udp eth0", True),
        ("corrected", {}, "realtime off", True),
        ("as-printed", {}, "#realtime off", True),
        ("corrected", {}, "initdead 5", True),
        ("corrected", {"deadtime": "900ms", "keepalive": "200ms"}, "initdead 900ms", True),
        ("corrected", {"initdead": "30"}, "initdead 30", True),
        ("as-printed", {}, "#initdead 120", True),
        ("as-printed", {"initdead": "30"}, "initdead 30", True),
        ("corrected", {}, "#warntime 10", True),
        ("corrected", {"warntime": "1.5"}, "warntime 1.5", True),
        ("as-printed", {"warntime": "3"}, "warntime 3", True),
        ("corrected", {}, "auto_failback on", True),
        ("corrected", {"auto_failback": False}, "auto_failback off", True),
        ("corrected", {"auto_failback": False}, "auto_failback on", False),
        ("as-printed", {"auto_failback": False}, "auto_failback off", True),
        ("corrected", {"keepalive": "200ms", "deadtime": "1"}, "keepalive 200ms", True),
        ("corrected", {"udpport": 700}, "udpport\t700", True),
        ("corrected", {"udpport": 700}, "mcast eth0 225.0.0.1 700 1 0", True),
    ],
)
def test_one_setting_of_ha_cf(profile: str, timing: dict[str, Any], line: str, there: bool) -> None:
    """A setting of the spec becomes the directive as Heartbeat takes it; one that is unset leaves the comment."""
    assert (line in render.ha_cf(lab(profile, **timing), HA_CF, MASTER).splitlines()) is there


def test_interface_is_named_everywhere() -> None:
    """The spec's interface takes eth0's place in every medium and in the address's resource."""
    wanted = Spec.model_validate({"network": {"interface": "ens18"}})
    _, new = changes(HA_CF, render.ha_cf(wanted, HA_CF, MASTER))
    assert [line.split()[:2] for line in new if "cast" in line] == [
        [way, "ens18"] for way in ("bcast", "mcast", "ucast")
    ]
    assert render.haresources(wanted, "", MASTER) == "master-cluster IPaddr2::172.23.19.48/24/ens18 apache2\n"


def test_corrected_haresources_are_identical() -> None:
    """Corrected, both nodes have the same file, which names the preferred node: one owner."""
    first, second = (render.haresources(lab(), HARESOURCES, node) for node in (MASTER, SLAVE))
    assert first == second == HARESOURCES + "master-cluster IPaddr2::172.23.19.48/24/eth0 apache2\n"


@pytest.mark.parametrize("node", [MASTER, SLAVE])
def test_printed_haresources_name_the_node_itself(node: str) -> None:
    """As printed, each file names its own node with a bare address, as in the guide's step S7."""
    assert render.haresources(lab("as-printed"), HARESOURCES, node) == f"{HARESOURCES}{node} 172.23.19.48 apache2\n"


@pytest.mark.parametrize(("profile", "method"), [("corrected", f"sha1 {KEY}"), ("as-printed", "crc")])
def test_authkeys(profile: str, method: str) -> None:
    """The two lines of step S8 follow the sample: crc as printed, sha1 with the lab's key corrected."""
    assert render.authkeys(lab(profile), AUTHKEYS, KEY) == f"{AUTHKEYS}auth 1\n1 {method}\n"


@pytest.mark.parametrize("profile", PROFILES)
def test_authkeys_is_for_root_alone(profile: str) -> None:
    """Of all files authkeys alone is marked secret, and nobody but root can read it."""
    files = render.node_files(lab(profile), SAMPLES, KEY, MASTER)
    assert [(file.path, file.mode) for file in files if file.secret] == [(commands.AUTHKEYS, 0o600)]
    assert not [file.path for file in files if KEY in file.text and not file.secret]


@pytest.mark.parametrize("system", ["Debian", "Ubuntu"])
def test_index_heading(system: str) -> None:
    """The heading becomes the node's, whichever distribution's page it is; the title stays."""
    sample = INDEX_HTML.replace("Debian", system)
    assert changes(sample, render.index_html(sample, SLAVE)) == (
        [f"  Apache2 {system} Default Page", "</span>"],
        ["  SLAVE-CLUSTER ON</span>"],
    )


def test_monitor_comes_with_the_corrected_profile_alone() -> None:
    """The corrected profile adds the monitor, which hands over to the peer and which root alone may read."""
    corrected, printed = (texts(lab(profile), MASTER) for profile in PROFILES)
    assert set(corrected) - set(printed) == {render.MONITRC, render.MONITOR_MARK}
    assert "hand-over 172.23.19.48 slave-cluster" in corrected[render.MONITRC]
    files = render.node_files(lab(), SAMPLES, KEY, MASTER)
    assert [file.mode for file in files if file.path == render.MONITRC] == [0o600], "monit refuses any other mode"


EDITED = [line for line in HA_CF.splitlines() if line not in {HA_CF.splitlines()[0], "#bcast	eth1 eth2	# Linux"}]
EVERYTHING = lab(warntime="2", initdead="30")


@pytest.mark.parametrize("line", EDITED)
@pytest.mark.parametrize(("becomes", "times"), [("", 0), ("{0} ", 0), ("{0}\n{0}", 2)])
def test_another_sample_is_an_error(line: str, becomes: str, times: int) -> None:
    """A line to be edited that is missing, altered or there twice is an error that shows it, not a file half done."""
    sample = HA_CF.replace(line + "\n", becomes.format(line) + "\n")
    with pytest.raises(LabkitError) as caught:
        render.ha_cf(EVERYTHING, sample, MASTER)
    assert f"{line!r} {times} times" in str(caught.value)


@pytest.mark.parametrize("sample", ["", INDEX_HTML * 2, INDEX_HTML.replace("Debian", "Gentoo")])
def test_another_default_page_is_an_error(sample: str) -> None:
    """A page without exactly one heading to replace is refused."""
    with pytest.raises(LabkitError, match="headings to replace"):
        render.index_html(sample, MASTER)


def parsed(profile: str, node: str) -> HaCf:
    """The default lab's ha.cf as Heartbeat reads it on that node."""
    return hacf.parse(texts(lab(profile), node)[commands.HA_CF], node=node)


def test_default_spec_is_the_corrected_profile() -> None:
    """Without a file the lab is the corrected one, so that the tests of `lab()` speak of the default too."""
    assert spec.default() == lab()


@pytest.mark.parametrize("node", [MASTER, SLAVE])
@pytest.mark.parametrize(
    ("profile", "initdead_ms", "realtime", "media"),
    [
        ("corrected", 5000, False, ["bcast", "mcast", "ucast"]),
        ("as-printed", 12000, True, ["bcast", "mcast", "ucast", "bcast"]),
    ],
)
def test_heartbeat_takes_ha_cf(profile: str, node: str, initdead_ms: float, realtime: bool, media: list[str]) -> None:
    """Heartbeat's own rules accept the default lab's ha.cf on either node, with the meaning that the spec has."""
    config = parsed(profile, node)
    assert config.nodes == (MASTER, SLAVE)
    assert (config.keepalive_ms, config.deadtime_ms, config.initdead_ms) == (2000, 5000, initdead_ms)
    assert (config.auto_failback, config.udpport, config.values["realtime"]) == ("on", 694, realtime)
    assert [medium.kind for medium in config.media] == media


@pytest.mark.parametrize(
    ("profile", "node", "owner", "resources"),
    [
        ("corrected", MASTER, MASTER, ["IPaddr2", "apache2"]),
        ("corrected", SLAVE, MASTER, ["IPaddr2", "apache2"]),
        ("as-printed", MASTER, MASTER, ["IPaddr", "apache2"]),
        ("as-printed", SLAVE, SLAVE, ["IPaddr", "apache2"]),
    ],
)
def test_heartbeat_takes_haresources(profile: str, node: str, owner: str, resources: list[str]) -> None:
    """The file reads back as one group: its owner, and the address before the server."""
    text = texts(lab(profile), node)[commands.HARESOURCES]
    (group,) = haresources.parse(text, known_nodes=parsed(profile, node).nodes)
    assert (group.node, [resource.script for resource in group.resources]) == (owner, resources)


@pytest.mark.parametrize(("profile", "kind", "key"), [("corrected", "sha1", KEY), ("as-printed", "crc", "")])
def test_heartbeat_takes_authkeys(profile: str, kind: str, key: str) -> None:
    """The file reads back, in its own mode, as one method with the lab's key where it has one."""
    (file,) = (one for one in render.node_files(lab(profile), SAMPLES, KEY, MASTER) if one.path == commands.AUTHKEYS)
    keys = authkeys.parse(file.text, file.mode)
    method = keys.methods[keys.active]
    assert (method.kind, method.key) == (kind, key)


def test_placeholder_is_a_key_that_heartbeat_takes() -> None:
    """The Compose file's authkeys, before its key is put in, is one that Heartbeat reads, so the edit cannot miss."""
    text = render.authkeys(lab(), AUTHKEYS, render.AUTHKEY_PLACEHOLDER)
    assert authkeys.parse(text).methods[1].key == render.AUTHKEY_PLACEHOLDER
    assert text.count(render.AUTHKEY_PLACEHOLDER) == 1
