"""labkit: a reproducible failover lab around the real Heartbeat.

The flow, from a spec to a report, stands in docs/whats-here.md. The package's own version is here and nowhere else.
"""

__version__ = "0.1.0"
