"""The catalogue, and faults by hand: faults, inject, heal."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labkit import faults as catalogue
from labkit.cli.common import (
    RUNS,
    FileOption,
    JsonOption,
    NameOption,
    RunsOption,
    answer,
    completed,
    lab_name,
    out,
    progress,
    read_spec,
)
from labkit.cli.show import markup
from labkit.cluster import Lab, lifecycle
from labkit.engine import Engine
from labkit.errors import BadInput
from labkit.faults import Expectation, Fault
from labkit.plot import duration
from labkit.spec import Spec
from labkit.store import RESULT, as_written, runs
from labkit.timing import MS

FaultArgument = Annotated[
    str,
    typer.Argument(
        metavar="FAULT",
        help="What to break; `labkit faults` lists it. Parameters: loss:share=0.5.",
        autocompletion=completed(catalogue.all_faults),
    ),
]


def faults(file: FileOption = None, root: RunsOption = RUNS, as_json: JsonOption = False) -> None:
    """What can be broken, what is then expected of the pair with the timing of lab.yaml (or else the guide's), and what
    the newest stored run of each has measured.

    Example: labkit faults
    """
    spec = read_spec(file)
    last = _last_measured(root)
    document = [_entry(one, spec, last.get(one.name)) for one in catalogue.all_faults().values()]
    if as_json:
        answer(document)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("fault", "expected", "outage predicted", "last measured", "what it does"):
        table.add_column(column, no_wrap=column != "what it does")
    for row in document:
        table.add_row(
            f"[bold]{row['name']}[/bold]", _outcome(row), _band(row["outage_ms"]), _measured(row["last"]),
            markup(row["describe"] + _settings(row["parameters"]) + _needs(row["needs"])),
        )  # fmt: skip
    out.print(table)
    timing = spec.timing
    out.print(f"Expected with keepalive {timing.keepalive}, deadtime {timing.deadtime}, profile {spec.profile}.")


def _entry(fault: Fault, spec: Spec, last: dict[str, Any] | None) -> dict[str, Any]:
    expected = catalogue.expect(fault, spec)
    return {
        "name": fault.name,
        "describe": fault.describe,
        "parameters": dict(catalogue.parameters(fault)),
        "needs": dict(catalogue.needs(fault)),
        **_plain(expected),
        "last": last,
    }


def _plain(expected: Expectation) -> dict[str, Any]:
    band = expected.outage_ms
    return {
        "moves": expected.moves,
        "dual_owner": expected.dual_owner,
        "outage_ms": None if band is None else list(band),
        "why": expected.why,
    }


def _last_measured(root: Path) -> dict[str, dict[str, Any]]:
    """Fault -> the newest stored run in which its outage was measured, in short."""
    found: dict[str, dict[str, Any]] = {}
    for folder in runs(root):
        result = folder.result()
        with suppress(BadInput), as_written(folder.path / RESULT):  # one damaged run is no reason to tell nothing
            if result and result["summary"]["outage_ms"]["median"] is not None:
                about = {name: result[name] for name in ("run", "platform", "profile", "timing")}
                last = {**about, "outage_ms": result["summary"]["outage_ms"]}
                _measured(last)  # it can be told
                found[result["fault"]] = last
    return found


def _outcome(expected: dict[str, Any]) -> str:
    words = "moves" if expected["moves"] else "stays"
    return f"{words}, two owners" if expected["dual_owner"] else words


def _settings(parameters: dict[str, Any]) -> str:
    return f" ({', '.join(f'{name}={one.default:g}' for name, one in parameters.items())})" if parameters else ""


def _needs(needs: dict[str, str]) -> str:
    return f" (not with --least-privilege: needs {', '.join(needs)})" if needs else ""


def _band(band: list[float] | None) -> str:
    if band is None:
        return "no band"
    return "none" if band == [0.0, 0.0] else f"{duration(band[0])} to {duration(band[1])}"


def _measured(last: dict[str, Any] | None) -> str:
    if last is None:
        return "-"
    timing, outage = last["timing"], last["outage_ms"]
    at = f"at {duration(timing['keepalive_ms'])}/{duration(timing['deadtime_ms'])}"
    return f"{duration(outage['median'])} (n={outage['n']}, {at})"


def inject(
    fault: FaultArgument,
    node: Annotated[str | None, typer.Option("--node", help="Where. Default: the node that has the VIP.")] = None,
    name: NameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Injects one fault into the lab that is up, and leaves it so: look around, then `labkit heal`.

    Example: labkit inject partition
    """
    chosen = catalogue.fault(fault)
    engine = Engine.connect()
    name = lab_name(name)
    with progress(as_json) as shown, lifecycle.changing(engine, name, shown):
        lab = lifecycle.require(engine, name)
        where = node or _active(lab)
        lab.node(where)
        left = catalogue.unhealed(lab)
        if chosen.name in left:
            raise BadInput(f"{chosen.name} was injected on {left[chosen.name]} already; `labkit heal` comes first")
        expected = _plain(catalogue.expect(chosen, lab.spec))
        bracket = catalogue.inject(lab, chosen, where)
    if as_json:
        answer({"fault": chosen.name, "node": where, **bracket._asdict(), "expected": expected})
        return
    took_ms = (bracket.after_ns - bracket.before_ns) / MS
    out.print(f"{chosen.name} on {where}, within {duration(took_ms)}: {markup(chosen.describe)}", soft_wrap=True)
    out.print(
        f"expected: the service {_outcome(expected)}; outage predicted: {_band(expected['outage_ms'])}. "
        f"{markup(expected['why'])}",
        soft_wrap=True,
    )
    out.print("`labkit status` and `labkit check` show what became of it; `labkit heal` undoes it.")


def _active(lab: Lab) -> str:
    owners = lab.owners()
    if len(owners) != 1 or owners[0] not in lab.nodes:
        has = " and ".join(owners) or "nobody"
        raise BadInput(
            f"{has} answers for the VIP, so say which node to strike: --node {' or --node '.join(lab.nodes)}"
        )
    return owners[0]


def heal(name: NameOption = None, as_json: JsonOption = False) -> None:
    """Undoes every fault that was injected and not healed, also by a command that was killed, and brings the lab back
    to its starting state: both nodes serve, and the preferred one has the VIP. Harmless if nothing is broken.

    Example: labkit heal
    """
    engine = Engine.connect()
    name = lab_name(name)
    with progress(as_json) as shown, lifecycle.changing(engine, name, shown):
        lab = lifecycle.require(engine, name)
        healed = catalogue.heal_left(lab)
        for fault, node in healed.items():
            shown.step(f"healed: {fault} on {node}")
        shown.step("waiting until both nodes are settled and serve")
        lab.restore()
    if as_json:
        answer({"healed": [{"fault": fault, "node": node} for fault, node in healed.items()]})
    else:
        out.print("the lab is whole" if healed else "nothing was left to heal; the lab is whole")


def register(app: typer.Typer) -> None:
    """Adds the commands, in the order in which --help lists them."""
    app.command()(faults)
    app.command()(inject)
    app.command()(heal)
