"""Many trials in a few figures."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """Figures over trials, in the unit of the values. `missed` trials have no value and are in none of the figures.

    All but the counts are None where nothing was measured.
    """

    n: int
    missed: int
    median: float | None
    min: float | None
    max: float | None
    p95: float | None


def summarize(values: Iterable[float | None]) -> Summary:
    """Sum up one figure of each trial; None stands for a trial in which it was not measured."""
    everything = list(values)
    measured = sorted(value for value in everything if value is not None)
    missed = len(everything) - len(measured)
    if not measured:
        return Summary(0, missed, None, None, None, None)
    return Summary(
        len(measured), missed, statistics.median(measured), measured[0], measured[-1], percentile(measured, 95)
    )


def percentile(values: list[float], percent: int) -> float:
    """Percentile by linear interpolation between closest ranks (the "inclusive" method, type 7 of Hyndman and Fan).

    It never lies outside the measured values; with a single one it is that value. ValueError without values.
    """
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
