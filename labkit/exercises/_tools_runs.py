"""For exercises in which the student measures: the run that he names, and the figures that he reads from it."""

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from labkit import history
from labkit.errors import BadInput
from labkit.exercises import NO_ANSWER, Facts, Judged, Pair, Seen
from labkit.language import Text, same
from labkit.store import HISTORY, RunFolder

FAULT = "node-kill"
MEASURED = "measured"  # the name of the student's run among those that are kept
NEAR_S, NEAR_SHARE = 0.02, 0.02  # how far an answer may be off: reports round
SECONDS = re.compile(r"(?P<number>\d+(?:[.,]\d+)?)\s*(?P<unit>ms|s|)")
WRONG = {
    "none": Text("no run is named yet", "todavía no se ha nombrado ninguna ejecución"),
    "missing": Text("there is no such run; name its whole path", "no hay tal ejecución; dé su ruta completa"),
    "damaged": Text("its history cannot be read", "su historial no se puede leer"),
    "another fault": Text("it is a run of another fault", "es una ejecución de otro fallo"),
    "another pair": Text(
        "it is of another pair, or of another configuration than the nodes have now (do both run?)",
        "es de otra pareja, o de otra configuración que la que los nodos tienen ahora (¿funcionan ambos?)",
    ),
    "cut short": Text("it did not come to its end, or nothing moved", "no llegó a su fin, o nada se movió"),
}


def look(pair: Pair, files: Sequence[str]) -> Facts:
    """Who this pair is, by its addresses and the digests of these files, and the run that the student names, whose
    history is kept as the trial MEASURED. wrong: why not, a key of WRONG. authkeys tells any two pairs apart."""
    given = pair.answers.get("run", "").strip()
    return {
        "macs": {node: mac for mac, node in pair.lab.macs().items()},
        "config": {
            node: {path: sha256((pair.read(node, path) or "").encode()).hexdigest() for path in files}
            for node in pair.lab.nodes
        },
        "wrong": _take(pair, given) if given else "none",
    }


def _take(pair: Pair, given: str) -> str | None:
    places = (Path(given).expanduser(), pair.runs / given, Path("runs") / given)
    folder = next((place for place in places if (place / HISTORY).is_file()), None)
    if folder is None:
        return "missing"
    try:
        run = RunFolder.open(folder)
        events = history.read(run.history)
        if history.header(events)["fault"] != FAULT:
            return "another fault"
    except BadInput:
        return "damaged"
    if not history.trials(events):
        return "cut short"
    pair.made[MEASURED] = run
    return None


def wrong(seen: Seen) -> str | None:
    """What keeps the named run from counting, a key of WRONG, or None."""
    trial = seen.trial(MEASURED)
    if seen.facts["wrong"] or trial is None:
        return str(seen.facts["wrong"])
    run = history.header(seen.runs[MEASURED])
    here = all(
        run.get("macs", {}).get(node) == seen.facts["macs"].get(node)
        and digests.items() <= run.get("config", {}).get(node, {}).items()
        for node, digests in seen.facts["config"].items()
    )
    if not here:
        return "another pair"
    whole = trial["cost"] and None not in (trial["outage_ms"], trial["detection_ms"], trial["takeover_ms"])
    return None if whole and trial["server_after"] != trial["server_before"] else "cut short"


def measured(seen: Seen) -> Facts | None:
    """The figures of the named run, None if it does not count."""
    return None if wrong(seen) else seen.trial(MEASURED)


def run_named(seen: Seen) -> Judged:
    """The check of the run itself."""
    trouble = wrong(seen)
    expected = Text(
        "a whole run of {fault} on this very pair", "una ejecución completa de {fault} en esta misma pareja"
    )
    return Judged(
        "run",
        "fail" if trouble else "pass",
        expected.filled(fault=FAULT),
        WRONG[trouble] if trouble else same(seen.answers["run"].strip()),
        same(f"labkit failover --name {seen.spec.name} --fault {FAULT}; labkit runs"),
    )


def figure(seen: Seen, key: str, trial: Facts | None) -> Judged:
    """The check of a figure that the student answers in seconds. key: of the question, and the table's column."""
    given, right_ms = seen.answers.get(key, "").strip(), trial[COLUMNS[key]] if trial else None
    told_s = seconds(given)
    near = right_ms is not None and told_s is not None and _near(told_s, right_ms / 1000)
    expected = Text("`{key}` of the run that you named, in seconds", "`{key}` de la ejecución que nombró, en segundos")
    return Judged(
        key,
        "pass" if near else "fail",
        expected.filled(key=key),
        same(given) if given else NO_ANSWER,
        Text("the table of the report: {key}", "la tabla del informe: {key}").filled(key=key),
    )


def seconds(given: str) -> float | None:
    """An answer as a student writes it: `2.42`, `2,42 s`, `702 ms`."""
    found = SECONDS.fullmatch(given)
    return float(found["number"].replace(",", ".")) / (1000 if found["unit"] == "ms" else 1) if found else None


def _near(told_s: float, right_s: float) -> bool:
    return abs(told_s - right_s) <= max(NEAR_S, NEAR_SHARE * right_s)


def measure(pair: Pair, keys: Sequence[str]) -> None:
    """What a student does with `labkit failover` and its report: a run, named, and these figures of it."""
    if not pair.trial("by-hand", FAULT):
        return
    run = pair.made["by-hand"]
    trial = (run.result() or {})["trials"][0]
    pair.answers["run"] = str(run.path)
    pair.answers |= {key: f"{trial[COLUMNS[key]] / 1000:.2f}" for key in keys}


COLUMNS = {
    "outage": "outage_ms",
    "detection": "detection_ms",
    "takeover": "takeover_ms",
    "failback": "failback_outage_ms",
}
"""Column of the report's table -> figure of a trial."""
