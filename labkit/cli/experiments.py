"""Failover measured, and what became of it: lab, failover, runs, report, judge."""

import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from labkit import faults, runner
from labkit.campaign.pairs import Pairs, admitted, opened
from labkit.cli.common import (
    RUNS,
    AssertOption,
    DeadtimeOption,
    FileOption,
    JsonOption,
    KeepaliveOption,
    LeastOption,
    MirrorOption,
    NameOption,
    ParallelOption,
    PlatformOption,
    PortsOption,
    Printed,
    ProfileOption,
    RunsOption,
    SubnetOption,
    answer,
    auto,
    auto_subnet,
    completed,
    err,
    lab_for,
    leave,
    out,
    pairs_asked,
    present_spec,
    progress,
    read_spec,
    worst,
)
from labkit.cli.show import Timeline, findings, in_language, outcome
from labkit.cluster import Lab, doctor, lifecycle
from labkit.cluster.look import look
from labkit.engine import Engine
from labkit.errors import BadInput, NotAvailable
from labkit.history import Event
from labkit.judging import REPORT, judge, judged
from labkit.measure import Assertion
from labkit.report import headline, verdict
from labkit.spec import Spec
from labkit.store import RESULT, RunFolder, as_written, runs

GUIDE_SCENE = "apache-stop"

FaultOption = Annotated[
    str,
    typer.Option(
        "--fault",
        help="What to break; `labkit faults` lists it. Parameters: loss:share=0.5.",
        autocompletion=completed(faults.all_faults),
    ),
]
TrialsOption = Annotated[int, typer.Option("--trials", min=1, max=10_000, help="How often.")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Draws the instant of each fault. Default: a new one, kept in the result.")
]
RunArgument = Annotated[Path, typer.Argument(help="A run's folder; `labkit runs` lists them.")]


def _measure(
    lab: Lab,
    scenario: runner.Scenario,
    root: Path,
    console: Console,
    disposable: bool,
    asserted: Sequence[Assertion] = (),
) -> dict[str, Any]:
    """One run with its timeline on the console, judged."""
    timeline = Timeline(console, scenario.trials, lab.macs())
    folder = RunFolder.create(root, scenario.fault.name)
    return judged(folder, lambda: runner.run(lab, scenario, folder, timeline.watch, disposable), asserted)


def failover(
    fault: FaultOption = GUIDE_SCENE,
    trials: TrialsOption = 1,
    seed: SeedOption = None,
    file: FileOption = None,
    name: NameOption = None,
    platform: PlatformOption = None,
    profile: ProfileOption = None,
    keepalive: KeepaliveOption = None,
    deadtime: DeadtimeOption = None,
    subnet: SubnetOption = None,
    ports: PortsOption = None,
    least: LeastOption = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the lab up that this command starts.")] = False,
    parallel: ParallelOption = "1",
    asserted: AssertOption = None,
    root: RunsOption = RUNS,
    as_json: JsonOption = False,
) -> None:
    """Breaks the pair and measures what a client sees, trial by trial; the lab is healed in between.

    Uses the lab that is up, or starts one and removes it again. Other settings make a lab that is up anew.

    Example: labkit failover --fault node-kill --trials 5 --keepalive 200ms --deadtime 1
    """
    scenario = runner.Scenario(faults.fault(fault), trials, random.randrange(2**31) if seed is None else seed)
    assertions = [Assertion.parse(text) for text in asserted or ()]
    pairs = pairs_asked(parallel)
    if pairs != 1 and keep:
        raise BadInput("--keep and --parallel do not go together: pairs of a parallel run are always removed")
    engine = Engine.connect()
    spec = read_spec(file, name, platform, profile, keepalive, deadtime, subnet, least, base=present_spec(engine, name))
    faults.require(spec, scenario.fault)
    options = lifecycle.Options(staged=False, auto_ports=auto("--ports", ports), auto_subnet=auto_subnet(subnet))
    console = err if as_json else out
    with progress(as_json) as shown:
        if pairs != 1:
            result = _shared(engine, spec, scenario, pairs, root, shown, assertions)
        else:
            with lab_for(engine, spec, options, shown, keep, by_hand=True) as (lab, disposable):
                result = _measure(lab, scenario, root, console, disposable, assertions)
    if as_json:
        answer(result)
    else:
        outcome(out, result, f"{result['run']}/{REPORT}")
    leave(verdict(result))


def _shared(
    engine: Engine,
    spec: Spec,
    scenario: runner.Scenario,
    count: int | None,
    root: Path,
    shown: Printed,
    asserted: Sequence[Assertion],
) -> dict[str, Any]:
    """One run whose trials several pairs share. count: None where the machine is to be asked how many."""

    def watch(event: Event) -> None:
        if event["event"] == "trial-end":
            shown.step(f"trial {event['trial']} of {scenario.trials} is done")

    count = count or admitted(engine, spec, scenario.trials, shown)
    with Pairs(engine, spec, count, shown) as pairs:
        folder = RunFolder.create(root, scenario.fault.name)
        shown.step(f"starting {min(count, scenario.trials)} pairs, {', '.join(pairs.names)}")
        return judged(folder, lambda: pairs.run(spec, scenario, folder, watch), asserted)


def lab(
    file: FileOption = None,
    platform: PlatformOption = None,
    fault: FaultOption = GUIDE_SCENE,
    trials: TrialsOption = 1,
    subnet: SubnetOption = None,
    ports: PortsOption = None,
    mirror: MirrorOption = "",
    remove: Annotated[bool, typer.Option("--down", help="Remove the lab at the end.")] = False,
    root: RunsOption = RUNS,
) -> None:
    """The main job: doctor, build, up, check, failover, report. The lab stays up to go on with.

    Example: labkit lab
    """
    scenario = runner.Scenario(faults.fault(fault), trials, random.randrange(2**31))
    spec = read_spec(file, platform=platform)
    faults.require(spec, scenario.fault)
    with progress(False) as shown:
        shown.step("looking at this host")
        symptoms = doctor.examine(spec)
        out.print(findings((one.check, one.state, one.detail) for one in symptoms))
        if any(one.state == "missing" for one in symptoms):
            raise NotAvailable("this host cannot run a lab; see what failed above")
        engine = Engine.connect()
        options = lifecycle.Options(
            staged=False,
            auto_ports=auto("--ports", ports),
            auto_subnet=auto_subnet(subnet),
            mirror=mirror,
        )
        with lab_for(engine, spec, options, shown, keep=not remove) as (present, disposable):
            shown.step("checking the pages")
            sights = look(present)
            out.print(findings(in_language(sights, "en")))
            shown.step(f"forcing a failover: {scenario.fault.describe}")
            result = _measure(present, scenario, root, out, disposable)
    outcome(out, result, f"{result['run']}/{REPORT}")
    if not remove:
        out.print(
            "The lab stays up: labkit status, labkit failover --fault node-kill, labkit ssh master-cluster; labkit down"
        )
    leave(worst([verdict(result), *(one.verdict for one in sights)]))


def stored(root: RunsOption = RUNS, as_json: JsonOption = False) -> None:
    """The stored runs, the oldest first, each with its result in one sentence.

    Example: labkit runs
    """
    document = [{"run": str(folder.path), **_in_short(folder)} for folder in runs(root)]
    if as_json:
        answer(document)
    for one in () if as_json else document:
        out.print(
            f"{one['run']}  {one['verdict'] or 'no result'}  {one['headline'] or ''}", soft_wrap=True, markup=False
        )
    if not document and not as_json:
        out.print(f"no runs under {root}; `labkit failover` makes one")


def _in_short(folder: RunFolder) -> dict[str, str | None]:
    """A run's verdict and its sentence; None for one that was cut short or whose result is damaged."""
    result = folder.result()
    with suppress(BadInput), as_written(folder.path / RESULT):
        if result:
            return {"verdict": verdict(result), "headline": headline(result)}
    return {"verdict": None, "headline": None}


def report(run: RunArgument, as_json: JsonOption = False) -> None:
    """A stored run's result, and where its report lies.

    Example: labkit report runs/20260102T030405Z-node-kill-1a2b
    """
    folder = opened(run)
    result = folder.result() or judge(folder)
    with as_written(folder.path / RESULT):
        word = verdict(result)
        if as_json:
            answer(result)
        else:
            outcome(out, result, str(folder.path / REPORT))
    leave(word)


def judge_again(run: RunArgument, asserted: AssertOption = None, as_json: JsonOption = False) -> None:
    """Measures and judges a stored run again, from its history alone: neither the lab nor Docker is needed.

    Example: labkit judge runs/20260102T030405Z-node-kill-1a2b
    """
    folder = opened(run)
    result = judge(folder, [Assertion.parse(text) for text in asserted or ()])
    if as_json:
        answer(result)
    else:
        outcome(out, result, str(folder.path / REPORT))
    leave(verdict(result))


def register(app: typer.Typer) -> None:
    """Adds the commands, in the order in which --help lists them."""
    app.command()(lab)
    app.command()(failover)
    app.command("runs")(stored)
    app.command()(report)
    app.command("judge")(judge_again)
