"""From a history to figures. Pure: no Docker, no clock, no files, so an old run can be measured again anywhere.

`service` says what the client saw, `ownership` who had the VIP, `phases` how it came about, `states` what each node
was doing, `cost` where the time went, `pressure` how busy the host was; `trial` puts them together for one trial,
`statistics` sums trials up and compares them, `hosts` compares the hosts that share a run, `false_failovers` counts
those, `answer` gives the document of `labkit failover --json`, and `assertion` holds its figures to what a user asks of
them.
A figure that was not measured is None, never 0. Instants are in ns, durations in ms.
"""

from labkit.measure.answer import result
from labkit.measure.assertion import Assertion, parse_duration
from labkit.measure.cost import Cost
from labkit.measure.false_failovers import false_failovers
from labkit.measure.hosts import Host, hosts
from labkit.measure.ownership import Holding, holdings
from labkit.measure.phases import PHASES, Phase, Step, silence_ms
from labkit.measure.pressure import ON_TIME_LEAST, Pressure
from labkit.measure.service import Service
from labkit.measure.states import Stay, stays
from labkit.measure.statistics import Difference, Summary, difference, most_events, summarize
from labkit.measure.trial import TrialMeasures, measure, measure_trial, timing_ms

__all__ = [
    "ON_TIME_LEAST",
    "PHASES",
    "Assertion",
    "Cost",
    "Difference",
    "Holding",
    "Host",
    "Phase",
    "Pressure",
    "Service",
    "Stay",
    "Step",
    "Summary",
    "TrialMeasures",
    "difference",
    "false_failovers",
    "holdings",
    "hosts",
    "measure",
    "measure_trial",
    "most_events",
    "parse_duration",
    "result",
    "silence_ms",
    "stays",
    "summarize",
    "timing_ms",
]
