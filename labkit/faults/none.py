"""Nothing at all: the reference, against which every other fault is held, and the instrument's test of itself.

Predicted outage: none. What a run of it shows is what the machine and the probe add of themselves.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation
from labkit.spec import Spec

name = "none"
describe = "nothing is done: the reference"


def expect(spec: Spec) -> Expectation:
    if spec.profile != "corrected":
        return Expectation(moves=False, outage_ms=(0.0, 0.0), why="both nodes have the VIP anyway")
    return Expectation(moves=False, outage_ms=(0.0, 0.0), why="nothing was done, so nothing may happen")


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, "true")


def heal(lab: Lab, node: str) -> Bracket:
    return lab.act(node, "true")
