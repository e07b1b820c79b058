"""How many pairs a machine bears, decided from what was seen of it; and whose turn it is when several share it."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.campaign import turns
from labkit.campaign.admission import MOST, Look, admit
from labkit.campaign.turns import Turns
from labkit.cli.common import pairs_asked
from labkit.errors import BadInput
from labkit.runner import Turn

QUIET = Look(cpus=16, others_cpus=0.2, pair_cpus=0.1, pair_mib=50, free_mib=30_000, on_time=1.0)
KINDS: tuple[Turn, ...] = ("measure", "mend")
PATIENCE_S = 60


@pytest.mark.parametrize(
    ("changes", "trials", "pairs", "why"),
    [
        ({}, 5, 5, "no more trials"),
        ({}, 1000, MOST, "no need"),
        ({"cpus": 2, "pair_cpus": 0.05}, 1000, 12, "wait for their turn"),
        ({"cpus": 2, "pair_cpus": 0.19}, 1000, 6, "CPUs have no room"),
        ({"cpus": 2, "others_cpus": 1.0, "pair_cpus": 0.09}, 1000, 4, "CPUs have no room"),
        ({"free_mib": 200}, 1000, 4, "memory has no room"),
        ({"others_cpus": 15.9}, 1000, 1, "busy with something else"),
        ({"on_time": 0.98}, 1000, 1, "cannot keep its schedule"),
        ({"pair_cpus": 0.0, "pair_mib": 0.0}, 1000, MOST, "no need"),
    ],
)
def test_what_keeps_it_from_being_more(changes: dict[str, Any], trials: int, pairs: int, why: str) -> None:
    """Each bound on its own, and it says which one it was."""
    decision = admit(replace(QUIET, **changes), trials)
    assert decision.pairs == pairs
    assert why in decision.why


@given(
    st.builds(
        Look,
        cpus=st.integers(1, 256),
        others_cpus=st.floats(0, 300),
        pair_cpus=st.floats(0, 10),
        pair_mib=st.floats(0, 1e5),
        free_mib=st.floats(0, 1e7),
        on_time=st.floats(0, 1),
    ),
    st.integers(1, 10_000),
)
def test_there_is_always_a_pair_and_never_more_than_trials(look: Look, trials: int) -> None:
    """Whatever was seen."""
    assert 1 <= admit(look, trials).pairs <= min(trials, MOST)


@given(st.floats(0, 2), st.floats(0, 2))
def test_a_busier_machine_gets_no_more_pairs(one: float, other: float) -> None:
    """Other programs only ever take room away."""
    quieter, busier = sorted((one, other))
    admitted = [admit(replace(QUIET, cpus=2, others_cpus=cpus), 1000).pairs for cpus in (quieter, busier)]
    assert admitted == sorted(admitted, reverse=True)


def test_the_option_takes_a_number_or_auto() -> None:
    """Anything else is bad input, with what is possible."""
    assert pairs_asked("auto") is None
    assert pairs_asked("7") == 7
    for wrong in ("0", str(MOST + 1), "-1", "many", "", "2.5", "²"):
        with pytest.raises(BadInput, match=r"--parallel.*use auto, or a number"):
            pairs_asked(wrong)


# Turns


def test_nobody_mends_while_another_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten pairs with many trials each: never both at once, never more than there are places, and all come to an end."""
    monkeypatch.setattr(turns, "TAKEOVER_CPU_S", 0.0)
    shared = Turns(cpus=1)
    lock, now, seen = threading.Lock(), {"measure": 0, "mend": 0}, set()

    def pair() -> None:
        for _ in range(20):
            for kind in KINDS:
                shared.take(kind)
                with lock:
                    now[kind] += 1
                    seen.add((now["measure"], now["mend"]))
                with lock:
                    now[kind] -= 1
                shared.give(kind)

    threads = [threading.Thread(target=pair, daemon=True) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
    assert all(measured == 0 or mended == 0 for measured, mended in seen)
    assert max(measured for measured, _ in seen) <= turns.MEASURED_PER_CPU
    assert max(mended for _, mended in seen) <= turns.MENDED_PER_CPU


def test_whoever_is_hurt_goes_first() -> None:
    """A pair that waits for mending probes as long as it waits, so no further trial begins before it."""
    shared = Turns(cpus=1)
    order: list[str] = []

    def take(kind: Turn) -> threading.Thread:
        def wait() -> None:
            shared.take(kind)
            order.append(kind)
            shared.give(kind)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        return thread

    shared.take("measure")
    mending = take("mend")
    while not shared.hurt:
        mending.join(0.01)
    measuring = take("measure")
    measuring.join(0.1)
    assert order == []
    shared.give("measure")
    mending.join(PATIENCE_S)
    measuring.join(PATIENCE_S)
    assert order == ["mend", "measure"]
