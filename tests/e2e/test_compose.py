"""Starts the lab as people without labkit do: with Compose, from rendered files, on a subnet and ports of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import requests

from labkit import compose
from labkit.cluster import lifecycle
from labkit.cluster.lab import NodeStatus, settled
from labkit.engine import Engine, grants, network
from labkit.engine.images import Images, ensure
from labkit.errors import NotAvailable
from labkit.heartbeat import commands
from labkit.progress import Silent
from labkit.render import heading
from labkit.resources import images_dir
from labkit.spec import Ports, Spec, default
from labkit.timing import wait_until
from tests.composed import render

pytestmark = pytest.mark.e2e

NAME = "e2e-compose"
SUBNET = IPv4Network("172.23.119.0/24")
PORTS = Ports(first_http=18046, second_http=18047, vip_http=18048, first_ssh=14243, second_ssh=14242)
PATIENCE_S = 60.0  # a fresh pair settles in about 15 s, 10 of which are compiled into Heartbeat


@dataclass(frozen=True)
class Project:
    """A folder with a Compose file, and the means to run Compose on it."""

    folder: Path
    spec: Spec
    program: tuple[str, ...]
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        """Standard output of one Compose command, which must succeed."""
        done = subprocess.run(
            [*self.program, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def inside(self, node: str, *command: str) -> str:
        """Output of a command in a node."""
        return self.run("exec", "-T", node, *command)

    def statuses(self) -> dict[str, NodeStatus]:
        """What each node says of itself."""
        vip = str(self.spec.network.vip)
        told = {node: self.inside(node, "/usr/lib/labkit/status", vip, self.spec.peer_of(node)) for node in self.nodes}
        return {node: NodeStatus(running=True, **json.loads(text)) for node, text in told.items()}

    @property
    def nodes(self) -> list[str]:
        return list(self.spec.nodes)

    def page(self, port: int) -> str:
        """What the host gets through a port of the gateway; the reason where it gets nothing."""
        try:
            return requests.get(f"http://127.0.0.1:{port}/", timeout=2).text
        except requests.RequestException as error:
            return str(error)

    def await_page(self, port: int, node: str) -> None:
        """Waits until a port of the gateway leads to a node."""
        wait_until(
            lambda: self.page(port),
            lambda page: heading(node) in page,
            PATIENCE_S,
            f"127.0.0.1:{port} leads to {node}",
            self.logs,
        )

    def logs(self) -> str:
        """The end of each container's output."""
        return self.run("logs", "--tail", "15")


def compose_program() -> tuple[str, ...]:
    """Compose as a part of docker, or else as a program of its own. Fails the test where there is neither."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return (docker, "compose")
    alone = shutil.which("docker-compose")
    if alone is None:
        pytest.fail("neither `docker compose` nor `docker-compose` is here; on Debian: apt-get install docker-compose")
    return (alone,)


def surroundings(engine: Engine, images: Images) -> dict[str, str]:
    """The environment for Compose: the same engine as ours, and what README.md says for a host like this one."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LABKIT_", "COMPOSE_"))}
    grant = grants.most(engine, images.client, NAME)
    clean.update(DOCKER_HOST=engine.where, LABKIT_PRIVILEGED=str(grant.name == "privileged").lower())
    try:
        return clean | {"LABKIT_PARENT": network.make_links(engine, images.client, NAME)}
    except NotAvailable:
        return clean | {"LABKIT_NETWORK": "bridge"}


def volumes(engine: Engine) -> list[str]:
    """The names of the volumes with this lab's label."""
    return [volume.name for volume in engine.client.volumes.list(filters={"label": f"labkit={NAME}"})]


@pytest.fixture(scope="module")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The lab, up; taken down at the end."""
    images = ensure(engine, "auto", Silent())
    top = tmp_path_factory.mktemp("checkout")
    (top / "images").symlink_to(images_dir())  # Compose 1.29 looks for the build context even where it does not build
    spec = default().with_options(name=NAME).on_subnet(network.free_subnet(engine, SUBNET))
    spec = spec.model_copy(update={"ports": PORTS})
    compose.write(top / "compose", render(engine, images, spec))
    project = Project(top / "compose", spec, compose_program(), surroundings(engine, images))
    try:
        project.run("up", "-d", "--no-build")
        yield project
    finally:
        project.run("down", "--volumes")
        left = network.host_links(engine, images.client, NAME)
        network.remove_links(engine, images.client, [link.name for link in left])


def test_pair_settles_and_serves(project: Project) -> None:
    """The nodes come to hear each other, and the host gets each node's page and the VIP's through 127.0.0.1."""
    preferred, other = project.nodes
    ports = project.spec.ports
    for port, node in ((ports.vip_http, preferred), (ports.first_http, preferred), (ports.second_http, other)):
        project.await_page(port, node)
    statuses = wait_until(project.statuses, settled, PATIENCE_S, "both nodes are settled", project.logs)
    assert [node for node, status in statuses.items() if status.vip] == [preferred]


def test_nodes_share_a_key_of_their_own(project: Project) -> None:
    """Both nodes have the same fresh key in place of the placeholder, and nobody but root can read it."""
    lines = {project.inside(node, "tail", "-n", "1", commands.AUTHKEYS).strip() for node in project.nodes}
    assert len(lines) == 1
    method, key = lines.pop().split()[1:]
    assert method == "sha1"
    assert len(key) == 40
    assert int(key, 16)
    modes = [project.inside(node, "stat", "-c", "%a %U", commands.AUTHKEYS).strip() for node in project.nodes]
    assert modes == ["600 root", "600 root"]


def test_survivor_takes_over(project: Project) -> None:
    """It is the same lab: when the active node dies, the VIP's page comes from the other one."""
    preferred, other = project.nodes
    project.run("kill", preferred)
    project.await_page(project.spec.ports.vip_http, other)


def test_down_leaves_nothing(project: Project, engine: Engine) -> None:
    """`down --volumes` removes all that has the lab's label; what is left is the link that this test made."""
    assert volumes(engine)
    project.run("down", "--volumes")
    assert [one for one in lifecycle.leftovers(engine, NAME) if one.kind != "host link"] == []
    assert volumes(engine) == []
