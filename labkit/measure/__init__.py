"""From a history to figures. Pure: no Docker, no clock, no files, so an old run can be measured again anywhere.

`service` says what the client saw, `ownership` who had the VIP, `phases` what the nodes said about it; `trial` puts
them together for one trial, `statistics` sums trials up and compares them, `answer` gives the document of
`labkit failover --json`, and `assertion` holds its figures to what a user asks of them.
A figure that was not measured is None, never 0. Instants are in ns, durations in ms.
"""

from labkit.measure.answer import result
from labkit.measure.assertion import Assertion, parse_duration
from labkit.measure.ownership import Holding, holdings
from labkit.measure.phases import Phase
from labkit.measure.service import Service
from labkit.measure.statistics import Difference, Summary, difference, most_events, summarize
from labkit.measure.trial import TrialMeasures, measure, measure_trial

__all__ = [
    "Assertion",
    "Difference",
    "Holding",
    "Phase",
    "Service",
    "Summary",
    "TrialMeasures",
    "difference",
    "holdings",
    "measure",
    "measure_trial",
    "most_events",
    "parse_duration",
    "result",
    "summarize",
]
