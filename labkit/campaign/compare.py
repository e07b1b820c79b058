"""Whether one run is slower than another. Pure, from their results and headers."""

from collections.abc import Mapping
from typing import Any

from labkit.errors import BadInput
from labkit.history import Event
from labkit.measure import difference

Result = Mapping[str, Any]

SAME = ("fault", "profile")  # what must be the same for a comparison to mean anything
FACTS = (
    *("platform", "network", "packages", "images", "host", "other_hosts", "grant"),
    *("cadence_ms", "limit_ms", "labkit", "pairs"),
)


def compare(a: tuple[Result, Event], b: tuple[Result, Event], anyway: bool = False) -> dict[str, Any]:
    """What `labkit compare --json` answers. Each run as its result and the header of its history.

    Raises BadInput for runs of different faults or profiles, unless asked to compare them anyway.
    """
    (one, one_head), (other, other_head) = a, b
    unlike = [_unlike(name, one[name], other[name]) for name in SAME if one[name] != other[name]]
    if unlike and not anyway:
        raise BadInput(f"the runs do not answer the same question: {'; '.join(unlike)}; use --anyway if that is meant")
    warnings = unlike + unlike_facts(one_head, other_head)
    for side, result in (("A", one), ("B", other)):
        if result["flagged"]:
            told = f"{len(result['flagged'])} of {len(result['trials'])} trials"
            warnings.append(f"busy machine: {told} of {side} are flagged, and their outages may be too long")
    shift = difference(_outages(one), _outages(other))
    return {
        "a": _side(one),
        "b": _side(other),
        "b_is": shift.finding,
        "difference_ms": {"median": _rounded(shift.median), "ci95": shift.ci95 and [*map(_rounded, shift.ci95)]},
        "probability_b_slower": _rounded(shift.probability),
        "warnings": warnings,
    }


def unlike_facts(one: Event, other: Event) -> list[str]:
    """What differs between two runs by their headers, and may be the reason for a difference of their figures."""
    return [text for name in FACTS for text in _facts(name, one.get(name), other.get(name))]


def _side(result: Result) -> dict[str, Any]:
    return {name: result[name] for name in ("run", "fault", "profile", "platform", "network", "timing", "summary")}


def _outages(result: Result) -> list[float | None]:
    return [trial["outage_ms"] for trial in result["trials"]]


def _facts(name: str, one: Any, other: Any) -> list[str]:
    """Where two facts differ, by their parts if they have parts; one that is not there is like one that is empty."""
    if not one and not other:
        return []
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        parts = sorted({*one, *other})
        return [text for part in parts for text in _facts(f"{name} {part}", one.get(part), other.get(part))]
    return [_unlike(name, one, other)] if one != other else []


def _unlike(name: str, one: object, other: object) -> str:
    return f"{name}: {one} and {other}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
