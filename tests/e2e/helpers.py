"""What the end-to-end tests share: labkit as a user runs it, labs of their own, and a look for what they leave."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

from labkit.cluster import Lab, access, lifecycle
from labkit.cluster.lab import settled
from labkit.cluster.lifecycle import Options
from labkit.engine import LABEL, Engine
from labkit.engine.network import ALIAS, link_name
from labkit.errors import NotAvailable
from labkit.progress import Silent
from labkit.spec import Spec
from labkit.timing import wait_until

ROOT = Path(__file__).resolve().parents[2]
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
FAST = ("--keepalive", "200ms", "--deadtime", "1", "--subnet", "auto", "--ports", "auto")
SCHEMA = ROOT / "docs" / "result.schema.json"
RESULT = {"run", "platform", "network", "profile", "fault", "timing", "trials", "summary", "predicted", "checks"}
TRIAL = {
    *("server_before", "server_after", "requests", "requests_failed"),
    *("outage_ms", "outage_error_ms", "detection_ms", "takeover_ms", "dual_owner_ms"),
}
SESSION = secrets.token_hex(2)
CALM_S = 30.0
LONGEST_S = 250.0  # of one command, images built and all


@dataclass(frozen=True)
class Outcome:
    """A finished labkit."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; anything beside it there is an error."""
        return json.loads(self.stdout)


@dataclass
class Recorder:
    """Progress that is kept."""

    steps: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        self.steps.append(text)

    def detail(self, text: str) -> None:
        pass


class Running:
    """A labkit in the background, its output read line by line, stderr among it."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            _command(*arguments),
            env=_environment(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a signal to the tests is none to it
            preexec_fn=_interruptible,  # noqa: PLW1509 - one system call, and no lock of any thread is needed for it
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def await_line(self, text: str, timeout_s: float = 200) -> None:
        """Returns as soon as a line with the text is there. Fails with the whole output if it ends without one."""

        def look() -> tuple[bool, bool]:
            ended = not self._reader.is_alive()
            return any(text in line for line in self.lines), ended

        seen, _ = wait_until(look, any, timeout_s, f"{text!r} is in labkit's output", lambda: self.output, every_s=0.01)
        assert seen, f"labkit ended before it said {text!r}:\n{self.output}"

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def finish(self, timeout_s: float = 120) -> Outcome:
        """Waits for its end; one that does not end is killed, and the test fails."""
        try:
            code = self._process.wait(timeout_s)
        finally:
            self._process.kill()
            self._reader.join()
        return Outcome(code, self.output, self.output)


def run_cli(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    largest_file: int | None = None,
    typed: str = "",
    timeout_s: float = LONGEST_S,
) -> Outcome:
    """labkit as a user runs it, in the present folder, to its end. largest_file: in bytes, that it may write.

    typed: what stands on its standard input, which then ends.
    """
    limit = ["prlimit", f"--fsize={largest_file}"] if largest_file else []
    done = subprocess.run(
        [*limit, *_command(*arguments)],
        env=_environment(env or {}),
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        input=typed,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "labkit", *arguments]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT), **more}


def _interruptible() -> None:
    """Where the tests run in a shell's background, SIGINT is ignored, and a child would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def complaint(outcome: Outcome, exit_code: int) -> str:
    """The one error message of a labkit that refused, as one line. It must have the exit code, and no traceback."""
    told = " ".join(outcome.stderr.split())
    assert outcome.exit_code == exit_code, told
    assert "Traceback" not in told
    assert told.count("labkit: ") == 1, told
    return told[told.index("labkit: ") :]


def named(what: str) -> str:
    """A lab's name that no other session of tests has, which may be at work on the same engine."""
    return f"e2e-{SESSION}-{what}"


def fast(name: str, **options: str | bool) -> Spec:
    """The default lab under another name, with timing that makes a test short; LABKIT_PLATFORM counts as it does for
    the command line."""
    platform = os.environ.get("LABKIT_PLATFORM")
    return Spec().with_options(name=name, platform=platform, keepalive="200ms", deadtime="1", **options)


@contextmanager
def swept(engine: Engine, name: str) -> Iterator[None]:
    """Whatever a test leaves of a lab is removed, so that it does not disturb the next one."""
    try:
        yield
    finally:
        lifecycle.remove(engine, name, Silent())


@contextmanager
def lab_up(engine: Engine, spec: Spec, progress: Recorder | None = None) -> Iterator[Lab]:
    """A lab on a free subnet and free ports. Afterwards it is removed, and must leave nothing."""
    with swept(engine, spec.name):
        yield lifecycle.up(engine, spec, Options(auto_ports=True, auto_subnet=True), progress or Silent()).lab
    left = leftovers(engine, spec.name)
    assert not left, left


def await_whole(lab: Lab) -> None:
    """Waits for the starting state of a corrected pair. Raises Unsettled, with what it is instead, on time-out."""
    first, second = lab.nodes
    lab.await_nodes(
        lambda now: (
            settled(now) and now[first].vip and not now[second].vip and now[first].apache2 and now[second].apache2
        ),
        f"both nodes are settled and serve, and {first} alone has the VIP",
        CALM_S,
    )
    wait_until(lab.owners, lambda owners: owners == [first], CALM_S, f"{first} alone answers ARP for the VIP")


def leftovers(engine: Engine, name: str) -> list[str]:
    """What there is of a lab, found without labkit's own gc: by label or by name, links on the host by either, too."""
    containers = engine.client.containers.list(all=True, ignore_removed=True)
    networks = engine.client.networks.list()
    found = [f"container {one.name}" for one in containers if _belongs(name, one.name, one.labels)]
    found += [f"network {one.name}" for one in networks if _belongs(name, one.name, one.attrs["Labels"])]
    found += [f"host link {link}" for link in _host_links(engine, name)]
    folder = access.folder(name)
    return found + ([f"folder {folder}"] if folder.exists() else [])


def _belongs(lab: str, name: str | None, labels: Mapping[str, str] | None) -> bool:
    ours = f"labkit-{lab}"
    return (labels or {}).get(LABEL) == lab or name == ours or str(name).startswith((f"{ours}-", f"{ours}_"))


def _host_links(engine: Engine, name: str) -> list[str]:
    image = lifecycle.helper_image(engine)
    if not image:
        return []  # without any of labkit's images nobody ever made a link
    try:
        told = engine.run_helper(image, "e2e-look", ["ip", "-j", "link", "show"], network_mode="host")
    except NotAvailable as error:
        raise AssertionError(f"cannot look at the host's links: {error}") from error
    links = json.loads(told)
    return [
        link["ifname"]
        for link in links
        if link["ifname"].startswith(link_name(name)) or link.get("ifalias") == f"{ALIAS}{name}"
    ]


def assert_valid_result(result: dict[str, Any]) -> None:
    """Holds a result to the shape that is promised, and to the published schema."""
    assert set(result) >= RESULT
    assert set(result["timing"]) == {"keepalive_ms", "deadtime_ms"}
    assert all(set(trial) >= TRIAL for trial in result["trials"])
    assert {"median", "min", "max", "p95"} <= set(result["summary"]["outage_ms"])
    assert all(set(check) == {"check", "verdict", "detail"} for check in result["checks"])
    if SCHEMA.exists():
        jsonschema.validate(result, json.loads(SCHEMA.read_text()))
