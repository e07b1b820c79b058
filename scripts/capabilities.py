"""Takes each capability away from the kind of container that has it, and says what of a lab breaks then.

A lab with least privileges for each: up; then `labkit check`, SSH and one measured failover; and where all that works,
every fault injected, seen and healed. Then a table in Markdown for docs/least-privilege.md. Measures nothing; on a busy
machine what breaks without any capability taken away (`none`), or says that it gave up, is tried again alone.

usage: capabilities.py [KIND[:CAPABILITY]]...   (as in node:KILL; nothing for all of them, `none` for the whole sets)
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

from labkit import faults, runner
from labkit.cluster import Lab, access, lifecycle
from labkit.cluster.lab import settled
from labkit.cluster.look import look
from labkit.engine import Engine, grants
from labkit.engine.network import MACVLAN
from labkit.errors import LabkitError
from labkit.judging import judge
from labkit.progress import Silent
from labkit.spec import Spec
from labkit.store import RunFolder
from labkit.timing import wait_until

PAIRS = 2  # at once: most of the time is waiting
LINES = 10_000  # of a container's output, which nodes copy their log to
REFUSED = ("Operation not permitted", "Permission denied")
PATIENCE_S = 60.0  # for a move that is expected
MEASURED = "node-kill"
NOISE = {"cadence-kept", "machine-quiet", "within-predicted-band"}  # what these say is this machine's affair

Case = tuple[str, str]  # kind of container, and the capability that it has to do without; empty for none


def cases(wanted: list[str]) -> list[Case]:
    every = [("none", "")] + [(kind, name) for kind, names in grants.LEAST.items() for name in names]
    return [one for one in every if not wanted or one[0] in wanted or ":".join(one) in wanted]


def broken(case: Case) -> list[str]:
    """What breaks in a lab without a capability: nothing if it is not needed."""
    kind, name = case
    rest = {kind: tuple(one for one in grants.LEAST[kind] if one != name)} if name else {}
    with patch.dict(grants.LEAST, rest):
        engine = Engine.connect()
        lab_name = "-".join(["cap", kind, name.lower().replace("_", "-")]).rstrip("-")
        spec = Spec().with_options(name=lab_name, keepalive="1", deadtime="4", privileged=False)
        options = lifecycle.Options(staged=False, auto_ports=True, auto_subnet=True)
        try:
            lab = lifecycle.up(engine, spec, options, Silent()).lab
            return [f"{what}: {first_line(trouble)}" for what, trouble in troubles(lab)]
        except LabkitError as error:
            return [f"up: {first_line(error)}"]
        finally:
            lifecycle.remove(engine, lab_name, Silent())


def first_line(trouble: object) -> str:
    """What went wrong, and what it was that said so: an error's first line and its last."""
    lines = str(trouble).splitlines()
    return lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1].strip()}"


def troubles(lab: Lab) -> list[tuple[str, object]]:
    """What does not work, and how it failed: of what every lab needs, and if that is nothing, of the faults."""
    return list(basic(lab)) or list(catalogue(lab))


def basic(lab: Lab) -> Iterator[tuple[str, object]]:
    if lab.network != MACVLAN:
        yield "up", "a bridge network in place of macvlan"
    for part in (*lab.nodes.values(), lab.client, lab.gateway):
        said = part.log_tail(LINES).splitlines()
        yield from (("boot", line) for line in said if any(word in line for word in REFUSED))
    yield from (("check", sight.check.en) for sight in look(lab) if sight.verdict != "pass")
    for node in lab.nodes:
        config = access.folder(lab.name, lab.engine.identity) / "ssh_config"
        tried = subprocess.run(["ssh", "-F", config, node, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            yield "ssh", tried.stderr.strip() or f"exit code {tried.returncode}"
    try:
        yield from (("failover", trouble) for trouble in measured(lab))
    except LabkitError as error:
        yield "failover", error
    if lab.client.run("ip", "link", "show", "watch0").exit_code:
        yield "failover", "the ARP watcher has no link of its own"


def catalogue(lab: Lab) -> Iterator[tuple[str, object]]:
    for fault in faults.all_faults().values():
        if faults.needs(fault):
            continue  # it is refused
        try:
            strike(lab, fault)
        except LabkitError as error:
            yield fault.name, error


def measured(lab: Lab) -> list[str]:
    """The checks that a measured failover does not pass."""
    with tempfile.TemporaryDirectory() as root:
        folder = RunFolder.create(Path(root), MEASURED)
        runner.run(lab, runner.Scenario(faults.fault(MEASURED), seed=1), folder, lambda _: None)
        result = judge(folder)
    return [
        f"{one['check']}: {one['detail']}"
        for one in result["checks"]
        if one["verdict"] != "pass" and one["check"] not in NOISE
    ]


def strike(lab: Lab, fault: faults.Fault) -> None:
    """Injects a fault, waits until the service is where it should be then, heals. Raises LabkitError if it is not."""
    lab.restore()
    lab.await_nodes(settled, "both nodes are settled")
    preferred = lab.spec.preferred
    home = fault.name == "failback"  # its preparation has moved the service away
    server = preferred if home or not fault.expect(lab.spec).moves else lab.spec.peer_of(preferred)
    faults.inject(lab, fault, preferred)
    try:
        wait_until(lambda: lab.status(server), lambda now: now.vip, PATIENCE_S, f"{server} has the VIP")
        lab.await_page(lab.vip, "the VIP answers")
    finally:
        faults.heal(lab, fault, preferred)
        lab.restore()


def main() -> None:
    asked = cases(sys.argv[1:])
    print("| container | without | what breaks |\n| --- | --- | --- |")
    with ProcessPoolExecutor(PAIRS, get_context("spawn")) as pool:
        for (kind, name), found in zip(asked, pool.map(broken, asked), strict=True):
            print(f"| {kind} | {name} | {'<br>'.join(found) or 'nothing'} |", flush=True)


if __name__ == "__main__":
    main()
