"""A result for people and for CI: a page, a summary and a list of test cases. Pure: text in, text out.

`result` is always the document that `labkit.measure.result` makes, with its checks filled in; `events` is the history
that it was made from. The texts stand in labkit/templates.
"""

import difflib
import html
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from labkit import plot
from labkit.heartbeat.times import show_ms
from labkit.history import Event, Trial, header, trials
from labkit.measure import PHASES, TrialMeasures, measure_trial

LOG_BEFORE_MS, LOG_AFTER_MS = 500.0, 2000.0
MOST_LOG_LINES = 150

Result = Mapping[str, Any]


def verdict(result: Result) -> str:
    """`fail` if any check failed, else `unknown` if any could not be judged or there is none, else `pass`."""
    verdicts = {check["verdict"] for check in result["checks"]}
    if "fail" in verdicts:
        return "fail"
    return "pass" if verdicts == {"pass"} else "unknown"


def headline(result: Result) -> str:
    """The whole result in one sentence."""
    done = [trial for trial in result["trials"] if trial["fault"] is not None]
    if not done:
        return f"{result['fault']}: no fault was injected, so there is nothing to tell; {_checks_in_words(result)}."
    where = _listed(trial["node"] for trial in done)
    return f"{result['fault']} on {where}: {_outage_in_words(result, done)}; {_checks_in_words(result)}."


def render_html(result: Result, events: Sequence[Event], files: Mapping[str, str]) -> str:
    """One self-contained page. `files` are the rendered files, path -> text; a path begins with its node's name."""
    run = header(events)
    shown = _median_trial(result, events)
    outages_ms = [trial["outage_ms"] for trial in result["trials"]]
    band = result["predicted"]["outage_ms"]
    widths_px = (plot.WIDE_PX, plot.NARROW_PX)
    timeline = [plot.timeline_svg(run, *shown, px) for px in widths_px] if shown else []
    distribution = [plot.distribution_svg(outages_ms, band, px) for px in widths_px] if len(outages_ms) > 1 else []
    account = _account(result, shown[1]) if shown else []
    medians_ms = {row["name"]: row["median_ms"] for row in account if row["median_ms"] is not None}
    waterfall = [plot.waterfall_svg(medians_ms, px) for px in widths_px]
    template = environment().get_template("report.html")
    return template.render(
        _context(result, run),
        shown=shown[1] if shown else None,
        log=_log_around(*shown) if shown else [],
        account=account,
        timeline=_pictures(timeline),
        waterfall=_pictures(waterfall),
        distribution=_pictures(distribution),
        configuration=_configuration(files, list(run.get("spec", {}).get("nodes", {}))),
        files=dict(sorted(files.items())),
    )


def render_markdown(result: Result, events: Sequence[Event]) -> str:
    """A summary that fits a CI job's page."""
    shown = _median_trial(result, events)
    context = _context(result, header(events))
    measures = shown[1] if shown else None
    account = _account(result, measures) if measures else []
    return environment().get_template("report.md").render(context, shown=measures, account=account)


def junit_xml(result: Result) -> str:
    """Each check as a test case: fail is a failure, and unknown an error, because nothing passes without evidence."""
    checks = result["checks"]
    counts = {name: sum(check["verdict"] == name for check in checks) for name in ("fail", "unknown")}
    suite = ElementTree.Element(
        "testsuite",
        name=f"labkit {result['fault']}",
        tests=str(len(checks)),
        failures=str(counts["fail"]),
        errors=str(counts["unknown"]),
    )
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", classname=f"labkit.{result['fault']}", name=check["check"])
        kind = {"fail": "failure", "unknown": "error"}.get(check["verdict"])
        if kind:
            ElementTree.SubElement(case, kind, message=_printable(check["detail"]))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _outage_in_words(result: Result, done: Sequence[Mapping[str, Any]]) -> str:
    summary = result["summary"]["outage_ms"]
    lost = sum(trial["server_after"] is None and not trial.get("cut_short") for trial in done)
    count = len(done)
    if summary["median"] is None:
        return "the VIP did not come back" if lost == count else "the outage was not measured"
    if summary["max"] == 0:
        words = f"no outage in {sum(trial['requests'] for trial in done):,} requests"
    else:
        words = f"the VIP was back after {plot.duration(summary['median'])}"
    if count > 1:
        words += f" (median of {summary['n']}{f' out of {count}' if summary['n'] < count else ''})"
    words += f", served by {_listed(t['server_after'] for t in done if t['server_after'])}"
    if busy := len(result.get("flagged", ())):
        words += f", on a machine that was too busy in {busy} of {count}" if count > 1 else ", on a busy machine"
    return words + (f", and did not come back in {lost} of {count} trials" if lost else "")


def _checks_in_words(result: Result) -> str:
    checks = result["checks"]
    if not checks:
        return "no checks were made"
    passed = sum(check["verdict"] == "pass" for check in checks)
    words = f"{passed} of {len(checks)} checks passed"
    for kind, name in (("fail", "failed"), ("unknown", "unknown")):
        if those := [check["check"] for check in checks if check["verdict"] == kind]:
            words += f", {name}: {', '.join(those)}"
    return words


def clocks_in_words(result: Result) -> str:
    """How wrong the clocks of several hosts make the figures; empty where all nodes have the client's clock."""
    errors_ms = [trial["clock_error_ms"] for trial in result["trials"] if trial.get("clock_error_ms") is not None]
    if not errors_ms:
        return ""
    return (
        f"The nodes ran on several hosts: detection, takeover, phases and steps may be wrong by ±{max(errors_ms):.2f}"
        f" ms, which is how well the hosts' clocks could be compared. The outage is the client's alone."
    )


def _listed(names: Iterable[str]) -> str:
    return " or ".join(sorted(set(names)))


def _median_trial(result: Result, events: Sequence[Event]) -> tuple[Trial, TrialMeasures] | None:
    """The trial whose outage is nearest to the median; the first with a fault where none was measured."""
    run = header(events)
    done = [(trial, measure_trial(run, trial)) for trial in trials(events) if trial.fault("inject")]
    median_ms = result["summary"]["outage_ms"]["median"]
    measured = [pair for pair in done if pair[1].outage_ms is not None]
    if median_ms is None or not measured:
        return done[0] if done else None
    return min(measured, key=lambda pair: abs((pair[1].outage_ms or 0.0) - median_ms))


def _log_around(trial: Trial, measures: TrialMeasures) -> list[dict[str, Any]]:
    """The nodes' log lines from shortly before the fault until shortly after the service was back.

    Only those with a marker where there are very many.
    """
    inject = trial.fault("inject")
    if inject is None:
        return []
    end_ms = max((step.t_ms for step in measures.steps), default=0.0) + LOG_AFTER_MS
    lines = [{**line, "t_ms": (line["t_ns"] - inject["before_ns"]) / 1e6} for line in trial.of("log")]
    lines = sorted((x for x in lines if -LOG_BEFORE_MS <= x["t_ms"] <= end_ms), key=lambda x: float(x["t_ms"]))
    return lines if len(lines) <= MOST_LOG_LINES else [line for line in lines if line.get("marker")]


def _account(result: Result, shown: TrialMeasures) -> list[dict[str, Any]]:
    """A row for each phase: what it tells, its median over the trials in which it was seen and their number, and when
    and where it was seen in the trial that is shown."""
    seen: dict[str, list[float]] = {}
    for phase in (phase for trial in result["trials"] for phase in trial["phases"] if phase["t_ms"] is not None):
        seen.setdefault(phase["name"], []).append(phase["t_ms"])
    return [
        {
            "name": phase.name,
            "meaning": PHASES[phase.name],
            "median_ms": median(seen[phase.name]) if phase.name in seen else None,
            "count": len(seen.get(phase.name, ())),
            "t_ms": phase.t_ms,
            "source": phase.source,
        }
        for phase in shown.phases
    ]


def _configuration(files: Mapping[str, str], nodes: Sequence[str]) -> list[dict[str, Any]]:
    """What the nodes' files have in common: name, size in bytes for each node that has it, lines that differ."""
    by_name: dict[str, dict[str, str]] = {}
    for path, text in sorted(files.items()):
        node, _, name = path.partition("/")
        if node in nodes:
            by_name.setdefault(name, {})[node] = text
    return [
        {
            "name": name,
            "sizes": {node: len(texts[node].encode()) for node in nodes if node in texts},
            "differ": _lines_that_differ(*texts.values()) if len(texts) == 2 else None,
        }
        for name, texts in by_name.items()
    ]


def _lines_that_differ(one: str, other: str) -> int:
    changes = difflib.SequenceMatcher(None, one.splitlines(), other.splitlines(), autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for kind, a, b, c, d in changes if kind != "equal")


def _context(result: Result, run: Event) -> dict[str, Any]:
    said = {"verdict": verdict(result), "headline": headline(result), "clocks": clocks_in_words(result)}
    return {"result": result, "run": run, **said}


def environment() -> Environment:
    """Where the texts of all pages come from, with what they need to show times."""
    found = Environment(
        loader=PackageLoader("labkit"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update(duration=plot.duration, time=show_ms, after=_after, cell=_cell, counts=_counts)
    return found


def _pictures(svgs: Sequence[str]) -> list[Markup]:
    """Pictures to put into a page as they are (matplotlib has escaped all text in them), without empty ones."""
    return [Markup(svg) for svg in svgs if svg]


def _after(ms: float) -> str:
    """An instant relative to the fault."""
    return f"{ms / 1000:+.3f} s"


def _counts(counts: Mapping[str, int] | None) -> str:
    """How many of each: `12 refused, 3 timeout`; a dash for none, or where nothing was counted."""
    return ", ".join(f"{count} {name}" for name, count in (counts or {}).items()) or "-"


def _cell(text: object) -> str:
    """Text for a cell of a Markdown table."""
    escaped = html.escape(" ".join(str(text).split()), quote=False)
    return "".join(f"\\{letter}" if letter in "\\`*_|[]" else letter for letter in escaped)


def _printable(text: str) -> str:
    """Text without the control characters that XML cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
