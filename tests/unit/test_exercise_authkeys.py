"""The faults that authkeys-order-and-mode plants."""

import pytest

from labkit.errors import BadInput
from labkit.exercises import Variant
from labkit.exercises.authkeys_order_and_mode import GOOD, MODES, REFUSED, name, plant, shape
from labkit.heartbeat import authkeys
from labkit.spec import Spec

STUDENTS = ["", *(f"student-{number}" for number in range(40))]


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_planted_text_is_refused(text: str) -> None:
    """Each text that is planted as refused is one that Heartbeat refuses; the good one, with a good mode, it takes."""
    with pytest.raises(BadInput):
        authkeys.parse(text.format(key="word"))
    authkeys.parse(GOOD.format(key="word"), 0o600)


@pytest.mark.parametrize("mode", MODES, ids=oct)
def test_a_planted_mode_is_refused(mode: int) -> None:
    """So is each mode."""
    with pytest.raises(BadInput):
        authkeys.parse(GOOD.format(key="word"), mode)


def test_every_student_has_three_faults() -> None:
    """Whoever it is: a refused text, a second one or a key that differs, and one mode; not for all the same."""
    plans = []
    for student in STUDENTS:
        variant = Variant(student)
        planted = plant(variant.spec(Spec(name="x"), shape), variant.random(name))
        refused = [text for text in planted.texts.values() if text != GOOD]
        assert len(refused) + (planted.other_key is not None) == 2
        assert sorted(planted.modes.values())[0] == 0o600
        assert len(set(planted.modes.values())) == 2
        plans.append(tuple(planted.texts.values()))
    assert len(set(plans)) > 5
