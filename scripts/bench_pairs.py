"""Measures what measuring costs, and whether several pairs at once measure what one alone does; prints both.

Reports, never asserts: figures belong to a machine. Run it on an otherwise idle one.
usage: python -m scripts.bench_pairs [PAIRS ...]
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from labkit import faults, runner, spec
from labkit.campaign.pairs import Pairs
from labkit.cluster import Lab, lifecycle
from labkit.engine import Engine
from labkit.errors import LabkitError
from labkit.history import Event, History
from labkit.judging import judge
from labkit.probe import Agent, Capture, LogFollower, Settings
from labkit.progress import Silent
from labkit.store import RunFolder
from labkit.timing import SECOND, now_ns, pause_until
from scripts.engine_cpu import engine_ns

NAME = "bench-pairs"
PAIRS = [int(word) for word in sys.argv[1:]] or [1, 10, 20]
LOOK_S = 20.0

out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def measured_spec() -> spec.Spec:
    return spec.default().with_options(name=NAME, keepalive="200ms", deadtime="1")


def used(lab: Lab) -> dict[str, int]:
    """CPU time in ns, by who used it."""
    nodes = [usage.cpu_ns for node in lab.nodes.values() if (usage := node.usage())]
    client = lab.client.usage()
    return {
        "nodes": sum(nodes),
        "probe, ARP watcher, capture": client.cpu_ns if client else 0,
        "engine, log following": engine_ns(),
        "labkit itself": time.process_time_ns(),
    }


def shares(lab: Lab) -> dict[str, float]:
    """What everybody uses over some seconds, in % of a CPU."""
    before, begun_ns = used(lab), now_ns()
    pause_until(begun_ns + int(LOOK_S * SECOND))
    after, took_ns = used(lab), now_ns() - begun_ns
    return {name: 100 * (after[name] - before[name]) / took_ns for name in after}


def cost_of_measuring(engine: Engine, folder: Path) -> Table:
    """One pair at rest, without and with everything that a run has to watch it."""
    options = lifecycle.Options(staged=False, watched=False, auto_ports=True, auto_subnet=True)
    lifecycle.remove(engine, NAME, Silent())
    try:
        lab = lifecycle.up(engine, measured_spec(), options, Silent()).lab
        at_rest = shares(lab)
        _, mib = lab.usage()
        history = History.create(folder / "history.jsonl")  # stays open: who follows a log ends with its node

        def note(*events: Event) -> None:
            history.append(*({**event, "trial": 1} for event in events))

        capture = Capture(lab)
        agent = Agent(lab, Settings(), lambda events: note(*events))
        followers = [LogFollower(node, lambda: agent.offset_ns, note) for node in lab.nodes.values()]
        watched = shares(lab)
        for follower in followers:
            follower.close()
        agent.close()
        capture.stop()
    finally:
        lifecycle.remove(engine, NAME, Silent())
    table = Table("% of a CPU, one pair", "at rest", "probed", "more", title=f"a pair takes {mib:.0f} MiB")
    more = {name: watched[name] - at_rest[name] for name in watched}
    for name in watched:
        table.add_row(name, f"{at_rest[name]:.1f}", f"{watched[name]:.1f}", f"{more[name]:.1f}")
    table.add_row("measuring: all but the nodes", "", "", f"{sum(more.values()) - more['nodes']:.1f}")
    return table


def campaign(engine: Engine, count: int, folder: Path) -> tuple[dict[str, Any], float, float]:
    """Its result, how long starting took, and how long the trials."""
    scenario = runner.Scenario(faults.fault("node-kill"), trials=max(10, 2 * count), seed=1)
    run = RunFolder.create(folder, f"pairs-{count}")
    begun_ns, starts_ns = now_ns(), []

    def watch(event: Event) -> None:
        if event["event"] == "trial-start":
            starts_ns.append(now_ns())

    with Pairs(engine, measured_spec(), count, Silent()) as pairs:
        try:
            pairs.run(measured_spec(), scenario, run, watch)
        except LabkitError as error:
            out.print(f"{count} pairs: not all trials were run: {str(error).splitlines()[0]}")
            if not starts_ns:
                raise
        ended_ns = now_ns()
    return judge(run), (min(starts_ns) - begun_ns) / SECOND, (ended_ns - min(starts_ns)) / SECOND


def main() -> None:
    engine = Engine.connect()
    out.print(f"{engine.facts.cpus} CPUs, load average {os.getloadavg()[0]:.1f} before")
    table = Table(
        "pairs", "trials", "median outage", "lowest", "highest", "against 1", "right", "flagged", "up", "trials took"
    )
    alone_ms = None
    with tempfile.TemporaryDirectory() as folder:
        out.print(cost_of_measuring(engine, Path(folder)))
        for count in PAIRS:
            result, up_s, took_s = campaign(engine, count, Path(folder))
            trials = result["trials"]
            outages_ms = [one["outage_ms"] for one in trials if one["outage_ms"] is not None]
            if not outages_ms:
                table.add_row(str(count), "no outage was measured")
                continue
            median_ms = statistics.median(outages_ms)
            alone_ms = alone_ms or median_ms
            right = sum(one["server_after"] == "slave-cluster" and not one["dual_owner_ms"] for one in trials)
            seconds = (f"{ms / 1000:.2f} s" for ms in (median_ms, min(outages_ms), max(outages_ms)))
            table.add_row(
                *(str(count), str(len(trials)), *seconds, f"{median_ms / alone_ms - 1:+.0%}"),
                *(f"{right}/{len(trials)}", str(len(result["flagged"])), f"{up_s:.0f} s", f"{took_s:.0f} s"),
            )
            flags = sorted({flag for one in trials for flag in one["flags"]})
            waited = [one["pressure"]["waited"] for one in trials if one["pressure"] and one["pressure"]["waited"]]
            out.print(f"{count} pairs: flags {', '.join(flags) or 'none'}; load average {os.getloadavg()[0]:.1f}")
            if waited:
                often, most = statistics.median(waited), max(waited)
                out.print(f"  somebody waited for a CPU in {often:.0%} of an outage (median), at most {most:.0%}")
    out.print(table)


if __name__ == "__main__":
    main()
