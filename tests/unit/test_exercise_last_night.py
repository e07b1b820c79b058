"""What last-nights-failover makes of a student's answers."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest

from labkit.exercises import Judged, Seen, Variant
from labkit.exercises.last_nights_failover import CAUSES, Account, judge, look, shape
from labkit.spec import Spec

VARIANT = Variant()
SPEC = VARIANT.spec(Spec(name="x"), shape)
FIRST, SECOND = SPEC.nodes
TRUE = Account(FIRST, "standby", 3 * 3600 + 4 * 60 + 5.6, 0.42)
RIGHT = {"node": FIRST, "cause": "standby", "time": "03:04:05", "gap": "0.4"}


def examined(true: Account, answers: dict[str, str]) -> tuple[dict[str, Any], list[Judged]]:
    """The facts about such an incident, and what follows. The pair is its record alone."""
    client = SimpleNamespace(get=lambda path: json.dumps(asdict(true)).encode())
    pair: Any = SimpleNamespace(lab=SimpleNamespace(client=client), answers=answers)
    facts = look(pair)
    return facts, judge(Seen(SPEC, VARIANT, facts, answers=answers))


def verdicts(true: Account, **answers: str) -> dict[str, str]:
    return {one.check: one.verdict for one in examined(true, answers)[1]}


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({}, set()),
        ({"time": "2026-11-22T03:04:05.600000+00:00", "gap": "0,5 s"}, set()),
        ({"node": SECOND}, {"what-moved", "why"}),
        ({"time": "03:04:08"}, {"what-moved", "why"}),
        ({"cause": "power"}, {"why"}),
        ({"gap": "1.4"}, {"why"}),
        ({"gap": "0"}, {"why"}),
        ({"gap": "short"}, {"answered", "why"}),
        ({"cause": "sabotage"}, {"answered", "why"}),
    ],
)
def test_judged(changed: dict[str, str], failing: set[str]) -> None:
    """The right answers pass in any usual form. A wrong one fails with the other answer of its check, and cause and gap
    never pass before node and time; that nobody had the address for 0 s is wrong where there was a gap, however
    short."""
    found = verdicts(TRUE, **RIGHT | changed)
    assert {check for check, verdict in found.items() if verdict != "pass"} == failing


def test_no_gap_is_zero() -> None:
    """Where nobody gave the address up, only 0 is right."""
    split = replace(TRUE, cause="partition", gap_s=0.0)
    assert verdicts(split, **RIGHT | {"cause": "partition", "gap": "0"})["why"] == "pass"
    assert verdicts(split, **RIGHT | {"cause": "partition", "gap": "0.2"})["why"] == "fail"


def test_over_midnight() -> None:
    """A second before midnight is a second off midnight."""
    assert verdicts(replace(TRUE, at_s=0.1), **RIGHT | {"time": "23:59:59.5"})["what-moved"] == "pass"


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause != TRUE.cause])
def test_no_answer_is_told(cause: str) -> None:
    """What a student reads after wrong answers has none of the right ones in it, and neither have the facts."""
    answers = {"node": SECOND, "cause": cause, "time": "11:11:11", "gap": "9"}
    facts, judged = examined(TRUE, answers)
    text = " ".join(
        part for one in judged for told in (one.expected, one.seen, one.look) for part in (told.en, told.es)
    )
    assert facts == {}
    assert not [right for right in (FIRST, TRUE.cause, "03:04", "0.4") if right in text]


def test_a_part_is_told_when_it_is_found() -> None:
    """Node and time right, the cause not: the facts have the two, and not the cause."""
    assert set(examined(TRUE, RIGHT | {"cause": "power"})[0]) == {"node", "at_s"}
    assert set(examined(TRUE, RIGHT)[0]) == set(asdict(TRUE))
