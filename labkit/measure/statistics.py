"""Many trials in a few figures, two sets of trials against each other, and the rate of a rare event.

No distribution is assumed: an outage is bounded on one side and has a long tail on the other, which is no bell.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Interval = tuple[float, float]
"""Lowest and highest value that go with the measurements, at a confidence of 95 %."""

Shift = Literal["slower", "faster", "no different", "unknown"]

TAIL = 40  # one fortieth, 2.5 %, lies outside on each side of an interval
MOST_EXACT = 10_000  # pairs up to which the exact distribution of the rank sum is counted out


@dataclass(frozen=True)
class Summary:
    """Figures over trials, in the unit of the values. `missed` trials have no value and are in none of the figures.

    ci95 is the median's interval. All but the counts are None where nothing was measured, and ci95 is None where so few
    values allow none.
    """

    n: int
    missed: int
    median: float | None
    min: float | None
    max: float | None
    p95: float | None
    ci95: Interval | None


@dataclass(frozen=True)
class Difference:
    """How much larger the values of B are than those of A, in their unit. None where it was not measured.

    median: of the differences between each of B and each of A (Hodges and Lehmann's estimate of a shift). ci95: its
    interval; None where so few values allow none. probability: that a value of B is larger than one of A, ties counting
    half: 0.5 where there is no difference (the effect size; Cliff's delta is twice that, less 1).
    """

    median: float | None
    ci95: Interval | None
    probability: float | None

    @property
    def finding(self) -> Shift:
        """What the interval says of B: it is on one side of 0, or on both; unknown where so few values have none."""
        if self.ci95 is None:
            return "unknown"
        low, high = self.ci95
        return "slower" if low > 0 else "faster" if high < 0 else "no different"


def summarize(values: Iterable[float | None]) -> Summary:
    """Sum up one figure of each trial; None stands for a trial in which it was not measured."""
    everything = list(values)
    measured = sorted(value for value in everything if value is not None)
    missed = len(everything) - len(measured)
    if not measured:
        return Summary(0, missed, None, None, None, None, None)
    return Summary(
        len(measured),
        missed,
        statistics.median(measured),
        measured[0],
        measured[-1],
        percentile(measured, 95),
        median_interval(measured),
    )


def percentile(values: list[float], percent: int) -> float:
    """Percentile by linear interpolation between closest ranks (the "inclusive" method, type 7 of Hyndman and Fan).

    It never lies outside the measured values; with a single one it is that value. ValueError without values.
    """
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def median_interval(values: Sequence[float]) -> Interval | None:
    """The interval of the median of what sorted values are samples of, by order statistics: from the k-th lowest to
    the k-th highest, because each value lies below that median with a chance of one half. None for fewer than 6.
    """
    left_out = _left_out([math.comb(len(values), below) for below in range(len(values) // 2 + 1)], 2 ** len(values))
    return (values[left_out - 1], values[-left_out]) if left_out else None


def difference(a: Iterable[float | None], b: Iterable[float | None], questions: int = 1) -> Difference:
    """How much larger B is than A; None among the values stands for a trial without one.

    The interval is that of the rank-sum test by Mann, Whitney and Wilcoxon: if it does not contain 0, the two differ at
    the level of 5 %. It takes at least 4 values each, or 3 and 5. questions: how many such comparisons are made
    together; each interval is then so much wider that the 5 % are those of all of them (Bonferroni).
    """
    ones, others = ([value for value in values if value is not None] for values in (a, b))
    if not ones or not others:
        return Difference(None, None, None)
    apart = sorted(other - one for one in ones for other in others)
    larger = sum((value > 0) + (value == 0) / 2 for value in apart) / len(apart)
    if len(apart) <= MOST_EXACT:
        orders = math.comb(len(ones) + len(others), len(ones))
        left_out = _left_out(_rank_sums(len(ones), len(others)), orders, questions)
    else:
        spread = math.sqrt(len(apart) * (len(ones) + len(others) + 1) / 12)
        left_out = int(len(apart) / 2 - statistics.NormalDist().inv_cdf(1 - 1 / (TAIL * questions)) * spread)
    interval = (apart[left_out - 1], apart[-left_out]) if left_out else None
    return Difference(statistics.median(apart), interval, larger)


def most_events(seen: int) -> float:
    """How many events are to be expected at most, at 95 %, where that many were seen: Poisson's upper bound.

    Without any it is 3.0, the "rule of three".
    """
    low, high = float(seen), 10.0 + 3 * seen
    for _ in range(60):  # halves what is left until a float cannot tell it any more
        expected = (low + high) / 2
        at_most_seen = sum(math.exp(n * math.log(expected) - expected - math.lgamma(n + 1)) for n in range(seen + 1))
        low, high = (expected, high) if at_most_seen > 0.05 else (low, expected)
    return high


def _left_out(ways: Sequence[int], all_ways: int, questions: int = 1) -> int:
    """How many of the lowest ranks are less likely, together, than a fortieth, or that shared by several questions."""
    left_out = cumulated = 0
    while left_out < len(ways) and (cumulated + ways[left_out]) * TAIL * questions <= all_ways:
        cumulated += ways[left_out]
        left_out += 1
    return left_out


def _rank_sums(m: int, n: int) -> list[int]:
    """In how many orders of m and n values u of their m * n pairs are the other way round, by u.

    The coefficients of Gauss' binomial: the product of (1 - q^(n + i)) / (1 - q^i) for i from 1 to m.
    """
    ways = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            ways[u] -= ways[u - n - i]
        for u in range(i, m * n + 1):
            ways[u] += ways[u - i]
    return ways
