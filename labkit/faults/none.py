"""Nothing at all: the reference, against which every other fault is held, and the instrument's test of itself.

Predicted outage: none. What a run of it shows is what the machine and the probe add of themselves.
"""

from labkit.cluster import Bracket, Lab
from labkit.faults import Expectation
from labkit.spec import Spec

name = "none"
describe = "nothing is done: the reference"
describe_es = "no se hace nada: la referencia"


def expect(spec: Spec) -> Expectation:
    printed = spec.profile != "corrected"
    why = "both nodes have the VIP anyway" if printed else "nothing was done, so nothing may happen"
    return Expectation(moves=False, outage_ms=(0.0, 0.0), both_alive=True, why=why)


def inject(lab: Lab, node: str) -> Bracket:
    return lab.act(node, "true")


def heal(lab: Lab, node: str) -> Bracket:
    return lab.act(node, "true")
