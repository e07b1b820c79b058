"""The engine's side of labkit, on a real engine: networks and host links, ports, containers, processes, images."""

import gc
import os
import re
import shutil
import socket
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Network
from operator import not_
from pathlib import Path
from typing import Any

import pytest

from labkit.engine import Container, Engine, Placed, create, grants, network
from labkit.engine import images as engine_images
from labkit.engine.images import Images
from labkit.errors import LabkitError, NotAvailable
from labkit.progress import Silent
from labkit.resources import images_dir
from labkit.timing import wait_until
from tests.docker.conftest import LAB, Running

OTHER_LAB = "test-docker-2"
WANTED = IPv4Network("172.23.200.0/24")
WAIT_S = 20


class Heard:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.details: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def detail(self, text: str) -> None:
        self.details.append(text)


@pytest.fixture(scope="module")
def client(running: Running, images: Images) -> Iterator[Container]:
    """A container to try things on; the client's image, because it boots in no time."""
    with running(images.client) as started:
        yield started


@pytest.fixture
def own_subnet(engine: Engine) -> Iterator[IPv4Network]:
    """A subnet that a network of these tests has for as long as the test lasts."""
    subnet = network.free_subnet(engine, WANTED)
    network.make_network(engine, LAB, LAB, subnet, None)
    yield subnet
    network.remove_network(engine, LAB)


def containers_of(engine: Engine, lab: str) -> list[str]:
    return [container.name for container in create.find_containers(engine, lab)]


# The connection


@pytest.mark.parametrize(
    ("where", "hint"),
    [("unix:///nowhere/docker.sock", "start it"), ("tcp://127.0.0.1:9", "is the address right")],
)
def test_no_engine_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, where: str, hint: str) -> None:
    """Where no engine answers, the error names the place, and how to start one or what to look after."""
    monkeypatch.setenv("DOCKER_HOST", where)
    with pytest.raises(NotAvailable, match=rf"no Docker engine answers at {where}; {hint}"):
        Engine.connect()


def test_facts_are_the_engines(engine: Engine) -> None:
    """What goes into every result is filled in."""
    facts = engine.facts
    assert facts.cpus >= 1
    assert facts.memory_mib > 0
    assert facts.cgroup in {"v1", "v2"}
    assert all((facts.engine, facts.api, facts.kernel, facts.system, facts.storage, facts.where))


# Links on the engine's host


def test_links_come_and_go(engine: Engine, images: Images) -> None:
    """A lab's links are made once, found again by the lab's name alone, and removed; nobody else's are."""
    others = {link for link in network.host_links(engine, images.client, None) if link.lab != LAB}
    try:
        bridge = network.make_links(engine, images.client, LAB)
    except NotAvailable as error:
        pytest.skip(f"no macvlan here: {error}")
    try:
        assert network.make_links(engine, images.client, LAB) == bridge == network.link_name(LAB)
        found = network.host_links(engine, images.client, LAB)
        assert {(link.kind, link.lab) for link in found} == {("host link", LAB)}
        assert {link.name for link in found} == {bridge, bridge + "s", bridge + "t"}
        assert network.host_links(engine, images.client, OTHER_LAB) == []
    finally:
        left = [link.name for link in network.host_links(engine, images.client, LAB)]
        network.remove_links(engine, images.client, left)
    assert network.host_links(engine, images.client, LAB) == []
    network.remove_links(engine, images.client, left)
    assert others <= set(network.host_links(engine, images.client, None))


@pytest.mark.parametrize("lab", ["lab", "a" * 60])
def test_link_names_fit(lab: str) -> None:
    """Names of links have room for a letter within the kernel's 15 characters, and are the same every time."""
    assert len(network.link_name(lab)) < 15
    assert network.link_name(lab) == network.link_name(lab) != network.link_name(lab + "b")


# Networks and ports


def test_taken_subnet_names_who_has_it(engine: Engine, own_subnet: IPv4Network) -> None:
    """A network on a subnet that overlaps another's is refused with that network's name, and is not made."""
    for subnet in (own_subnet, next(own_subnet.subnets()), own_subnet.supernet()):
        with pytest.raises(NotAvailable, match=rf"network\.subnet: {subnet} is taken by the engine's network '{LAB}'"):
            network.make_network(engine, OTHER_LAB, OTHER_LAB, subnet, None)
    assert network.find_networks(engine, OTHER_LAB) == []


def test_free_subnet_skips_what_is_taken(engine: Engine, own_subnet: IPv4Network) -> None:
    """The wanted subnet is given where it is free; otherwise another one of its size that overlaps nobody's."""
    found = network.free_subnet(engine, own_subnet)
    assert found.prefixlen == own_subnet.prefixlen
    assert not any(found.overlaps(taken) for taken in network.taken_subnets(engine))
    assert network.free_subnet(engine, found) == found


def test_network_is_found_by_its_label_and_removed_twice(engine: Engine, own_subnet: IPv4Network) -> None:
    """A network is found by its lab's name and by no other; removing it again is no error."""
    assert [found.name for found in network.find_networks(engine, LAB)] == [LAB]
    assert network.taken_subnets(engine)[own_subnet] == LAB
    network.remove_network(engine, LAB)
    network.remove_network(engine, LAB)
    assert network.find_networks(engine, LAB) == []


def test_port_of_a_container_names_it(engine: Engine, images: Images) -> None:
    """A port that a container publishes is taken by that container, but not for the lab whose gateway it is."""
    name = f"labkit-{LAB}_gateway"
    network.make_access_network(engine, LAB, LAB)
    try:
        labels = engine.labels(LAB, "gateway")
        made = create.container(
            engine, images.client, name, LAB, None, labels, "gateway", ports=create.loopback({80: None})
        )
        try:
            made.start()
            port = made.published()[80]
            with pytest.raises(NotAvailable, match=rf"127\.0\.0\.1:{port} \(by the container {name}\)"):
                create.require_free_ports(engine, [port])
            create.require_free_ports(engine, [port], but_for=LAB)
        finally:
            made.remove()
    finally:
        network.remove_network(engine, LAB)


def test_port_of_another_program(engine: Engine) -> None:
    """A port that some program listens on is taken until it is closed; all that are taken are in one error."""
    if not engine.is_local:
        pytest.skip("the engine's ports are not this host's")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
        said = ", ".join(rf"127\.0\.0\.1:{port} \(by another program on this host\)" for port in ports)
        with pytest.raises(NotAvailable, match=rf"ports are taken: {said}; change `ports`"):
            create.require_free_ports(engine, ports)
    create.require_free_ports(engine, ports)


# Helpers


def test_helper_gives_its_output(engine: Engine, images: Images) -> None:
    """A helper's output comes back, and the helper is gone."""
    assert engine.run_helper(images.client, LAB, ["echo", "hello"], network_mode="none") == "hello\n"
    assert containers_of(engine, LAB) == []


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["sh", "-c", "echo no such link; exit 3"], r"exit code 3:\nno such link$"),
        (["/no/such/program"], r"running a helper container for /no/such/program: the engine said: .*no such file"),
    ],
    ids=["fails", "cannot-start"],
)
def test_helper_that_fails_leaves_nothing(engine: Engine, images: Images, command: list[str], says: str) -> None:
    """A helper that fails, or cannot even start, is an error with its output, and its container is removed."""
    with pytest.raises(NotAvailable, match=says):
        engine.run_helper(images.client, LAB, command, network_mode="none")
    assert containers_of(engine, LAB) == []


def test_helper_has_no_capabilities_but_those_asked_for(engine: Engine, images: Images) -> None:
    """A helper is given none of Docker's defaults."""
    look = ["grep", "CapBnd", "/proc/self/status"]
    assert engine.run_helper(images.client, LAB, look, network_mode="none").split()[1] == "0" * 16
    few = engine.run_helper(images.client, LAB, look, network_mode="none", cap_add=["CHOWN"])
    assert int(few.split()[1], 16) == 1 << grants.CAPABILITIES.index("CHOWN")


# Containers


def test_what_is_the_hosts_is_given_up(engine: Engine, images: Images) -> None:
    """A command that is to give up what is the host's has the rest, in every set, and so has all that it starts."""
    options: dict[str, Any] = {"network_mode": "none", "cap_add": ["SETPCAP", "CHOWN", "SYS_TIME", "SYS_BOOT"]}
    told = engine.run_helper(
        images.node, LAB, grants.given_up(["/bin/sh", "-c", "cat /proc/self/status; true"]), **options
    )
    sets = {line.split()[0]: int(line.split()[1], 16) for line in told.splitlines() if line.startswith("Cap")}
    rest = sum(1 << grants.CAPABILITIES.index(name) for name in ("SETPCAP", "CHOWN"))
    assert sets == {"CapInh:": 0, "CapPrm:": rest, "CapEff:": rest, "CapBnd:": rest, "CapAmb:": 0}


def test_paths_are_hidden_and_read_only(engine: Engine, images: Images) -> None:
    """A hidden file is the null device and a hidden folder empty; what is read-only cannot be written; a path that is
    not there does no harm."""
    hidden, read_only = ["/etc/debian_version", "/etc/apt", "/no/such/path"], ["/usr", "/no/such/path"]
    made = create.container(
        engine, images.client, LAB, "none", None, engine.labels(LAB, "node"), "x", hidden=hidden, read_only=read_only
    )
    try:
        made.start()
        assert made.must("cat", "/etc/debian_version") == ""
        assert made.must("ls", "-A", "/etc/apt") == ""
        assert "Read-only" in made.run("touch", "/usr/x").output
        made.must("touch", "/etc/x")
    finally:
        made.remove()


def test_states_of_a_container(running: Running, images: Images) -> None:
    """A container's state follows what is done to it, and removing it twice is no error."""
    with running(images.client, start=False) as container:
        seen = [container.state()]
        for act in (container.start, container.pause, container.unpause, container.kill, container.remove):
            act()
            seen.append(container.state())
        container.remove()
    assert seen == ["created", "running", "paused", "running", "exited", "gone"]


@pytest.mark.parametrize("start", [False, True], ids=["created", "running"])
@pytest.mark.parametrize("content", [b"", b"text\n", bytes(range(256)) * 500], ids=["empty", "text", "bytes"])
def test_files_go_in_and_come_out(running: Running, images: Images, start: bool, content: bytes) -> None:
    """Every byte of a file put into a container comes out again, whether it runs or not, in a folder made for it."""
    with running(images.client, start=start) as container:
        container.put([Placed("/made/for/it/file", content), Placed("/made/other", b"x")])
        assert container.get("/made/for/it/file") == content
        assert container.get("/made/other") == b"x"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_files_have_their_mode(client: Container, mode: int) -> None:
    """A file that was put has the permission bits that were asked for, and belongs to root."""
    client.put([Placed("/tmp/file", b"x", mode)])
    assert client.must("stat", "-c", "%a %U", "/tmp/file").split() == [f"{mode:o}", "root"]


def test_missing_file_is_an_error(client: Container) -> None:
    """Reading a file that is not there names it and its container."""
    with pytest.raises(LabkitError, match=f"reading /no/such/file in {client.name}"):
        client.get("/no/such/file")


def test_command_that_fails(client: Container) -> None:
    """run() tells the exit code and the whole output; must() makes an error of it with the command in it."""
    command = ("sh", "-c", "echo out; echo err >&2; exit 7")
    assert sorted(client.run(*command).output.split()) == ["err", "out"]
    assert client.run(*command).exit_code == 7
    with pytest.raises(LabkitError, match=rf"exit 7` on {client.name} ended with exit code 7:\n"):
        client.must(*command)


def test_answer_that_is_no_json(client: Container) -> None:
    """ask() shows what a command printed in place of JSON."""
    assert client.ask("echo", '{"a": 1}') == {"a": 1}
    with pytest.raises(LabkitError, match=r"`echo nonsense` on .* did not print JSON: 'nonsense\\n'"):
        client.ask("echo", "nonsense")


def test_missing_image_is_a_labkit_error(engine: Engine) -> None:
    """What the engine says of an image that is not there comes with what was being done."""
    with pytest.raises(NotAvailable, match=rf"creating {LAB}: the engine said: No such image: labkit/none:none"):
        create.container(engine, "labkit/none:none", LAB, "none", None, engine.labels(LAB, "node"), "x")


# Processes that one talks with


def test_process_hears_and_answers(client: Container) -> None:
    """Each line sent is heard back at once, whole; closing ends its input, and its last line is still heard."""
    heard: list[str] = []
    process = client.talk("sh", "-c", "cat; echo the end", heard=heard.extend)
    for line in ("one", "two" * 20_000, "", "ñ"):
        process.send(line)
        wait_until(lambda: heard[-1:], [line].__eq__, WAIT_S, "the line is heard")
    assert process.alive
    process.close()
    assert not process.alive
    assert heard == ["one", "two" * 20_000, "", "ñ", "the end"]
    with pytest.raises(LabkitError, match=r"sh in .* is gone"):
        process.send("three")


def test_process_that_ends_by_itself(client: Container) -> None:
    """A process that ends is noticed, its error output is kept apart from its lines, and closing it is harmless."""
    heard: list[str] = []
    process = client.talk("sh", "-c", "echo out; echo why >&2; exit 3", heard=heard.extend)
    wait_until(lambda: process.alive, lambda alive: not alive, WAIT_S, "its end is noticed")
    assert (heard, process.errors) == (["out"], "why\n")
    process.close()


def test_process_whose_container_dies(running: Running, images: Images) -> None:
    """The death of a container ends the talk with the processes in it."""
    with running(images.client) as container:
        process = container.talk("cat", heard=lambda lines: None)
        container.kill()
        wait_until(lambda: process.alive, lambda alive: not alive, WAIT_S, "its end is noticed")
        process.close()


# Images


def test_images_are_built_once(engine: Engine, images: Images) -> None:
    """What is built from the same files is taken as it is, without a word."""
    heard = Heard()
    assert engine_images.ensure(engine, images.platform.name, heard) == images
    assert (heard.steps, heard.details) == ([], [])


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of images/ that labkit takes for its own."""
    copy = tmp_path / "images"
    shutil.copytree(images_dir(), copy)
    monkeypatch.setattr(engine_images, "images_dir", lambda: copy)
    return copy


def test_python_caches_are_no_part_of_an_image(engine: Engine, images: Images, copied: Path) -> None:
    """Having run the agent on this host changes nothing: compiled Python in images/ causes no new build."""
    cache = copied / "shared/client/usr/lib/labkit/__pycache__"
    cache.mkdir()
    (cache / "agent.cpython-36.pyc").write_bytes(b"x")
    assert engine_images.ensure(engine, images.platform.name, Silent()) == images


def test_failed_build_shows_the_steps_own_output(engine: Engine, images: Images, copied: Path) -> None:
    """A build that fails tells the image and the failing step's output; nothing but the old images is left."""
    complaint = "E: Unable to locate package heartbaet"
    dockerfile = copied / images.platform.dockerfile
    dockerfile.write_text(f"FROM {images.platform.image('node')}\nRUN echo '{complaint}' >&2; exit 100\n")
    heard = Heard()
    with pytest.raises(NotAvailable) as caught:
        engine_images.ensure(engine, images.platform.name, heard)
    first, *told = str(caught.value).splitlines()
    assert re.match(r"building labkit/(node|client):\S+ failed: .*100", first)
    assert complaint in told
    assert any(detail.endswith(complaint) for detail in heard.details)
    everything = engine.client.containers.list(all=True, ignore_removed=True)
    assert [one.name for one in everything if complaint in str(one.attrs["Config"]["Cmd"])] == []
    for role, identity in images.digests.items():
        assert engine.client.images.get(images.platform.image(role)).id == identity


def test_a_browser_that_cannot_be_built_tells_what_to_do(engine: Engine, images: Images, copied: Path) -> None:
    """The failing step's output, and the command that tries again; the nodes' images stay as they are."""
    complaint = "E: Unable to locate package chromium"
    (copied / engine_images.BROWSER / "Dockerfile").write_text(
        f"ARG BASE\nFROM ${{BASE}}\nRUN echo '{complaint}' >&2; exit 100\n"
    )
    with pytest.raises(NotAvailable) as caught:
        engine_images.ensure_browser(engine, images, Silent())
    told = str(caught.value)
    assert re.match(r"building labkit/browser:\S+ failed: .*100", told)
    assert complaint in told
    assert "labkit build --browser" in told
    assert engine_images.ensure(engine, images.platform.name, Silent()) == images


def test_a_container_that_was_cut_off_has_no_address(client: Container) -> None:
    """Somebody may take a network away behind labkit's back at any time; this container was never on it."""
    assert client.mac("labkit-gone") == ""


def test_a_command_that_has_ended_leaves_no_connection(client: Container) -> None:
    """Neither one that was waited for, nor one that was talked with and ended by itself, was told to, or given up."""

    def connections() -> int:
        return sum(os.readlink(file).startswith("socket:") for file in Path("/proc/self/fd").iterdir() if file.exists())

    client.must("true")
    gc.collect()
    gc.disable()  # it would close them by and by
    try:
        before = connections()
        for _ in range(5):
            client.must("true")
            gone = client.talk("true", heard=lambda _: None)
            wait_until(partial(getattr, gone, "alive"), not_, WAIT_S, "the command has ended")
            client.talk("cat", heard=lambda _: None).close()
            stubborn = client.talk("sleep", "60", heard=lambda _: None)
            stubborn.close(timeout_s=0.1)
            wait_until(partial(getattr, stubborn, "alive"), not_, WAIT_S, "nobody listens to it any more")
            assert not stubborn.errors
        assert connections() <= before
    finally:
        gc.enable()
