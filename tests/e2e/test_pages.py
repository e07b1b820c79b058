"""The commands of the pages, run for real; `tests/unit/test_docs.py` holds those to the program that are not."""

import re

import pytest

from tests import engines
from tests.e2e.walk import Typed, Walk, shown_after
from tests.pages import words

pytestmark = engines.takes_one
OUTCOME = re.compile(r"^\S+ on \S+: the VIP (was back|did not come back)", re.MULTILINE)
JUDGES = {"judge", "compare", "report"}  # they end with the verdict on what was measured before


@pytest.mark.timeout(900)
def test_the_tutorial_and_the_examples_do_what_their_pages_say(walk: Walk) -> None:
    """In the pages' order, on a host where labkit was never used: each command ends as its page shows, a failover with
    the outcome that is shown, curl with the page that is shown, and in the end nothing of a lab is left.

    A measured trial may end with any verdict: bands and cadences are a quiet machine's.
    """
    typed = walk.typed.result()
    assert len(typed) > 20
    wrong = [f"{one.line.page.name}:{one.line.number}: {one.line.text}: {said}" for one in typed for said in amiss(one)]
    assert not wrong, "\n".join(wrong)


def amiss(typed: Typed) -> list[str]:
    """What is not as the page has it."""
    shown = "\n".join(shown_after(typed.line))
    failing = re.search(r"^FAIL ", shown, re.MULTILINE) is not None
    judges = OUTCOME.search(shown) or words(typed.line)[1] in JUDGES
    allowed = {0, 1, 2} if judges else {1} if failing else {0}
    wrong = []
    if typed.exit_code not in allowed:
        wrong.append(f"exit code {typed.exit_code}, not {allowed}:\n{typed.output}")
    if "Traceback" in typed.output:
        wrong.append(typed.output)
    if OUTCOME.search(shown) and OUTCOME.findall(shown) != OUTCOME.findall(typed.output):
        wrong.append(f"the page has {OUTCOME.findall(shown)}, not:\n{typed.output}")
    if typed.line.text.startswith("curl ") and shown.strip() not in typed.output:
        wrong.append(f"the page has {shown.strip()!r}, not {typed.output!r}")
    return wrong
