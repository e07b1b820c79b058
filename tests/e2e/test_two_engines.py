"""One pair on two engines, each in a network namespace of its own, with a switch between them. The namespaces share the
kernel's monotonic clock, which labkit does not know: what it finds out about two hosts' clocks is held against that."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from labkit.engine import Engine, create
from labkit.store import HISTORY
from tests import engines
from tests.e2e.helpers import leftovers, named, run_cli

pytestmark = engines.takes_one

NAME = named("two-hosts")
LAB = """
name: {name}
network: {{subnet: auto, parent: {interface}}}
nodes:
  master-cluster: {{}}
  slave-cluster: {{engine: other}}
timing: {{keepalive: 500ms, deadtime: 4}}
"""


@dataclass(frozen=True)
class Pair:
    """A pair that is up. env: what its user has set; file: its lab.yaml; here, other: its two engines."""

    env: Mapping[str, str]
    file: Path
    here: Engine
    other: Engine


@pytest.fixture(scope="module")
def pair(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The slave runs on the engine of the context `other`, all else on that of `here`."""
    folder = tmp_path_factory.mktemp("two")
    with (
        engines.second_engine(folder / "here", engine) as here,
        engines.second_engine(folder / "other", engine) as other,
        engines.shared_network(here, other) as interface,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("DOCKER_CONFIG", str(folder))
        for name, one in (("here", here), ("other", other)):
            made = ["docker", "context", "create", name, "--docker", f"host={one.url}"]
            subprocess.run(made, check=True, capture_output=True)
        file = folder / "lab.yaml"
        file.write_text(LAB.format(name=NAME, interface=interface))
        env = {"DOCKER_CONFIG": str(folder), "DOCKER_CONTEXT": "here"}
        came = run_cli("up", "--file", str(file), "--ports", "auto", env=env, timeout_s=900)
        assert came.exit_code == 0, came.stderr
        yield Pair(env, file, Engine.connect("here"), Engine.connect("other"))


def test_each_engine_has_its_half(pair: Pair) -> None:
    """The other engine runs one node and nothing else, and its own gc leaves that alone."""
    assert [one.host_name for one in create.find_containers(pair.other, NAME)] == ["slave-cluster"]
    assert "slave-cluster" not in [one.host_name for one in create.find_containers(pair.here, NAME)]
    assert run_cli("gc", env={**pair.env, "DOCKER_CONTEXT": "other"}).exit_code == 0
    assert [one.state() for one in create.find_containers(pair.other, NAME)] == ["running"]


def test_a_shell_opens_in_each_node(pair: Pair) -> None:
    """`labkit shell` asks the engine where the node runs."""
    for node in ("master-cluster", "slave-cluster"):
        done = run_cli("shell", "--name", NAME, node, env=pair.env, typed="hostname\n")
        assert (done.exit_code, done.stdout) == (0, f"{node}\n"), done.stderr


def test_the_service_moves_to_the_other_host(pair: Pair, working_folder: Path) -> None:
    """Figures come out of two hosts' clocks, and the result says how far these may be wrong. Both namespaces have the
    same clock, so the difference that was found must lie within its own error of none."""
    done = run_cli("failover", "--file", str(pair.file), "--fault", "node-kill", "--json", env=pair.env, timeout_s=900)
    assert done.stdout, done.stderr
    trial = done.document["trials"][0]
    assert (trial["server_before"], trial["server_after"]) == ("master-cluster", "slave-cluster"), done.document
    assert all(trial[figure] > 0 for figure in ("outage_ms", "detection_ms", "takeover_ms", "clock_error_ms")), trial
    events = map(json.loads, (working_folder / done.document["run"] / HISTORY).read_text().splitlines())
    (clocks,) = (event for event in events if event["event"] == "clocks")
    assert abs(clocks["monotonic_ns"]) <= clocks["error_ns"]
    assert clocks["node"] == "slave-cluster"
    assert trial["clock_error_ms"] == pytest.approx(clocks["error_ns"] / 1e6, abs=0.001)


def test_down_leaves_nothing_on_either(pair: Pair) -> None:
    """By the client's labels alone, which lead to the other engine."""
    assert run_cli("down", "--name", NAME, env=pair.env).exit_code == 0
    assert leftovers(pair.here, NAME) == []
    assert leftovers(pair.other, NAME) == []
