"""What split-brain tells a student, and what it keeps, before and after he has found the answers."""

from types import SimpleNamespace
from typing import Any

import pytest

from labkit.exercises import Judged, Seen, Variant, split_brain
from labkit.spec import Spec

VARIANT = Variant()
SPEC = VARIANT.spec(Spec(name="x"), split_brain.shape)
MACS = ["02:42:00:00:00:01", "02:42:00:00:00:02"]
SAID: dict[str, str] = split_brain._cause(SPEC, VARIANT.random(split_brain.name))["said"]


def examined(answers: dict[str, str], peers: dict[str, str]) -> tuple[dict[str, Any], dict[str, Judged]]:
    """The facts about a pair that is still apart or, with both peers active, mended, and what follows."""
    nodes = {
        node: SimpleNamespace(heartbeat=True, resources="all", peer=peers[key])
        for node, key in zip(SPEC.nodes, peers, strict=True)
    }
    lab = SimpleNamespace(
        spec=SPEC,
        vip="v",
        statuses=lambda: nodes,
        macs=lambda: dict.fromkeys(MACS),
        owners=lambda: list(SPEC.nodes),
        answers=lambda *_, **__: True,
    )
    first, second = SPEC.nodes
    pair: Any = SimpleNamespace(
        lab=lab,
        variant=VARIANT,
        answers=answers,
        first=first,
        second=second,
        settle=lambda _: True,
        client=lambda _: None,
    )
    facts = split_brain.look(pair)
    return facts, {one.check: one for one in split_brain.judge(Seen(SPEC, VARIANT, facts, answers=answers))}


@pytest.mark.parametrize("between", [" ", ", ", ",", "; ", "\n"])
def test_addresses_with_anything_between(between: str) -> None:
    """All the MAC addresses, in any order and any case, with blanks or commas between; one alone is not enough."""
    assert examined({"macs": between.join(MACS[::-1]).upper()}, SAID)[1]["who-answered"].verdict == "pass"
    assert examined({"macs": MACS[0]}, SAID)[1]["who-answered"].verdict == "fail"


@pytest.mark.parametrize("answers", [{}, {"macs": MACS[0], "first-said": "maybe", "second-said": "maybe"}])
def test_no_answer_is_told(answers: dict[str, str]) -> None:
    """What a student reads, and can read in the facts, before he has found the answers has none of them in it."""
    facts, found = examined(answers, SAID)
    told = [facts, *(one.seen.within(lang) for one in found.values() for lang in ("en", "es"))]
    assert [word for word in (*SAID.values(), MACS[1]) if word in str(told)] == []


def test_the_words_are_shown_when_they_are_known() -> None:
    """As soon as he has them right, and when the pair is mended, where they no longer tell."""
    first, second = SPEC.nodes
    _, found = examined(SAID, SAID)
    assert found["they-hear-each-other"].seen.en == " | ".join(
        [
            f"{first} says of {second}: {SAID['first-said']}",
            f"{second} says of {first}: {SAID['second-said']}",
        ]
    )
    _, found = examined({}, dict.fromkeys(SAID, "active"))
    assert f"{first} says of {second}: active" in found["they-hear-each-other"].seen.en
