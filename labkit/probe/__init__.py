"""What watches a lab during a run, each on a thread of its own, all writing events. Rank 4.

agent: timed requests and ARP from the client, and the run's clock. logs: the nodes' log lines, brought to that clock.
capture: what was on the wire, and heartbeats as they pass.
"""

from labkit.probe.agent import Agent, Settings
from labkit.probe.capture import Capture, Heartbeats
from labkit.probe.logs import LogFollower

__all__ = ["Agent", "Capture", "Heartbeats", "LogFollower", "Settings"]
