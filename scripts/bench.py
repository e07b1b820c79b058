"""Measures the figures that the project holds itself to, on this machine, and prints them beside their targets.

Reports, never asserts: figures belong to a machine. Run it on an otherwise idle one. usage: bench.py [TRIALS]
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from labkit import faults, history, runner, spec
from labkit.cluster import Lab, lifecycle
from labkit.cluster.lab import settled
from labkit.engine import Engine, images
from labkit.judging import judge
from labkit.progress import Silent
from labkit.store import RunFolder
from labkit.timing import SECOND, now_ns

NAME = "bench"
TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 5

out = Console(highlight=False)
table = Table("figure", "target", "measured")


def seconds(act: Callable[[], object]) -> float:
    begun = now_ns()
    act()
    return (now_ns() - begun) / SECOND


def start(engine: Engine, options: lifecycle.Options) -> Lab:
    """Brings the lab up from nothing and notes when it answered and when it was settled."""
    lifecycle.remove(engine, NAME, Silent())
    asked = replace(options, auto_ports=True, auto_subnet=True)
    begun = now_ns()
    made = lifecycle.up(engine, spec.default().with_options(name=NAME), asked, Silent())
    made.lab.await_nodes(settled, "both nodes are settled")
    whole = (now_ns() - begun) / SECOND
    how = "staged" if options.staged else "together"
    target = "8 s (16 s at most)" if options.staged else "16 s"
    table.add_row(f"up, {how}: VIP answers", target, f"{made.milestones_ms['vip'] / 1000:.1f} s")
    table.add_row(f"up, {how}: settled, from the command on", "17 s" if not options.staged else "", f"{whole:.1f} s")
    return made.lab


def trials(lab: Lab, fault: str, folder: Path) -> dict[str, Any]:
    scenario = runner.Scenario(faults.fault(fault), TRIALS, seed=1)
    run = RunFolder.create(folder, fault)
    runner.run(lab, scenario, run, lambda event: None)
    result = judge(run)
    outages = [trial["outage_ms"] / 1000 for trial in result["trials"] if trial["outage_ms"] is not None]
    band = result["predicted"]["outage_ms"]
    inside = sum(band[0] <= 1000 * outage <= band[1] for outage in outages)
    targets = {"apache-stop": "median 2.0 s", "node-kill": f"all within {band[0] / 1000:.2f} to {band[1] / 1000:.2f} s"}
    table.add_row(
        f"outage, {fault}, {TRIALS} trials",
        targets.get(fault, ""),
        f"median {statistics.median(outages):.2f} s [{min(outages):.2f}-{max(outages):.2f}], {inside}/{TRIALS} in band",
    )
    requests = [event for event in history.read(run.history) if event["event"] == "request"]
    kept = sum(request["late_us"] <= 5000 for request in requests) / len(requests)
    table.add_row(f"requests within 5 ms of their slot, {fault}", "99%", f"{kept:.2%} of {len(requests)}")
    return result


def main() -> None:
    engine = Engine.connect()
    images.ensure(engine, "auto", Silent())
    for name, size in images.sizes_mb(engine).items():
        table.add_row(f"image {name}", "260 MB" if name.startswith("labkit/node") else "", f"{size:.0f} MB")
    try:
        start(engine, lifecycle.Options(staged=True))
        lab = start(engine, lifecycle.Options(staged=False))
        with tempfile.TemporaryDirectory() as folder:
            for fault in faults.all_faults():
                out.print(f"{fault} ...")
                trials(lab, fault, Path(folder))
        took = seconds(lambda: lifecycle.remove(engine, NAME, Silent()))
        table.add_row("down", "", f"{took:.1f} s")
    finally:
        lifecycle.remove(engine, NAME, Silent())
    out.print(table)


if __name__ == "__main__":
    main()
