"""One pair on two engines, each in a network namespace of its own, with a switch between them. The namespaces share the
kernel's monotonic clock, which labkit does not know: what it finds out about two hosts' clocks is held against that."""

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import docker.types
import pytest

from labkit.cluster import lifecycle
from labkit.engine import Engine, create, network
from labkit.spec import load
from labkit.store import HISTORY
from tests import engines
from tests.e2e.helpers import FAST, Outcome, Recorder, Running, complaint, leftovers, named, run_cli, swept

pytestmark = engines.takes_one

NAME = named("two-hosts")
REFUSED = named("refused")
LAB = """
name: {name}
network: {{subnet: auto, parent: {interface}}}
nodes:
  master-cluster: {{{master}}}
  slave-cluster: {{{slave}}}
timing: {{keepalive: 500ms, deadtime: 4}}
"""
OTHER = "engine: other"
TAKEN = IPv4Network("172.23.19.0/24")  # what `auto` takes first
LONG_S = 900


@dataclass(frozen=True)
class Hosts:
    """Two hosts with a switch between them. interface: what leads there; second: the other one's engine, to stop it.

    Docker contexts: `here` and `other`, `dead` of an engine that does not answer, and `same` which is `here` again.
    """

    folder: Path
    interface: str
    here: Engine
    other: Engine
    second: engines.SecondEngine

    def file(self, name: str, master: str = "", slave: str = OTHER) -> Path:
        """A lab.yaml. master, slave: what stands there of the node."""
        file = self.folder / f"{name}.yaml"
        file.write_text(LAB.format(name=name, interface=self.interface, master=master, slave=slave))
        return file

    def run(self, *arguments: str, context: str = "here", **options: Any) -> Outcome:
        """labkit on one of the two."""
        env = {"DOCKER_CONFIG": str(self.folder), "DOCKER_CONTEXT": context}
        return run_cli(*arguments, env=env, timeout_s=LONG_S, **options)

    def start(self, *arguments: str) -> Running:
        return Running(*arguments, env={"DOCKER_CONFIG": str(self.folder), "DOCKER_CONTEXT": "here"})

    def up(self, file: Path) -> Outcome:
        return self.run("up", "--file", str(file), "--ports", "auto")


@dataclass(frozen=True)
class Pair:
    """A pair that is up. file: its lab.yaml; here, other: its two engines."""

    hosts: Hosts
    file: Path
    here: Engine
    other: Engine


@pytest.fixture(scope="module")
def hosts(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder = tmp_path_factory.mktemp("two")
    with (
        engines.second_engine(folder / "here", engine) as here,
        engines.second_engine(folder / "other", engine) as other,
        engines.shared_network(here, other) as interface,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("DOCKER_CONFIG", str(folder))
        dead = "unix:///nonexistent/docker.sock"
        for name, url in (("here", here.url), ("other", other.url), ("same", here.url), ("dead", dead)):
            made = ["docker", "context", "create", name, "--docker", f"host={url}"]
            subprocess.run(made, check=True, capture_output=True)
        yield Hosts(folder, interface, Engine.connect("here"), Engine.connect("other"), other)


@pytest.fixture(scope="module")
def pair(hosts: Hosts) -> Iterator[Pair]:
    """The slave runs on the engine of the context `other`, all else on that of `here`. One of the other engine's own
    networks has the subnet that the lab would take first."""
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=str(TAKEN))])
    taken = hosts.other.client.networks.create("taken", ipam=pool)
    file = hosts.file(NAME)
    came = hosts.up(file)
    assert came.exit_code == 0, came.stderr
    yield Pair(hosts, file, hosts.here, hosts.other)
    taken.remove()


def _parts(engine: Engine, name: str) -> dict[str, str]:
    """Each container of a lab, and since when it runs."""
    return {one.name: str(one.inspect()["State"]["StartedAt"]) for one in create.find_containers(engine, name)}


@pytest.mark.parametrize(
    ("master", "slave", "exit_code", "told"),
    [
        ("", "engine: nowhere", 4, "there is no Docker context 'nowhere'"),
        ("", "engine: dead", 4, "no Docker engine answers at unix:///nonexistent/docker.sock"),
        ("engine: other", "engine: dead", 4, "no Docker engine answers at unix:///nonexistent/docker.sock"),
        ("", "engine: same", 3, "must all be different engines"),
        ("", "engine: other, parent: nothing0", 4, "nothing0"),
    ],
)
def test_what_cannot_be_is_one_error(hosts: Hosts, master: str, slave: str, exit_code: int, told: str) -> None:
    """A context that is not there, an engine that is not there or the same one, an interface that is not there: each
    is named, and nothing is left on either engine."""
    assert told in complaint(hosts.up(hosts.file(REFUSED, master, slave)), exit_code)
    assert leftovers(hosts.here, REFUSED) == []
    assert leftovers(hosts.other, REFUSED) == []


def test_a_lab_of_that_name_on_the_other_engine_stays(hosts: Hosts) -> None:
    """An `up` that would put a node beside it is refused, and touches nothing of it."""
    came = hosts.run("up", "--name", REFUSED, *FAST, context="other")
    assert came.exit_code == 0, came.stderr
    there = _parts(hosts.other, REFUSED)
    said = complaint(hosts.up(hosts.file(REFUSED)), 4)
    assert f"has a lab {REFUSED!r} of its own (" in said
    assert _parts(hosts.other, REFUSED) == there
    assert leftovers(hosts.here, REFUSED) == []
    assert hosts.run("down", "--name", REFUSED, context="other").exit_code == 0
    assert leftovers(hosts.other, REFUSED) == []


def test_a_subnet_that_is_taken_meanwhile_is_given_back(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other engine has it by the time that its network is made, all is made anew on another one."""
    name = named("again")
    spec = load(hosts.file(name))
    first, second = IPv4Network("10.200.1.0/24"), IPv4Network("10.200.2.0/24")
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=str(first))])
    taken = hosts.other.client.networks.create("meanwhile", ipam=pool)
    offered = iter((first, second))
    monkeypatch.setattr(network, "free_subnet", lambda *_: next(offered))
    try:
        with swept(hosts.here, name):
            lab = lifecycle.up(hosts.here, spec, lifecycle.Options(auto_ports=True, bare=True), Recorder()).lab
            assert lab.spec.network.pool == second
    finally:
        taken.remove()
    assert leftovers(hosts.here, name) == []
    assert leftovers(hosts.other, name) == []


def test_both_nodes_may_be_elsewhere(hosts: Hosts) -> None:
    """The client and its gateway alone are on the first engine; `down` finds all."""
    name = named("both")
    came = hosts.up(hosts.file(name, OTHER, OTHER))
    assert came.exit_code == 0, came.stderr
    assert {one.host_name for one in create.find_containers(hosts.other, name)} == {"master-cluster", "slave-cluster"}
    assert hosts.run("down", "--name", name).exit_code == 0
    assert leftovers(hosts.here, name) == []
    assert leftovers(hosts.other, name) == []


def test_both_are_on_a_subnet_that_is_free_on_both(pair: Pair) -> None:
    """`auto` passes over one that is taken on the other engine alone."""
    found = [network.taken_subnets(one) for one in (pair.here, pair.other)]
    here, other = ({name: subnet for subnet, name in one.items()}[f"labkit-{NAME}"] for one in found)
    assert here == other != TAKEN


def test_each_engine_has_its_half(pair: Pair) -> None:
    """The other engine runs one node and nothing else, and its own gc leaves that alone."""
    assert [one.host_name for one in create.find_containers(pair.other, NAME)] == ["slave-cluster"]
    assert "slave-cluster" not in [one.host_name for one in create.find_containers(pair.here, NAME)]
    assert pair.hosts.run("gc", context="other").exit_code == 0
    assert [one.state() for one in create.find_containers(pair.other, NAME)] == ["running"]
    assert [one.name for one in network.find_networks(pair.other, NAME)] == [f"labkit-{NAME}"]


@pytest.mark.parametrize("command", ["down", "up", "heal"])
def test_the_other_engine_does_not_touch_its_half(pair: Pair, command: str) -> None:
    """Commands for a lab of that name are refused where only a guest of it is, and say where to go."""
    there = _parts(pair.other, NAME)
    said = complaint(pair.hosts.run(command, "--name", NAME, context="other"), 4)
    assert "its client is on another engine" in said
    assert _parts(pair.other, NAME) == there


def test_a_shell_opens_in_each_node(pair: Pair) -> None:
    """`labkit shell` asks the engine where the node runs."""
    for node in ("master-cluster", "slave-cluster"):
        done = pair.hosts.run("shell", "--name", NAME, node, typed="hostname\n")
        assert (done.exit_code, done.stdout) == (0, f"{node}\n"), done.stderr


def test_the_service_moves_to_the_other_host(pair: Pair, working_folder: Path) -> None:
    """Figures come out of two hosts' clocks, and the result says how far these may be wrong. Both namespaces have the
    same clock, so the difference that was found must lie within its own error of none."""
    done = pair.hosts.run("failover", "--file", str(pair.file), "--fault", "node-kill", "--json")
    assert done.stdout, done.stderr
    trial = done.document["trials"][0]
    assert (trial["server_before"], trial["server_after"]) == ("master-cluster", "slave-cluster"), done.document
    assert all(trial[figure] > 0 for figure in ("outage_ms", "detection_ms", "takeover_ms", "clock_error_ms")), trial
    events = map(json.loads, (working_folder / done.document["run"] / HISTORY).read_text().splitlines())
    (clocks,) = (event for event in events if event["event"] == "clocks")
    assert abs(clocks["monotonic_ns"]) <= clocks["error_ns"]
    assert clocks["node"] == "slave-cluster"
    assert trial["clock_error_ms"] == pytest.approx(clocks["error_ns"] / 1e6, abs=0.001)
    assert trial["pressure"]["unseen"] == []  # the other host was asked how busy it was, before and after


def test_an_engine_that_has_gone_is_waited_for(pair: Pair) -> None:
    """While the other engine does not answer, every command says so and none removes the half that can be reached."""
    here = _parts(pair.here, NAME)
    pair.hosts.second.stop(signal.SIGKILL)
    try:
        for command in ("status", "down"):
            assert "no Docker engine answers at" in complaint(pair.hosts.run(command, "--name", NAME), 4)
        assert "no Docker engine answers at" in complaint(pair.hosts.up(pair.file), 4)
        assert pair.hosts.run("gc").exit_code == 0
        assert _parts(pair.here, NAME) == here
    finally:
        pair.hosts.second.start()


def test_an_interface_carries_one_lab(pair: Pair) -> None:
    """Docker hangs one macvlan on it; a second lab there is refused in words, and leaves nothing."""
    name = named("second")
    assert "network.parent: one macvlan network at a time" in complaint(pair.hosts.up(pair.hosts.file(name)), 4)
    assert leftovers(pair.here, name) == []
    assert leftovers(pair.other, name) == []


def test_down_leaves_nothing_on_either(pair: Pair) -> None:
    """By the client's labels alone, which lead to the other engine."""
    assert pair.hosts.run("down", "--name", NAME).exit_code == 0
    assert leftovers(pair.here, NAME) == []
    assert leftovers(pair.other, NAME) == []


def test_gc_finds_what_a_killed_up_has_left_on_both(hosts: Hosts) -> None:
    """By the client's labels. One that was killed before there was a client is out of the way of the next `up`."""
    name = named("killed")
    file = hosts.file(name)
    network.make_network(hosts.other, name, f"labkit-{name}", IPv4Network("10.200.3.0/24"), None, hosts.here.identity)
    coming = hosts.start("up", "--file", str(file), "--ports", "auto")
    coming.await_line("starting master-cluster")
    coming.send(signal.SIGKILL)
    coming.finish()
    assert leftovers(hosts.other, name) == [f"container labkit-{name}-slave-cluster", f"network labkit-{name}"]
    dry = hosts.run("gc", "--name", name, "--dry-run")
    assert f"labkit-{name}-slave-cluster" in dry.stdout
    assert len(leftovers(hosts.other, name)) == 2
    assert hosts.run("gc").exit_code == 0
    assert leftovers(hosts.here, name) == []
    assert leftovers(hosts.other, name) == []


def test_down_leaves_a_stranger_of_that_name_alone(hosts: Hosts) -> None:
    """When the pair's guest has gone from the other engine, and a lab of its own has that name there."""
    name = named("stranger")
    came = hosts.up(hosts.file(name))
    assert came.exit_code == 0, came.stderr
    assert hosts.run("gc", "--name", name, context="other").exit_code == 0
    assert leftovers(hosts.other, name) == []
    came = hosts.run("up", "--name", name, *FAST, context="other")
    assert came.exit_code == 0, came.stderr
    there = _parts(hosts.other, name)
    assert hosts.run("down", "--name", name).exit_code == 0
    assert leftovers(hosts.here, name) == []
    assert _parts(hosts.other, name) == there
    assert hosts.run("down", "--name", name, context="other").exit_code == 0
    assert leftovers(hosts.other, name) == []
