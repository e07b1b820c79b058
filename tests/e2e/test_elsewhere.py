"""An engine on another host, by a Docker context with TLS and by ssh://. The host is a network namespace with an engine
of its own: its 127.0.0.1 and its links are out of reach, and only a cable leads there."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from labkit.cluster import access, lifecycle
from labkit.engine import Engine
from labkit.timing import wait_until
from tests import engines
from tests.e2e.helpers import Outcome, await_whole, complaint, leftovers, named, run_cli

pytestmark = [
    engines.takes_one,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="takes ssh"),
]

NAME = named("elsewhere")
CONTEXT = "far"
SSH_PORT = 2222
LONGEST_S = 900.0  # of one command, a whole failover by way of ssh among them, on a machine with fifty times its load
TIMING = ("--keepalive", "500ms", "--deadtime", "4")  # on a very busy machine the pair holds through a second's silence
# The host's SSH server is that of a node's image. It takes the key that lies in /.
SSHD = f"mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e -p {SSH_PORT} -h /host -o AuthorizedKeysFile=/key.pub"
BUSY = {"within-predicted-band", "cadence-kept"}  # checks that say no more than how busy this machine is
Environment = Mapping[str, str]


@pytest.fixture(scope="module")
def far(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[engines.SecondEngine]:
    with engines.second_engine(tmp_path_factory.mktemp("far") / "engine", engine) as second:
        yield second


@pytest.fixture(scope="module")
def context(far: engines.SecondEngine, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What a user has set who made a context and has chosen it, and has no config.json beside it."""
    folder = tmp_path_factory.mktemp("docker")
    files = ",".join(f"{name}={far.certificates / name}.pem" for name in ("ca", "cert", "key"))
    made = ["docker", "--config", str(folder), "context", "create", CONTEXT, "--docker", f"host={far.tcp},{files}"]
    subprocess.run(made, check=True, capture_output=True)
    return {"DOCKER_CONFIG": str(folder), "DOCKER_CONTEXT": CONTEXT}


@pytest.fixture(scope="module")
def lab(context: Environment) -> Iterator[Environment]:
    """The lab on that engine, made by the context; all tests share it, and leave it whole."""
    came = labkit(context, "up", *TIMING, "--subnet", "auto", "--ports", "auto")
    assert came.exit_code == 0, came.stderr
    yield context
    labkit(context, "down")


@pytest.fixture(scope="module")
def keys(far: engines.SecondEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with SSH keys: `key`, which the host lets in, and `stranger`. The host's sshd runs afterwards."""
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("key", "stranger", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "known").write_text(f"[{far.address}]:{SSH_PORT} {(folder / 'host.pub').read_text()}")
    socket = far.url.removeprefix("unix://")
    with far.client() as client:
        sshd = client.containers.create(
            client.images.list(filters={"label": "labkit.image=node"})[0],
            entrypoint=["sh", "-c", SSHD],
            network_mode="host",
            volumes=[f"{socket}:/var/run/docker.sock"],
        )
        for name in ("host", "key.pub"):
            subprocess.run(["docker", "--host", far.url, "cp", folder / name, f"{sshd.id}:/{name}"], check=True)
        sshd.start()
        wait_until(lambda: b"Server listening" in sshd.logs(), bool, 60, "the host's sshd listens")
    return folder


@pytest.fixture(scope="module")
def by_ssh(far: engines.SecondEngine, keys: Path) -> Environment:
    """What a user has set who reaches the engine by ssh://."""
    return through_ssh(far, keys, "key")


def through_ssh(far: engines.SecondEngine, keys: Path, key: str) -> Environment:
    """ssh:// with one of the keys. In place of ~/.ssh, which HOME does not move, a file of ours is what ssh reads."""
    folder = keys / f"with-{key}"
    folder.mkdir()
    (folder / "config").write_text(
        f"IdentityFile {keys / key}\nIdentitiesOnly yes\nUserKnownHostsFile {keys / 'known'}\n"
    )
    (folder / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder / "config"} "$@"\n')
    (folder / "ssh").chmod(0o755)
    return {"DOCKER_HOST": f"ssh://root@{far.address}:{SSH_PORT}", "PATH": f"{folder}:{os.environ['PATH']}"}


def labkit(environment: Environment, *arguments: str) -> Outcome:
    """A command on the lab there."""
    command, *rest = arguments
    return run_cli(command, "--name", NAME, *rest, env=environment, timeout_s=LONGEST_S)


@contextmanager
def connected(environment: Environment) -> Iterator[Engine]:
    """The engine that such a user reaches."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield Engine.connect()


WAYS = pytest.mark.parametrize("way", ["context", "by_ssh"])


@pytest.fixture
def user(way: str, lab: Environment, request: pytest.FixtureRequest) -> Environment:
    """A user of the lab there, who reaches it in one of the ways, and finds it whole."""
    environment: Environment = request.getfixturevalue(way)
    with connected(environment) as there:
        await_whole(lifecycle.require(there, NAME))
    return environment


@WAYS
def test_the_pair_is_seen_and_its_ports_are_told_to_be_elsewhere(user: Environment, far: engines.SecondEngine) -> None:
    """`status` names the engine and says how the ports come here; `check` looks at all pages, those of the ports on the
    engine's host, and passes."""
    told = " ".join(labkit(user, "status").stdout.split())
    where = user.get("DOCKER_HOST", far.tcp)
    assert f"these ports are those of the engine's host ({where}) here they are after: ssh -N -L " in told
    checked = labkit(user, "check", "--json")
    assert checked.exit_code == 0, checked.stdout
    assert sum("on the engine's host" in one["check"] for one in checked.document) == 3


@WAYS
def test_ssh_leads_into_a_node(user: Environment) -> None:
    """`labkit ssh` needs no port of this host, and takes the way that is chosen now, whichever `up` came by."""
    done = labkit(user, "ssh", "slave-cluster", "--", "hostname")
    assert (done.exit_code, done.stdout) == (0, "slave-cluster\n"), done.stderr


@WAYS
def test_a_shell_opens_in_a_node(user: Environment) -> None:
    """The docker command finds the engine that labkit has found."""
    done = run_cli("shell", "--name", NAME, "slave-cluster", env=user, typed="hostname\n", timeout_s=LONGEST_S)
    assert (done.exit_code, done.stdout) == (0, "slave-cluster\n"), done.stderr


@pytest.mark.parametrize(("way", "fault"), [("context", "node-kill"), ("by_ssh", "apache-stop")])
def test_a_failover_is_measured(user: Environment, fault: str) -> None:
    """The service moves, and all figures are there: probe, capture and logs work over every way."""
    done = labkit(user, "failover", "--fault", fault, *TIMING, "--json")
    assert done.stdout, done.stderr
    result = done.document
    trial = result["trials"][0]
    assert (trial["server_before"], trial["server_after"]) == ("master-cluster", "slave-cluster"), result
    assert all(trial[figure] > 0 for figure in ("outage_ms", "detection_ms", "takeover_ms")), trial
    wrong = [one for one in result["checks"] if one["verdict"] != "pass" and one["check"] not in BUSY]
    assert not wrong, wrong


def test_a_fault_by_hand_is_healed(lab: Environment) -> None:
    """`inject` breaks the lab there, and `heal` brings it back."""
    assert labkit(lab, "inject", "heartbeat-stop").exit_code == 0
    assert "no heartbeat" in labkit(lab, "status").stdout
    assert labkit(lab, "heal").exit_code == 0
    assert "no heartbeat" not in labkit(lab, "status").stdout


def test_a_key_that_is_refused(far: engines.SecondEngine, keys: Path) -> None:
    """One message with what ssh says, and nothing stays of the tunnel."""
    told = complaint(labkit(through_ssh(far, keys, "stranger"), "status"), 4)
    assert "Permission denied" in told
    assert f"ssh -p {SSH_PORT} root@{far.address}" in told


def test_labs_of_two_engines_are_not_mixed_up(engine: Engine, lab: Environment) -> None:
    """The same name on the first engine is another lab: it is not up there, and gc of one engine leaves the other's key
    alone."""
    assert "no lab" in complaint(labkit({}, "status"), 4)
    ours = access.folder("killed", engine.identity)
    with connected(lab) as second:
        theirs = access.folder("killed", second.identity)
    ours.mkdir()
    theirs.mkdir()
    done = run_cli("gc", env=lab)
    assert done.exit_code == 0, done.stderr
    assert ours.exists()
    assert not theirs.exists()
    ours.rmdir()


def test_down_leaves_nothing_there(lab: Environment) -> None:
    """The last test of the lab: no container, network, link or key of it is left."""
    assert labkit(lab, "down").exit_code == 0
    with connected(lab) as second:
        assert leftovers(second, NAME) == []
