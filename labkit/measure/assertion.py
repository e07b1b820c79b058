"""What a user asserts of a run's figures, as in `outage.p95 < 6s`. A small grammar: metric.statistic operator value."""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labkit.errors import BadInput
from labkit.measure.answer import SUMMED_UP

METRICS = tuple(name.removesuffix("_ms") for name in SUMMED_UP)
STATISTICS = ("median", "min", "max", "p95", "missed")
OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}
UNITS_MS = {"ms": 1.0, "s": 1000.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*")
_GRAMMAR = re.compile(r"\s*(\w+)\.(\w+)\s*(<=|>=|==|<|>)\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")


def parse_duration(text: str) -> float:
    """A duration with its unit, such as `3s` or `1500ms`, in ms. Raises BadInput."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise BadInput(f"{text!r} is no duration; write a number and its unit, as in 3s or 1500ms")
    return float(match[1]) * UNITS_MS[match[2]]


@dataclass(frozen=True)
class Assertion:
    """One assertion. value: in ms, or a count of trials where the statistic is `missed`. text: as the user wrote it."""

    metric: str
    statistic: str
    operator: str
    value: float
    text: str

    @classmethod
    def parse(cls, text: str) -> "Assertion":
        """Raises BadInput that says what is wrong, with the valid names."""
        match = _GRAMMAR.fullmatch(text)
        if match is None:
            raise BadInput(f"{text!r} is no assertion; write one like 'outage.p95 < 6s'")
        metric, statistic, sign, number, unit = match.groups()
        for name, valid in ((metric, METRICS), (statistic, STATISTICS)):
            if name not in valid:
                raise BadInput(f"{text!r}: there is no {name!r}; use one of: {', '.join(valid)}")
        if statistic == "missed":
            if unit:
                raise BadInput(f"{text!r}: missed counts trials and has no unit; write {metric}.missed {sign} {number}")
            return cls(metric, statistic, sign, float(number), text)
        return cls(metric, statistic, sign, parse_duration(number + unit), text)

    def judge(self, summary: Mapping[str, Any]) -> tuple[Literal["pass", "fail", "unknown"], str]:
        """The verdict, with its evidence, on a result's `summary`.

        What does not hold fails. What holds passes only if every trial has the figure: an outage that was not measured
        may be one that did not end.
        """
        figures = summary[f"{self.metric}_ms"]
        value, missed, all_trials = figures[self.statistic], figures["missed"], figures["n"] + figures["missed"]
        if value is None or all_trials == 0:
            return "unknown", "not measured"
        detail = str(value) if self.statistic == "missed" else f"{value:.0f} ms"
        if not OPERATORS[self.operator](value, self.value):
            return "fail", detail
        if missed and self.statistic != "missed":
            return "unknown", f"{detail}, but {missed} of {all_trials} trials do not have the figure"
        return "pass", detail
