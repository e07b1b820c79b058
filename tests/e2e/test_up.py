"""Labs coming up, being looked at and going away: both profiles, and each way in which a lab can be made."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.cluster import Lab, access, lifecycle
from labkit.cluster.lab import helper_name, network_name
from labkit.cluster.look import look
from labkit.engine import Container, Engine, grants, network
from labkit.errors import NotAvailable
from labkit.heartbeat import commands
from labkit.timing import wait_until
from tests.e2e.catalogue import traces
from tests.e2e.helpers import FAST, Recorder, complaint, fast, lab_up, leftovers, named, run_cli, swept


def test_a_corrected_pair_serves_all_pages_and_has_one_owner(lab: Lab) -> None:
    """Both nodes and the VIP give their pages, inside and through the host's ports, and one node has the VIP."""
    assert lab.owners() == [lab.spec.preferred]
    sights = look(lab)
    assert len(sights) == 7
    assert [one for one in sights if one.verdict != "pass"] == []


def test_check_passes_on_a_corrected_pair(lab: Lab) -> None:
    """`labkit check --json` ends with 0, and its document has a verdict and its evidence for each look."""
    told = run_cli("check", "--name", lab.name, "--json")
    assert told.exit_code == 0, told
    assert [one["verdict"] for one in told.document] == ["pass"] * 7
    assert all(one["check"] and one["detail"] for one in told.document)


def test_as_printed_has_two_owners(printed: Lab) -> None:
    """The guide's two haresources make both nodes bring the VIP up, and each answers ARP for it."""
    assert printed.owners() == list(printed.nodes)
    assert all(status.vip for status in printed.statuses().values())


def test_check_fails_as_printed(printed: Lab) -> None:
    """`labkit check` ends with 1 on two owners, and names both."""
    told = run_cli("check", "--name", printed.name, "--json")
    assert told.exit_code == 1
    owners = next(one for one in told.document if one["check"] == "one owner of the VIP")
    assert owners["verdict"] == "fail"
    assert all(node in owners["detail"] for node in printed.nodes)


def test_a_second_up_changes_nothing(lab: Lab) -> None:
    """`up` of a lab that is up says so and leaves its containers as they are."""
    before = _containers(lab)
    told = run_cli("up", "--name", lab.name, *FAST)
    assert told.exit_code == 0, told
    assert "is up already" in told.stdout
    assert _containers(lab) == before


def _containers(lab: Lab) -> set[tuple[str, str]]:
    parts = [*lab.nodes.values(), lab.client, lab.gateway]
    return {(str(one.sdk.id), one.inspect()["State"]["StartedAt"]) for one in parts}


def test_status_as_json(lab: Lab) -> None:
    """`labkit status --json` tells each node's state, who has the VIP, the network and the ports."""
    told = run_cli("status", "--name", lab.name, "--json").document
    first, second = lab.nodes
    assert (told["name"], told["profile"], told["network"], told["vip"]) == (
        lab.name,
        "corrected",
        lab.network,
        lab.vip,
    )
    assert told["vip_owners"] == [first]
    assert [(node["name"], node["vip"]) for node in told["nodes"]] == [(first, True), (second, False)]
    assert all(node["heartbeat"] and node["apache2"] and node["peer"] == "active" for node in told["nodes"])
    assert set(told["ports"].values()) == set(lab.gateway.published().values())


def test_ports_are_on_loopback_only(lab: Lab) -> None:
    """The gateway publishes five ports on 127.0.0.1 and nowhere else; no other container publishes any."""
    bindings = {
        part.role: [one for there in (part.inspect()["NetworkSettings"]["Ports"] or {}).values() for one in there or ()]
        for part in (*lab.nodes.values(), lab.client, lab.gateway)
    }
    gateway = bindings.pop("gateway")
    assert [one["HostIp"] for one in gateway] == ["127.0.0.1"] * 5
    assert not any(bindings.values())


SOCKETS = (
    r"find / \( -path /proc -o -path /sys \) -prune -o -name 'docker*.sock' -print -o -name containerd.sock -print"
)


def test_nothing_of_the_host_is_in_a_container(lab: Lab) -> None:
    """No folder of the host is mounted anywhere, and nobody finds the engine's socket."""
    for part in (*lab.nodes.values(), lab.client, lab.gateway):
        inspected = part.inspect()
        assert inspected["Mounts"] == []
        assert not inspected["HostConfig"]["Binds"]
        found = part.must("sh", "-c", SOCKETS)
        assert found.strip() == ""


def test_nothing_leaves_the_labs_network(lab: Lab) -> None:
    """Nodes and client are on the lab's network alone and have no way out of it; the gateway's other network hides
    nobody's address, so that no answer from outside would find back."""
    networks = {part.role: list(part.inspect()["NetworkSettings"]["Networks"]) for part in (*lab.nodes.values(),
                lab.client, lab.gateway)}  # fmt: skip
    own, access_network = network_name(lab.name), helper_name(lab.name, "access")
    assert (networks["node"], networks["client"]) == ([own], [own])
    assert sorted(networks["gateway"]) == sorted([own, access_network])
    for part in (*lab.nodes.values(), lab.client):
        assert part.must("ip", "-4", "route", "show", "default").strip() == ""
    said = {name: lab.engine.client.networks.get(name).attrs for name in (own, access_network)}
    assert said[own]["Internal"]
    assert said[access_network]["Options"]["com.docker.network.bridge.enable_ip_masquerade"] == "false"


def test_what_listens(lab: Lab) -> None:
    """On a node sshd and apache2, on the client nothing, on the gateway its five doors; UDP is Heartbeat's alone."""
    heartbeats = str(lab.spec.timing.udpport)
    for node in lab.nodes.values():
        assert _listening(node, "tcp") == {"22", "80"}
        assert heartbeats in _listening(node, "udp")
        programs = node.must("sh", "-c", "ss -H -lunp | grep -v -e 'users:((\"heartbeat\"' -e ' 127.0.0.11:' || true")
        assert programs.strip() == ""
    assert _listening(lab.client, "tcp") == _listening(lab.client, "udp") == _listening(lab.gateway, "udp") == set()
    assert _listening(lab.gateway, "tcp") == {str(port) for port in lab.spec.forwards}


def _listening(part: Container, kind: str) -> set[str]:
    """The ports that something listens on that is not on loopback; the engine's own resolver is."""
    addresses = (line.split()[3] for line in part.must("ss", "-H", "-ln", f"--{kind}").splitlines())
    return {port for host, _, port in (one.rpartition(":") for one in addresses) if not host.startswith("127.")}


def test_no_command_prints_the_secret(lab: Lab) -> None:
    """Neither what looks at a lab nor the nodes' own logs. (The folder of a run is searched where the runs are.)"""
    secret = lab.node(lab.spec.preferred).get(commands.AUTHKEYS).split()[-1].decode()
    assert len(secret) == 40
    looks = [("status",), ("status", "--json"), ("check", "--json"), ("guide", "--check", "--json")]
    looks += [("logs", node, "-n", "100000") for node in lab.nodes]
    for command in looks:
        told = run_cli(*command, "--name", lab.name)
        assert told.stdout
        assert secret not in told.stdout + told.stderr


def test_keys_are_for_the_user_alone(lab: Lab) -> None:
    """The folder on this machine belongs to whoever ran labkit, and its private key can be read by nobody else."""
    place = access.folder(lab.name, lab.engine.identity)
    modes = {path.name: (path.stat().st_mode & 0o777, path.stat().st_uid) for path in (place, *place.iterdir())}
    assert modes[place.name] == (0o700, os.getuid())
    assert modes["id_ed25519"] == (0o600, os.getuid())
    assert {owner for _, owner in modes.values()} == {os.getuid()}


@pytest.mark.parametrize("number", [0, 1], ids=["first", "second"])
def test_ssh_takes_the_labs_key_and_no_password(lab: Lab, number: int) -> None:
    """The generated ssh_config leads into each node without a question, and without the key the node offers nothing."""
    node = list(lab.nodes)[number]
    config = ["-F", str(access.folder(lab.name, lab.engine.identity) / "ssh_config"), "-o", "BatchMode=yes"]
    inside = _ssh(*config, node, "uname -n")
    assert (inside.returncode, inside.stdout.strip()) == (0, node), inside.stderr
    outside = _ssh(*config, "-o", "PubkeyAuthentication=no", node, "true")
    assert outside.returncode == 255
    assert "Permission denied (publickey)" in outside.stderr  # what would be accepted: no password, no keyboard


def _ssh(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["ssh", *arguments], check=False, capture_output=True, text=True, timeout=30)


def test_ssh_command(lab: Lab) -> None:
    """`labkit ssh NODE COMMAND` runs the command there and ends with its exit code."""
    node = lab.spec.peer_of(lab.spec.preferred)
    told = run_cli("ssh", "--name", lab.name, node, "uname -n; exit 7")
    assert (told.exit_code, told.stdout.strip()) == (7, node), told.stderr


def test_both_nodes_have_the_same_secret_and_resources(lab: Lab) -> None:
    """authkeys is the same on both nodes, with a random sha1 key, for root alone; haresources is the same, too."""
    nodes = list(lab.nodes.values())
    keys = {node.get(commands.AUTHKEYS) for node in nodes}
    assert len(keys) == 1
    assert b"1 sha1 " in keys.pop()
    assert {node.must("stat", "-c", "%a %U", commands.AUTHKEYS).strip() for node in nodes} == {"600 root"}
    assert len({node.get(commands.HARESOURCES) for node in nodes}) == 1


def test_heartbeats_processes_corrected(lab: Lab) -> None:
    """Without the guide's second broadcast, Heartbeat runs as 8 processes: control, FIFO, and two for each medium."""
    _await_processes(lab, 8)


def test_heartbeats_processes_as_printed(printed: Lab) -> None:
    """As printed, Heartbeat runs as the guide's 10 processes, because `udp` is one more broadcast."""
    _await_processes(printed, 10)


def _await_processes(lab: Lab, wanted: int) -> None:
    """On both nodes; a child between fork and exec counts for a moment, so it is looked at again."""

    def counts() -> set[int]:
        return {int(node.must("pgrep", "-c", "-x", "heartbeat")) for node in lab.nodes.values()}

    wait_until(counts, lambda found: found == {wanted}, 10, f"Heartbeat has {wanted} processes on both nodes")


@pytest.fixture
def doomed(engine: Engine) -> Iterator[str]:
    """Name of a lab that a test brings up and removes by the command line."""
    name = named("doomed")
    with swept(engine, name):
        yield name


def test_bare_lab_and_down(engine: Engine, doomed: str) -> None:
    """`up --bare` installs Heartbeat and leaves it unconfigured, with its samples; what somebody does there is not
    thrown away by a measurement with other settings; `down` leaves nothing of a lab."""
    up = run_cli("up", "--name", doomed, "--bare", *FAST, "--json")
    assert up.exit_code == 0, up
    assert up.document["vip_owners"] == []
    for node in up.document["nodes"]:
        assert not node["heartbeat"]
        assert node["apache2"]
        inside = f"labkit-{doomed}-{node['name']}"
        listed = Container(engine.client.containers.get(inside)).must("ls", "/usr/share/doc/heartbeat", "/etc/ha.d")
        assert {"ha.cf.gz", "haresources.gz", "authkeys"} <= set(listed.split())
        assert "ha.cf" not in listed.split()
    refused = complaint(run_cli("failover", "--name", doomed, "--deadtime", "7"), 3)
    assert "was configured by hand" in refused
    kinds = {one.split()[0] for one in leftovers(engine, doomed)}
    assert kinds >= {"container", "network", "folder"}

    down = run_cli("down", "--name", doomed, "--json")
    assert down.exit_code == 0, down
    assert {"container", "network"} <= {one["kind"] for one in down.document}
    assert leftovers(engine, doomed) == []


def test_least_privilege(engine: Engine, doomed: str) -> None:
    """The same lab comes up and passes the check on the smallest set of capabilities; what needs more is refused, and
    says why, before anything is done."""
    up = run_cli("up", "--name", doomed, "--least-privilege", *FAST, "--json")
    assert up.exit_code == 0, up
    assert up.document["privileges"] == "least"
    check = run_cli("check", "--name", doomed, "--json")
    assert check.exit_code == 0, check.stdout
    kinds = {f"{doomed}-{node['name']}": "node" for node in up.document["nodes"]}
    for name, kind in {**kinds, f"{doomed}_client": "client", f"{doomed}_gateway": "gateway"}.items():
        container = engine.client.containers.get(f"labkit-{name}")
        asked = container.attrs["HostConfig"]
        assert (asked["Privileged"], asked["CapDrop"]) == (False, ["ALL"])
        assert _capabilities(Container(container).must("cat", "/proc/1/status")) == set(grants.LEAST[kind])
    refused = complaint(run_cli("inject", "disk-full", "--name", doomed), 4)
    assert "SYS_ADMIN" in refused
    assert "--least-privilege" in refused
    found = lifecycle.require(engine, doomed)
    assert traces(found) == []


@pytest.mark.parametrize("command", ["failover", "sweep"])
def test_what_needs_more_privileges_makes_no_lab(command: str, working_folder: Path) -> None:
    """A measurement that the least privileges do not suffice for is refused before there is a lab or a run."""
    asked = ("--fault", "disk-full", "--name", named("refused"), "--least-privilege")
    assert "SYS_ADMIN" in complaint(run_cli(command, *asked), 4)
    assert list(working_folder.iterdir()) == []


def _capabilities(status: str) -> set[str]:
    """Those that /proc/PID/status says a process can ever have."""
    (bounding,) = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:")]
    return {name for bit, name in enumerate(grants.CAPABILITIES) if bounding >> bit & 1}


# The devices that any container has, as MAJOR:MINOR in hexadecimal: null, zero, full, random, urandom, tty, console and
# ptmx. Those of pseudo terminals have major number 88.
HARMLESS = {"1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2"}


def test_what_is_the_hosts_is_out_of_reach(lab: Lab) -> None:
    """With full privileges, too, root who came by SSH cannot set the host's clock, sees none of its devices, and
    reaches neither its watchdog nor its SysRq."""
    node = lab.spec.preferred
    config = ("-F", str(access.folder(lab.name, lab.engine.identity) / "ssh_config"), node)
    has = _capabilities(_ssh(*config, "cat /proc/self/status").stdout)
    assert has >= {"NET_ADMIN", "SYS_ADMIN"}
    assert not has & set(grants.OF_THE_HOST)  # else nothing below is tried: it would really set the clock
    clock = _ssh(*config, 'date -s "@$(date +%s)"')
    assert clock.returncode != 0
    assert "Operation not permitted" in clock.stderr
    container = lab.node(node)
    devices = container.must("find", "/dev", "-type", "b", "-o", "-type", "c").split()
    numbers = container.must("stat", "-c", "%t:%T", *devices).split()
    assert [one for one in numbers if one not in HARMLESS and not one.startswith("88:")] == []
    opened = container.run("sh", "-c", "! [ -e $1 ] || [ -c $1 ] || ! true >>$1", "look", "/proc/sysrq-trigger")
    assert opened.exit_code == 0, opened.output  # not there, or the null device, or read-only: nothing was written


def test_without_macvlan_a_bridge_network_takes_its_place(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where links cannot be made on the engine's host, the lab comes up on a bridge network, whole, and says so."""

    def refuse(*_: object) -> str:
        raise NotAvailable("no macvlan for this test")

    monkeypatch.setattr(network, "make_links", refuse)
    progress = Recorder()
    with lab_up(engine, fast(named("bridge")), progress) as lab:
        assert any("bridge" in step and "no macvlan for this test" in step for step in progress.steps)
        assert [one for one in look(lab) if one.verdict != "pass"] == []
        assert run_cli("status", "--name", lab.name, "--json").document["network"] == "bridge"
