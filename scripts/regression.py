"""Holds a sweep of the catalogue to a committed baseline, so that a slower labkit is noticed.

    regression.py record SWEEP    baselines/PLATFORM.json: the outages of the sweep's cells, trial by trial
    regression.py check SWEEP     a Markdown table, also as SWEEP/regression.md

A fault has become slower where all of the interval of the difference (see docs/sweep.md) lies above TOLERANCE_MS: the
baseline's machine was another one. A cell that could not be run, or is not there, is a regression, too. Exit codes: 0
no regression, 1 a regression, 2 there is no baseline, 3 wrong use.
"""

import json
import sys
from pathlib import Path
from typing import Any

from labkit.campaign.sweep import SWEEP
from labkit.errors import BadInput
from labkit.history import header, read
from labkit.measure import Difference, difference, summarize
from labkit.plot import duration
from labkit.store import HISTORY, RESULT

BASELINES = Path(__file__).resolve().parents[1] / "baselines"
TABLE = "regression.md"
TOLERANCE_MS = 250.0

Cells = dict[str, list[float | None]]
"""Fault -> its outages in ms, a trial each; null where one was not measured."""


def cells(sweep: Path, timing: dict[str, float]) -> Cells:
    """The cells of a sweep that were run. Raises BadInput where one has another timing."""
    document = json.loads((sweep / SWEEP).read_text(encoding="utf-8"))
    done = [cell for cell in document["cells"] if cell["error"] is None]
    if any(cell["timing"] != timing for cell in done):
        raise BadInput(f"{sweep} has cells of another timing than {timing}")
    results = {cell["fault"]: _result(sweep / Path(cell["run"]).name) for cell in done}
    return {fault: [trial["outage_ms"] for trial in result["trials"]] for fault, result in results.items()}


def record(sweep: Path) -> dict[str, Any]:
    """A baseline: the outages, and what they were measured with."""
    run = next(sweep.glob(f"*/{HISTORY}")).parent
    head, result = header(read(run / HISTORY)), _result(run)
    return {
        "platform": result["platform"],
        "timing": result["timing"],
        "labkit": head["labkit"],
        "started": head["started"],
        "host": {name: head["host"].get(name) for name in ("system", "kernel", "engine", "cpus", "memory_mib")},
        "pairs": head.get("pairs", 1),
        "outages_ms": dict(sorted(cells(sweep, result["timing"]).items())),
    }


def compare(baseline: Cells, now: Cells) -> list[tuple[str, str, bool]]:
    """Fault, what became of it, and whether that is a regression; all faults of either side."""
    told = []
    for fault in sorted({*baseline, *now}):
        if fault not in now:
            told.append((fault, "not measured", True))
        elif fault not in baseline:
            told.append((fault, "new: not in the baseline", False))
        else:
            shift = difference(baseline[fault], now[fault])
            slower = shift.ci95 is not None and shift.ci95[0] > TOLERANCE_MS
            lost = summarize(now[fault]).missed > summarize(baseline[fault]).missed
            words = "an outage that did not end" if lost else "slower" if slower else _unremarkable(shift)
            told.append((fault, words, slower or lost))
    return told


def table(baseline: Cells, now: Cells) -> str:
    """The comparison in Markdown."""
    rows = ["| fault | baseline | now | difference, 95 % | |", "| --- | --- | --- | --- | --- |"]
    for fault, words, bad in compare(baseline, now):
        before, after = (duration(summarize(one.get(fault, [])).median) for one in (baseline, now))
        ends = difference(baseline.get(fault, []), now.get(fault, [])).ci95
        spread = f"{ends[0]:+.0f} to {ends[1]:+.0f} ms" if ends else "-"
        rows.append(f"| {fault} | {before} | {after} | {spread} | {f'**{words}**' if bad else words} |")
    return "\n".join(rows)


def _unremarkable(shift: Difference) -> str:
    slower = shift.finding == "slower"
    return f"slower, by less than {duration(TOLERANCE_MS)} for all that is known" if slower else shift.finding


def _result(run: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run / RESULT).read_text(encoding="utf-8"))
    return document


def check(sweep: Path) -> int:
    measured = record(sweep)
    path = BASELINES / f"{measured['platform']}.json"
    if not path.exists():
        print(f"{path} is not there: `make baseline` makes it from this sweep, once its figures are believed")
        return 2
    known = json.loads(path.read_text(encoding="utf-8"))
    before, now = known["outages_ms"], cells(sweep, known["timing"])
    told = (
        f"Against the baseline of {known['platform']} (labkit {known['labkit']}, {known['started'][:10]},"
        f" {known['host']['cpus']} CPUs; now {measured['host']['cpus']}):\n\n{table(before, now)}\n"
    )
    (sweep / TABLE).write_text(told, encoding="utf-8")
    print(told, end="")
    return int(any(bad for _, _, bad in compare(before, now)))


def main(arguments: list[str]) -> int:
    match arguments:
        case ["record", sweep]:
            baseline = record(Path(sweep))
            path = BASELINES / f"{baseline['platform']}.json"
            path.write_text(json.dumps(baseline, indent=1) + "\n", encoding="utf-8")
            print(f"{len(baseline['outages_ms'])} faults written to {path}")
            return 0
        case ["check", sweep]:
            return check(Path(sweep))
    print(__doc__, file=sys.stderr)
    return BadInput.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
