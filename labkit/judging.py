"""A run folder judged: history and capture -> result, checks and reports, needing neither Docker nor the lab. Rank 9.

The runner writes what happened; this reads it. Judging an old run again replaces its result and reports.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from labkit import checks, history, report
from labkit.errors import LabkitError
from labkit.measure import Assertion, result
from labkit.store import CAPTURE, RESULT, RunFolder, as_written
from labkit.wire import wire_events

REPORT = "report.html"


def judged(folder: RunFolder, run: Callable[[], None], asserted: Sequence[Assertion] = ()) -> dict[str, Any]:
    """Does a run and judges it. Whatever happens, what was measured is judged, too."""
    try:
        run()
    except BaseException:
        with suppress(LabkitError):  # the first trouble is the one to tell
            judge(folder, asserted)
        raise
    return judge(folder, asserted)


def judge(folder: RunFolder, asserted: Sequence[Assertion] = ()) -> dict[str, Any]:
    """Measures and judges a run, and writes result.json, report.html, report.md and junit.xml. Returns the result.

    asserted: what else must hold; each counts as a check of its own.
    Raises BadInput, with file and line, for a history that cannot be read, and for a capture that is none.
    """
    events = history.read(folder.history)
    with as_written(folder.history):
        events += wire_events(folder.path / CAPTURE, events)
        document = result(events, run=str(folder.path))
        document["checks"] = [asdict(judgement) for judgement in checks.judge_all(events)]
        for one in asserted:
            document["checks"].append(asdict(checks.Judgement(one.text, *one.judge(document["summary"]))))
        folder.write_json(RESULT, document)
        folder.write(REPORT, report.render_html(document, events, folder.rendered()))
        folder.write("report.md", report.render_markdown(document, events))
        folder.write("junit.xml", report.junit_xml(document))
    return document
