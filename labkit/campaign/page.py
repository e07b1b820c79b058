"""A sweep's report: one self-contained page with a heat map for each fault, and links to the cells' reports. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from labkit import plot
from labkit.judging import REPORT
from labkit.report import environment

Document = Mapping[str, Any]


def render(document: Document) -> str:
    """The page of a sweep. document: as `labkit sweep --json` answers; it may be incomplete."""
    cells = [{"hosts": [], **cell, "report": _report(cell), "apart": hosts_apart(cell)} for cell in document["cells"]]
    return (
        environment()
        .get_template("sweep.html")
        .render(sweep=document, cells=cells, headline=headline(document), maps=_maps(cells))
    )


def hosts_apart(cell: Document) -> bool:
    """Whether one of the hosts that share a cell is slower or faster than the others."""
    return any(host["finding"] in ("slower", "faster") for host in cell.get("hosts", ()))


def headline(document: Document) -> str:
    """The sweep in one sentence."""
    cells, parameters = document["cells"], document["parameters"]
    verdicts = Counter(cell["verdict"] for cell in cells)
    words = f"{verdicts['pass']} of {len(cells)} cells passed"
    for verdict, name in (("fail", "failed"), ("unknown", "are unknown"), ("error", "could not be run")):
        words += f", {verdicts[verdict]} {name}" if verdicts[verdict] else ""
    words += f", with {parameters['trials']} trials each"
    if skipped := len(document["skipped"]):
        words += f"; {skipped} {'timing is' if skipped == 1 else 'timings are'} impossible"
    return words + ("" if document["complete"] else "; more cells are to be measured") + "."


def _maps(cells: Sequence[Document]) -> list[dict[str, Any]]:
    """For each fault its picture, wide and narrow. All have the same colours, so that faults can be compared."""
    by_fault: dict[str, dict[plot.Timing, float | None]] = {}
    for cell in cells:
        timing = cell["timing"]["keepalive_ms"], cell["timing"]["deadtime_ms"]
        by_fault.setdefault(cell["fault"], {})[timing] = cell["summary"] and cell["summary"]["outage_ms"]["median"]
    top_ms = max((ms for medians in by_fault.values() for ms in medians.values() if ms), default=None)
    return [
        {
            "fault": fault,
            "pictures": [
                Markup(plot.heatmap_svg(medians, f"map-{number}", f"Median outages of {fault}", width_px, top_ms))
                for width_px in (plot.WIDE_PX, plot.NARROW_PX)
            ],
        }
        for number, (fault, medians) in enumerate(by_fault.items())
    ]


def _report(cell: Document) -> str:
    """Where a cell's report lies, seen from the page."""
    return f"{Path(cell['run']).name}/{REPORT}"
