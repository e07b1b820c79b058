"""Many runs with one question: sweep, compare, tune."""

import random
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from rich.table import Table

from labkit import faults
from labkit.campaign.compare import compare as compared
from labkit.campaign.grid import listed
from labkit.campaign.pairs import Pairs, admitted, opened
from labkit.campaign.shares import merge as merge_shards
from labkit.campaign.sweep import ERROR, PAGE, Sweep
from labkit.campaign.tune import Search, require_dependence
from labkit.campaign.tune import tune as tuned
from labkit.checks import Judgement
from labkit.cli.common import (
    EXIT,
    RUNS,
    AssertOption,
    FileOption,
    JsonOption,
    LeastOption,
    MirrorOption,
    NameOption,
    ParallelOption,
    PlatformOption,
    ProfileOption,
    RunsOption,
    answer,
    cluster_extra,
    leave,
    out,
    pairs_asked,
    progress,
    read_spec,
    worst,
)
from labkit.cli.show import findings, interval, sign
from labkit.engine import Engine
from labkit.errors import BadInput, LabkitError
from labkit.heartbeat.times import show_ms
from labkit.history import Event, header, read
from labkit.measure import Assertion, parse_duration, result
from labkit.plot import duration
from labkit.runner import Scenario
from labkit.spec import Spec
from labkit.store import RunFolder, as_written

ALL = "all"
VERDICTS = {"slower": "fail", "faster": "pass", "no different": "pass", "unknown": "unknown"}


def sweep(
    keepalive: Annotated[str | None, typer.Option("--keepalive", help="Times, separated by commas: 200ms,1,2.")] = None,
    deadtime: Annotated[str | None, typer.Option("--deadtime", help="Times, separated by commas.")] = None,
    fault: Annotated[str | None, typer.Option("--fault", help="Faults, separated by commas, or all.")] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, max=10_000, help="How often in each cell; 5 if nothing is said.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="As for failover; the same for all cells.")] = None,
    parallel: ParallelOption | None = None,
    shard: Annotated[
        str | None, typer.Option("--shard", help="i/N: every N-th trial of each cell, for `labkit merge`.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="tcp://ADDRESS:PORT: on the workers of that Dask scheduler.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="With --scheduler: trials handed out at once.")] = 2,
    shared: Annotated[
        Path | None, typer.Option("--shared", help="With --scheduler: where workers leave runs; all see it.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Folder of a sweep that is to go on with what is missing.")
    ] = None,
    file: FileOption = None,
    name: NameOption = None,
    platform: PlatformOption = None,
    profile: ProfileOption = None,
    least: LeastOption = False,
    mirror: MirrorOption = "",
    root: Annotated[Path, typer.Option("--runs", help="Folder in which the sweep's own folder is made.")] = RUNS,
    as_json: JsonOption = False,
) -> None:
    """Measures a grid of timings and faults, cell by cell, on labs of its own. Ctrl-C keeps the cells that are done.

    Example: labkit sweep --keepalive 200ms,1 --deadtime 1,3,5 --fault node-kill,apache-kill --trials 10
    """
    if scheduler is not None and parallel is not None:
        raise BadInput("--parallel: how many pairs are at work is the workers' own --pairs; leave one of the two out")
    asked: dict[str, Any] = {
        "keepalive": listed("--keepalive", keepalive) if keepalive is not None else None,
        "deadtime": listed("--deadtime", deadtime) if deadtime is not None else None,
        "trials": trials,
        "seed": seed,
        "parallel": None if parallel is None else pairs_asked(parallel),
        "shard": shard,
    }
    if resume is None:
        spec = read_spec(file, name or "sweep", platform, profile, least=least)
        if scheduler is not None:
            _require_workers_can(spec)
        one = Sweep.new(root, spec, asked | {"faults": faults_asked(fault, not spec.privileged)})
    else:
        one = Sweep.resumed(resume, asked | {"faults": faults_asked(fault, least)})
        spec = one.parameters.spec
        options = {"name": name, "platform": platform, "profile": profile, "privileged": False if least else None}
        if file is not None or spec.with_options(**options) != spec:
            raise BadInput(f"{resume} has its own lab; leave out --file, --name, --platform, --profile and the like")
        if scheduler is not None:
            _require_workers_can(spec)
    with progress(as_json) as shown:
        trials = len(one.parameters.numbers)
        shown.step(f"{len(one.cells)} cells of {trials} trials; the sweep's folder is {one.folder.path}")
        for skipped in one.skipped:
            shown.step(f"skipped {skipped}")
        try:
            if scheduler is not None:
                with cluster_extra():
                    from labkit.campaign.cluster import Cluster
                with Cluster(scheduler, shown) as cluster:
                    cluster.run(one, batch, shared)
            else:
                engine = Engine.connect()
                if parallel == "auto" and resume is None:
                    count = admitted(engine, one.cells[0].spec, trials, shown, mirror)
                    one.parameters = replace(one.parameters, parallel=count)
                with Pairs(engine, one.parameters.spec, one.parameters.parallel, shown, mirror) as pairs:
                    one.run(pairs, shown)
        except (KeyboardInterrupt, LabkitError):
            shown.step(f"{len(one.done)} of {len(one.cells)} cells are done; `labkit sweep --resume {one.folder.path}`")
            raise
    _leave(one, as_json)


def merge(
    folders: Annotated[list[Path], typer.Argument(help="The folders of all shards of a sweep, in any order.")],
    root: Annotated[Path, typer.Option("--runs", help="Folder in which the sweep's own folder is made.")] = RUNS,
    as_json: JsonOption = False,
) -> None:
    """Makes one sweep of those that `labkit sweep --shard` measured elsewhere. Needs no Docker.

    Example: labkit merge shards/*
    """
    with progress(as_json) as shown:
        merged = merge_shards(root, folders, shown)
    _leave(merged, as_json)


def _leave(sweep: Sweep, as_json: bool) -> NoReturn:
    """Ends the command with a sweep's answer and the exit code of its worst cell."""
    document = sweep.document()
    if as_json:
        answer(document)
    else:
        out.print(_cells(document))
        out.print(f"report: {escape(str(sweep.folder.path / PAGE))}", soft_wrap=True)
    verdicts = [cell["verdict"] for cell in document["cells"]]
    raise typer.Exit(LabkitError.exit_code if ERROR in verdicts else EXIT[worst(verdicts)])


def _require_workers_can(spec: Spec) -> None:
    """Raises BadInput for a service of the user's own: its files are here, and a worker would look for its own."""
    if spec.service.given:
        raise BadInput(
            "service: its files are on this machine alone, and workers do not get them; leave `service` out, or share"
            " the sweep with --shard, where each machine has the files"
        )


def faults_asked(text: str | None, least: bool = False) -> tuple[str, ...] | None:
    """all: but for those that need more than the least privileges, where the nodes have no more."""
    if text == ALL:
        return tuple(name for name, fault in faults.all_faults().items() if not (least and faults.needs(fault)))
    return None if text is None else listed("--fault", text)


def _cells(document: dict[str, Any]) -> Table:
    table = Table()
    for column in ("fault", "keepalive", "deadtime", "median outage", "95 % interval", "lowest", "highest", "verdict"):
        table.add_column(column, justify="left" if column in ("fault", "verdict") else "right")
    for cell in document["cells"]:
        timing = (show_ms(cell["timing"][name]) for name in ("keepalive_ms", "deadtime_ms"))
        outage = cell["summary"]["outage_ms"] if cell["summary"] else dict.fromkeys(("median", "ci95", "min", "max"))
        spread = (duration(outage[name]) for name in ("min", "max"))
        table.add_row(
            *(cell["fault"], *timing, duration(outage["median"]), interval(outage), *spread),
            sign(cell["verdict"])
            + (f" [yellow]{len(cell['flagged'])} flagged[/yellow]" if cell.get("flagged") else ""),
        )
    return table


def compare(
    a: Annotated[Path, typer.Argument(help="A run's folder: what is compared with.")],
    b: Annotated[Path, typer.Argument(help="Another one: is it slower?")],
    anyway: Annotated[bool, typer.Option("--anyway", help="Compare different faults or profiles, too.")] = False,
    asserted: AssertOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tells whether the outages of run B are longer than those of run A, by how much, and how sure that is.

    Example: labkit compare runs/20260102T030405Z-node-kill-1a2b runs/20260102T040506Z-node-kill-3c4d
    """
    assertions = [Assertion.parse(text) for text in asserted or ()]
    sides = _side(a), _side(b)
    with as_written(f"{a} or {b}"):
        document = compared(*sides, anyway)
        document["checks"] = [asdict(Judgement(one.text, *one.judge(document["b"]["summary"]))) for one in assertions]
        if as_json:
            answer(document)
        else:
            _tell(document)
    leave(worst([VERDICTS[document["b_is"]], *(check["verdict"] for check in document["checks"])]))


def _side(run: Path) -> tuple[dict[str, Any], Event]:
    """A run's result, made anew by the present rules, and the header of its history."""
    folder = opened(run)
    events = read(folder.history)
    with as_written(folder.history):
        return result(events, str(run)), header(events)


def _tell(document: dict[str, Any]) -> None:
    table = Table()
    for column in ("", "run", "timing", "trials", "median outage", "95 % interval"):
        table.add_column(column, overflow="fold")
    for side in ("a", "b"):
        one = document[side]
        timing = " / ".join(show_ms(one["timing"][name]) for name in ("keepalive_ms", "deadtime_ms"))
        outage = one["summary"]["outage_ms"]
        table.add_row(side.upper(), one["run"], timing, str(outage["n"]), duration(outage["median"]), interval(outage))
    out.print(table)
    for warning in document["warnings"]:
        out.print(f"[yellow]differs:[/yellow] {escape(warning)}", soft_wrap=True)
    shift = document["difference_ms"]
    if shift["median"] is None:
        out.print("[bold]no outage was measured in one of the runs[/bold]")
        return
    told = f"B is {document['b_is']}" if document["b_is"] != "unknown" else "too few trials to tell whether B is slower"
    out.print(
        f"[bold]{told}[/bold]: difference {shift['median']:+.0f} ms, 95 % interval {_signed(shift['ci95'])}; in"
        f" {document['probability_b_slower']:.0%} of all pairs of trials B's outage is the longer one",
        soft_wrap=True,
    )
    out.print(findings((one["check"], one["verdict"], one["detail"]) for one in document["checks"]))


def _signed(ends_ms: list[float] | None) -> str:
    return f"{ends_ms[0]:+.0f} to {ends_ms[1]:+.0f} ms" if ends_ms else "none"


def tune(
    outage: Annotated[str, typer.Option("--outage", help="The target, as in 3s or 1500ms.")],
    fault: Annotated[str, typer.Option("--fault", help="What is to be survived so fast.")] = "node-kill",
    trials: Annotated[int, typer.Option("--trials", min=1, max=10_000, help="How often with each deadtime.")] = 5,
    steps: Annotated[int, typer.Option("--steps", min=1, max=100, help="So many deadtimes are tried at most.")] = 6,
    watch: Annotated[float, typer.Option("--watch", min=1, help="Seconds to look for false failovers, at least.")] = 60,
    seed: Annotated[int | None, typer.Option("--seed", help="As for failover.")] = None,
    parallel: ParallelOption = "1",
    file: FileOption = None,
    name: NameOption = None,
    platform: PlatformOption = None,
    profile: ProfileOption = None,
    least: LeastOption = False,
    mirror: MirrorOption = "",
    root: RunsOption = RUNS,
    as_json: JsonOption = False,
) -> None:
    """Finds the largest deadtime that keeps the outage under a target, and how often it fails over falsely under load.

    Example: labkit tune --outage 3s
    """
    search = Search(parse_duration(outage), steps, watch)
    spec = read_spec(file, name or "tune", platform, profile, least=least)
    scenario = Scenario(faults.fault(fault), trials, random.randrange(2**31) if seed is None else seed)
    faults.require(spec, scenario.fault)
    require_dependence(spec, scenario.fault)
    count = pairs_asked(parallel)
    engine = Engine.connect()
    with progress(as_json) as shown:
        count = count or admitted(engine, spec, trials, shown, mirror)
        with Pairs(engine, spec, count, shown, mirror) as pairs:
            document = tuned(pairs, spec, scenario, search, RunFolder.create(root, "tune"), shown)
    if as_json:
        answer(document)
    else:
        out.print("\n".join(document["sentences"]), soft_wrap=True)
    leave("fail" if document["timing"] is None else "pass")


def register(app: typer.Typer) -> None:
    """Adds the commands, in the order in which --help lists them."""
    app.command()(sweep)
    app.command()(merge)
    app.command()(compare)
    app.command()(tune)
