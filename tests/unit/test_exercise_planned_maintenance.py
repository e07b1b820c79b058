"""Planned maintenance: what counts as handed over, and which answers are lengths that the station saw."""

import pytest

from labkit.exercises import Facts, Seen, Variant, planned_maintenance
from labkit.spec import Spec

SPEC = Variant().spec(Spec(), planned_maintenance.shape)
FIRST, SECOND = SPEC.nodes
DEATH = {"seconds": 10.64, "before": FIRST, "after": SECOND}
HOME = {"seconds": 1.7, "before": SECOND, "after": FIRST}
PLANNED = {"seconds": 1.82, "before": FIRST, "after": SECOND}
DONE: Facts = {
    "settled": True,
    "owners": [SECOND],
    "heartbeat": {FIRST: True, SECOND: True},
    "planned": True,
    "outages": [DEATH, HOME, PLANNED],
}
RIGHT = {"killed-s": "10.64", "planned-s": "1,8 s"}


def failed(facts: Facts, answers: dict[str, str]) -> list[str]:
    seen = Seen(SPEC, Variant(), facts, answers=answers)
    return [one.check for one in planned_maintenance.judge(seen) if one.verdict != "pass"]


def test_a_planned_move_with_both_lengths_passes() -> None:
    """A comma, a unit and rounding are all right in an answer."""
    assert failed(DONE, RIGHT) == []


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"planned": False}, ["it-was-planned"]),
        ({"heartbeat": {FIRST: False, SECOND: True}}, ["peer-serves-and-both-live", "it-was-planned"]),
        ({"owners": [FIRST]}, ["peer-serves-and-both-live", "it-was-planned"]),
        ({"outages": [DEATH, HOME]}, ["both-outages-measured"]),
        ({"outages": [PLANNED]}, ["both-outages-measured"]),
    ],
)
def test_each_shortcut_is_seen(change: Facts, wrong: list[str]) -> None:
    """Taken from a dead node, without Heartbeat on one of them, given back, or with one of the outages never made."""
    assert failed(DONE | change, RIGHT) == wrong


@pytest.mark.parametrize("answer", ["", "long", "nan", "1.7"])
def test_a_length_that_nobody_saw_is_no_answer(answer: str) -> None:
    """1.7 was an outage, but not that of the power cut."""
    assert failed(DONE, RIGHT | {"killed-s": answer}) == ["both-outages-measured"]
