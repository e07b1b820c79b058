"""Each student's own pair: names, addresses and timings derived from the student's id."""

import hashlib
import random
from dataclasses import dataclass
from ipaddress import IPv4Network

from labkit.spec import Profile, Spec

NAMES = (
    "alba", "bosque", "cedro", "delta", "estrella", "faro", "garza", "hierro", "isla", "jaguar", "laguna", "monte",
    "norte", "oasis", "palma", "quetzal", "roble", "selva", "trueno", "valle",
)  # fmt: skip
DEADTIMES = ("1500ms", "2", "2500ms", "3")
KEEPALIVES = ("300ms", "400ms", "500ms")
DEFAULT = {"keepalive": "500ms", "deadtime": "2"}


@dataclass(frozen=True)
class Shape:
    """What kind of pair an exercise begins with. bare: Heartbeat is installed and not configured. timing: of ha.cf's
    times, those that are not the variant's own, as `{"deadtime": "5"}`; profile: see the spec."""

    bare: bool = False
    profile: Profile = "corrected"
    timing: tuple[tuple[str, str | bool], ...] = ()


@dataclass(frozen=True)
class Variant:
    """A student's variant. student: an id as the class has it; empty for nobody in particular, who gets the guide's
    names and addresses. The same id gives the same pair on any machine."""

    student: str = ""

    def random(self, what: str) -> random.Random:
        """A source of chance for one purpose, the same whenever it is asked for."""
        return random.Random(hashlib.sha256(f"{self.student}/{what}".encode()).hexdigest())

    def spec(self, base: Spec, shape: Shape) -> Spec:
        """The pair of an exercise. base: name and platform count, the rest is the variant's."""
        return Spec.model_validate({
            "name": base.name,
            "platform": base.platform,
            "privileged": base.privileged,
            "profile": shape.profile,
            "timing": {**self._timing(), **dict(shape.timing)},
            **self._places(),
        })  # fmt: skip

    def _timing(self) -> dict[str, str]:
        if not self.student:
            return DEFAULT
        chance = self.random("timing")
        return {"keepalive": chance.choice(KEEPALIVES), "deadtime": chance.choice(DEADTIMES)}

    def _places(self) -> dict[str, object]:
        """Names of the nodes, and addresses. Nobody's subnet is the guide's."""
        if not self.student:
            return {}
        chance = self.random("places")
        first, second = chance.sample(NAMES, 2)
        subnet = IPv4Network((f"10.{chance.randint(64, 127)}.{chance.randint(0, 255)}.0", 24))
        hosts = [subnet[host] for host in chance.sample(range(10, 250), 5)]
        vip, client, gateway, one, two = (str(host) for host in hosts)
        return {
            "network": {"subnet": str(subnet), "vip": vip, "client": client, "gateway": gateway},
            "nodes": {f"{first}-a": {"address": one}, f"{second}-b": {"address": two}},
        }
