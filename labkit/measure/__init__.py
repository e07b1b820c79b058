"""From a history to figures. Pure: no Docker, no clock, no files, so an old run can be measured again anywhere.

`service` says what the client saw, `ownership` who had the VIP, `phases` what the nodes said about it; `trial` puts
them together for one trial, `statistics` sums trials up, and `answer` gives the document of `labkit failover --json`.
A figure that was not measured is None, never 0. Instants are in ns, durations in ms.
"""

from labkit.measure.answer import result
from labkit.measure.ownership import Holding, holdings
from labkit.measure.phases import Phase
from labkit.measure.service import Service
from labkit.measure.statistics import Summary, summarize
from labkit.measure.trial import TrialMeasures, measure, measure_trial

__all__ = [
    "Holding",
    "Phase",
    "Service",
    "Summary",
    "TrialMeasures",
    "holdings",
    "measure",
    "measure_trial",
    "result",
    "summarize",
]
