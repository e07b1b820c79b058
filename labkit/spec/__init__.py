"""The spec: what lab to build, read from `lab.yaml` (optional; without it, everything is as in the guide).

First stage of the flow. A spec is frozen and valid from the moment that it exists; whatever is wrong with the file is
one `BadInput` that lists every problem with file, line, field and remedy, before anything is created.
"""

from labkit.spec.models import Limits, Network, Node, Ports, Profile, Service, Spec, Timing
from labkit.spec.reading import default, json_schema, load, to_yaml

__all__ = [
    "Limits",
    "Network",
    "Node",
    "Ports",
    "Profile",
    "Service",
    "Spec",
    "Timing",
    "default",
    "json_schema",
    "load",
    "to_yaml",
]
