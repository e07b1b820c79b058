"""The outage is what the configuration lets one expect."""

from collections.abc import Sequence

from labkit.checks import Finding, each_trial
from labkit.history import Event, header
from labkit.measure import TrialMeasures

name = "within-predicted-band"
describe = "Each outage lies in the band predicted from the configuration, give or take one cadence."


def judge(events: Sequence[Event], trials: Sequence[TrialMeasures]) -> Finding | None:
    predicted = header(events).get("predicted")
    if predicted is None:
        return Finding("unknown", "the run does not say what was predicted")
    band = predicted["outage_ms"]
    if band is None:
        return None
    lowest_ms, highest_ms = band
    return each_trial(events, trials, lambda trial: _trial(trial, lowest_ms, highest_ms))


def _trial(trial: TrialMeasures, lowest_ms: float, highest_ms: float) -> Finding:
    band = f"{lowest_ms:.0f} to {highest_ms:.0f} ms"
    if trial.outage_ms is None:
        return Finding("unknown", "no outage was measured")
    if lowest_ms - trial.outage_error_ms <= trial.outage_ms <= highest_ms + trial.outage_error_ms:
        return Finding("pass", f"within {band}")
    return Finding("fail", f"{trial.outage_ms:.0f} ms, predicted {band}")
