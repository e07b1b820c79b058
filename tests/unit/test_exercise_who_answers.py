"""Which captures and answers count as a takeover that the student watched."""

from typing import Any

import pytest

from labkit.exercises import Seen, Variant, who_answers
from labkit.spec import Spec
from labkit.timing import SECOND
from tests.unit.histories import MACS, MASTER, SLAVE

TOOK_NS = 1_700_000_000 * SECOND
ANSWERS = {"before": MACS[MASTER].upper(), "after": MACS[SLAVE].replace(":", "-"), "announcements": "10"}
BURST = {"wall_ns": TOOK_NS + SECOND // 100, "mac": MACS[SLAVE], "frames": 10}


def verdicts(answers: dict[str, str], *bursts: dict[str, Any], trouble: str | None = None) -> dict[str, str]:
    facts = {"macs": MACS, "takeovers": [TOOK_NS], "capture": {"trouble": trouble, "bursts": list(bursts)}}
    return {one.check: one.verdict for one in who_answers.judge(Seen(Spec(), Variant(), facts, answers=answers))}


def test_a_takeover_that_was_watched_passes() -> None:
    """However the MAC addresses are written."""
    assert set(verdicts(ANSWERS, BURST).values()) == {"pass"}


@pytest.mark.parametrize(
    "bursts",
    [(), (BURST | {"mac": MACS[MASTER]},), (BURST | {"wall_ns": TOOK_NS - 60 * SECOND},)],
)
def test_a_capture_of_something_else_fails(bursts: tuple[dict[str, Any], ...]) -> None:
    """Nothing, another node, and a takeover of which the log does not know. Then its frames are no answer either."""
    found = verdicts(ANSWERS, *bursts)
    assert (found["capture"], found["announcements"]) == ("fail", "fail")


@pytest.mark.parametrize("trouble", sorted(who_answers.TROUBLES))
def test_no_capture_fails(trouble: str) -> None:
    """It is told, not a crash."""
    assert verdicts(ANSWERS, trouble=trouble)["capture"] == "fail"


@pytest.mark.parametrize(("key", "given"), [("before", MACS[SLAVE]), ("after", ""), ("announcements", "5")])
def test_one_wrong_answer_fails_alone(key: str, given: str) -> None:
    """The other node's address, none, and half of the frames."""
    found = verdicts(ANSWERS | {key: given}, BURST)
    assert [check for check, verdict in found.items() if verdict == "fail"] == [key]


def test_announcements_are_parted_by_sender_and_by_takeover() -> None:
    """Frames that follow each other closely are one takeover's; after a pause another one begins."""
    quick = [(TOOK_NS + n * SECOND // 10, "a") for n in range(10)]
    later = [(TOOK_NS + 60 * SECOND + n * SECOND // 10, "a") for n in range(4)]
    assert who_answers._bursts([*quick, (TOOK_NS, "b"), *later]) == [
        {"wall_ns": TOOK_NS, "mac": "a", "frames": 10},
        {"wall_ns": TOOK_NS + 60 * SECOND, "mac": "a", "frames": 4},
        {"wall_ns": TOOK_NS, "mac": "b", "frames": 1},
    ]
