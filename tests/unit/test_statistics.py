"""Intervals and effect sizes: against published tables, and what must hold whatever was measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.measure import difference, most_events, summarize

VALUES = st.lists(st.integers(0, 10_000).map(float), min_size=1, max_size=25)


@pytest.mark.parametrize(
    ("n", "low", "high"), [(6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (20, 6, 15), (50, 18, 33), (100, 40, 61)]
)
def test_interval_of_a_median_is_the_published_one(n: int, low: int, high: int) -> None:
    """From the low-th to the high-th value, as the tables of the sign test have it."""
    assert summarize(map(float, range(1, n + 1))).ci95 == (low, high)


def test_five_trials_have_no_interval() -> None:
    """All five above or all five below the median is not rarer than one in twenty, so nothing can be said."""
    assert summarize([1.0, 2.0, 3.0, 4.0, 5.0]).ci95 is None


@given(VALUES)
def test_interval_holds_the_median(values: list[float]) -> None:
    """It lies around the median, and inside what was measured."""
    summary = summarize(values)
    if summary.ci95 is None:
        assert len(values) < 6
        return
    low, high = summary.ci95
    assert summary.min is not None
    assert summary.median is not None
    assert summary.max is not None
    assert summary.min <= low <= summary.median <= high <= summary.max


@pytest.mark.parametrize(
    ("m", "n", "critical"), [(3, 5, 0), (4, 4, 0), (5, 5, 2), (5, 8, 6), (8, 8, 13), (10, 10, 23), (20, 20, 127)]
)
def test_interval_of_a_difference_is_that_of_the_rank_sum_test(m: int, n: int, critical: int) -> None:
    """The published critical value of U, two-sided at 5 %, is how many differences lie outside on either side."""
    apart = [i * 1000.0 for i in range(n)]
    within = difference([-float(i) for i in range(m)], apart).ci95
    every = sorted(b + i for b in apart for i in range(m))
    assert within == (every[critical], every[-critical - 1])


@pytest.mark.parametrize(("m", "n"), [(1, 20), (2, 4), (3, 4), (3, 3)])
def test_too_few_trials_have_no_difference_interval(m: int, n: int) -> None:
    """Even complete separation would not be rare enough."""
    assert difference([0.0] * m, [1.0] * n).ci95 is None


def test_many_trials_agree_with_the_exact_interval() -> None:
    """Beyond what is counted out the normal approximation takes over; for evenly spread values both are near."""
    few = difference(range(100), range(100)).ci95
    many = difference([i / 2 for i in range(202)], [i / 2 for i in range(202)]).ci95
    assert few is not None
    assert many is not None
    assert few[0] == -few[1]
    assert many[0] == pytest.approx(-many[1], abs=1)
    assert abs(many[0]) < abs(few[0])


@given(VALUES, VALUES, st.integers(-500, 500))
def test_a_shift_is_found(a: list[float], b: list[float], shift: int) -> None:
    """All of B later by so much makes the difference and its interval larger by that, and changes no width."""
    plain, moved = difference(a, b), difference(a, [value + shift for value in b])
    assert plain.median is not None
    assert moved.median == plain.median + shift
    assert (plain.ci95 is None) == (moved.ci95 is None)
    if plain.ci95 and moved.ci95:
        assert moved.ci95 == tuple(end + shift for end in plain.ci95)


@given(VALUES, VALUES)
def test_the_other_way_round_is_the_opposite(a: list[float], b: list[float]) -> None:
    """A against B says what B against A says."""
    there, back = difference(a, b), difference(b, a)
    assert there.median is not None
    assert back.median == -there.median
    assert there.probability is not None
    assert back.probability == pytest.approx(1 - there.probability)
    assert back.ci95 == (there.ci95 and (-there.ci95[1], -there.ci95[0]))


def test_trials_that_were_not_measured_count_for_nothing() -> None:
    """None is left out; with nothing on one side there is no difference, and not one of 0."""
    assert difference([1.0, None], [None, 3.0]).median == 2.0
    nothing = difference([None], [3.0])
    assert (nothing.median, nothing.ci95, nothing.probability) == (None, None, None)


@pytest.mark.parametrize(("seen", "bound"), [(0, 2.996), (1, 4.744), (2, 6.296), (5, 10.513), (20, 29.062)])
def test_rate_of_rare_events_is_bounded(seen: int, bound: float) -> None:
    """Poisson's one-sided upper bounds at 95 %, as published; without any event, the rule of three."""
    assert most_events(seen) == pytest.approx(bound, abs=0.001)
