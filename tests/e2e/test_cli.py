"""The command line as scripts and students meet it: one JSON document, the right exit code, one clear error."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker.types
import pytest
import yaml

from labkit import faults, platforms
from labkit.cluster import Lab
from labkit.engine import Engine, create, network
from labkit.spec import Spec
from tests.e2e.helpers import (
    FAST,
    NO_ENGINE,
    Outcome,
    assert_valid_result,
    complaint,
    leftovers,
    named,
    run_cli,
    swept,
)

NAME = named("cli")
KILL = ("failover", "--name", NAME, "--fault", "node-kill", *FAST)
CERTAIN = {"expected-move", "service-back", "single-owner"}  # the other checks judge this machine's speed, too
TINY = 100_000  # bytes of a disk that has room for the beginning of a run, and not for all of it


@pytest.fixture(scope="module", autouse=True)
def nothing_there(engine: Engine) -> Iterator[None]:
    """Not before these tests, and not after them."""
    with swept(engine, NAME):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def failover(folder: Path) -> Outcome:
    """`labkit failover --json` where no lab is up."""
    return run_cli(*KILL, "--runs", str(folder / "runs"), "--json")


def _code(document: "dict[str, list[dict[str, str]]]") -> int:
    verdicts = {check["verdict"] for check in document["checks"]}
    return 1 if "fail" in verdicts else 2 if "unknown" in verdicts else 0


def test_failover_answers_one_document(failover: Outcome, folder: Path) -> None:
    """stdout of `failover --json` is the promised document and nothing else, the same as the stored one; progress goes
    to stderr, and the exit code is that of the checks, which hold but for what depends on the machine's speed."""
    result = failover.document
    assert_valid_result(result)
    assert (result["fault"], result["profile"]) == ("node-kill", "corrected")
    assert result["timing"] == {"keepalive_ms": 200, "deadtime_ms": 1000}
    assert len(result["trials"]) == 1
    assert result == json.loads((Path(result["run"]) / "result.json").read_text())
    assert Path(result["run"]).parent == folder / "runs"
    assert "trial 1 of 1" in failover.stderr
    verdicts = {check["check"]: check["verdict"] for check in result["checks"]}
    assert {name: verdicts[name] for name in CERTAIN} == dict.fromkeys(CERTAIN, "pass")
    assert failover.exit_code == _code(result)


def test_failover_removes_the_lab_that_it_started(failover: Outcome, engine: Engine) -> None:
    """A lab that was not there before is not there afterwards."""
    assert "removing the lab" in failover.stderr
    assert leftovers(engine, NAME) == []


def test_a_stored_run_is_judged_without_an_engine(failover: Outcome) -> None:
    """`labkit judge` and `labkit report` come to the same result from the run's folder alone."""
    for command in ("judge", "report"):
        again = run_cli(command, failover.document["run"], "--json", env=NO_ENGINE)
        assert again.document == failover.document
        assert again.exit_code == failover.exit_code


@pytest.mark.parametrize(
    ("arguments", "valid"),
    [
        (("failover", "--name", NAME, "--fault", "nonsense"), list(faults.all_faults())),
        (("up", "--name", NAME, "--platform", "nonsense"), ["auto", *platforms.discover()]),
        (("logs", "--name", named("pair"), "nonsense"), list(Spec().nodes)),
    ],
    ids=["fault", "platform", "node"],
)
def test_unknown_names(arguments: tuple[str, ...], valid: list[str], lab: Lab) -> None:
    """An unknown fault, platform or node is wrong use, and the message lists those there are."""
    told = complaint(run_cli(*arguments), 3)
    assert "nonsense" in told
    assert [name for name in valid if name not in told] == []


def test_wrong_lab_yaml(working_folder: Path, engine: Engine) -> None:
    """Each mistake in lab.yaml is told with file, line and field, before anything is made."""
    (working_folder / "lab.yaml").write_text(f"name: {NAME}\ntiming:\n  keepalive: 2\n  deadtime: 3\nnodez: 1\n")
    told = complaint(run_cli("up"), 3)
    assert "lab.yaml, line 4: timing.deadtime" in told
    assert "lab.yaml, line 5: nodez: no such key. Did you mean 'nodes'?" in told
    assert leftovers(engine, NAME) == []


def test_an_interface_that_the_engine_does_not_make(working_folder: Path, engine: Engine) -> None:
    """The nodes' files would name a card that is not there: refused before anything is made."""
    (working_folder / "lab.yaml").write_text(f"name: {NAME}\nnetwork: {{interface: ens18}}\n")
    assert "network.interface" in complaint(run_cli("up"), 3)
    assert leftovers(engine, NAME) == []


def test_no_engine() -> None:
    """Without an engine the message says where none answers and how to start one."""
    for command in (("up",), ("failover", "--json"), ("gc",)):
        told = complaint(run_cli(*command, env=NO_ENGINE), 4)
        assert NO_ENGINE["DOCKER_HOST"] in told
        assert "systemctl start docker" in told


def _up_with_ports(vip_http: int) -> Outcome:
    asked = {"name": NAME, "network": {"subnet": "auto"}, "ports": {"vip_http": vip_http}}
    Path("lab.yaml").write_text(yaml.safe_dump(asked))
    return run_cli("up")


def test_a_port_that_a_program_has(engine: Engine) -> None:
    """A port of the spec that a program on this host listens on is named, and nothing is left."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = complaint(_up_with_ports(port), 4)
    assert f"127.0.0.1:{port} (by another program on this host)" in told
    assert "--ports auto" in told
    assert leftovers(engine, NAME) == []


def test_a_port_that_a_container_has(engine: Engine, lab: Lab) -> None:
    """A port that another lab's gateway has is told with that container's name."""
    port = next(iter(lab.gateway.published().values()))
    told = complaint(_up_with_ports(port), 4)
    assert f"127.0.0.1:{port} (by the container {lab.gateway.name})" in told
    assert leftovers(engine, NAME) == []


@contextmanager
def taken_subnet(engine: Engine) -> Iterator[str]:
    """A subnet that a network has which is no lab's."""
    subnet = str(network.free_subnet(engine, Spec().network.pool))
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
    other = engine.client.networks.create(named("other"), internal=True, ipam=pool)
    try:
        yield subnet
    finally:
        other.remove()


def test_a_subnet_that_is_taken(engine: Engine) -> None:
    """A subnet that a network of the engine has is told with that network's name, and nothing is left."""
    with taken_subnet(engine) as subnet:
        told = complaint(run_cli("up", "--name", NAME, "--subnet", subnet, "--ports", "auto"), 4)
    assert subnet in told
    assert repr(named("other")) in told
    assert "--subnet auto" in told
    assert leftovers(engine, NAME) == []


def test_a_lab_with_chosen_ports_and_subnet_stays_as_it_is(working_folder: Path, engine: Engine) -> None:
    """What `auto` has chosen is no other setting than lab.yaml's, and is chosen again for a lab that is made anew. One
    that cannot be made anew stays. Commands know its name from lab.yaml."""
    (working_folder / "lab.yaml").write_text(f"name: {NAME}\n")
    with taken_subnet(engine) as taken:

        def up(*options: str, code: int = 0) -> list[str]:
            done = run_cli("up", "--together", *options)
            assert done.exit_code == code, done.stderr
            return [str(one.sdk.id) for one in create.find_containers(engine, NAME)]

        try:
            first = up("--subnet", "auto", "--ports", "auto")
            assert sorted(up()) == sorted(first)
            assert sorted(up("--subnet", taken, code=4)) == sorted(first)
            other = up("--deadtime", "6")
            assert not set(other) & set(first)
            told = run_cli("status", "--json").document
            assert told["ports"]["vip_http"] != Spec().ports.vip_http
        finally:
            assert run_cli("down").exit_code == 0
    assert leftovers(engine, NAME) == []


@contextmanager
def _tiny_disk(place: Path) -> Iterator[int | None]:
    """A disk that is soon full at a place. Where nothing can be mounted: the largest file to allow instead."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TINY}", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        yield TINY // 2
        return
    try:
        yield None
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(working_folder: Path, engine: Engine) -> None:
    """When there is no room for the run, that is the one error, and the lab that was started for it is removed."""
    with _tiny_disk(working_folder / "disk") as largest:
        done = run_cli(*KILL, "--runs", str(working_folder / "disk"), largest_file=largest)
    told = complaint(done, 4)
    assert "No space left on device" in told or "File too large" in told
    assert leftovers(engine, NAME) == []
