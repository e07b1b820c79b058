"""What the faults of a node and of its daemon predict, from the configuration alone."""

import pytest

from labkit import faults
from labkit.spec import Spec

FAST = Spec().with_options(keepalive="200ms", deadtime="1")
GUIDE = Spec()
PRINTED = Spec().with_options(profile="as-printed")
NODE_FAULTS = ["cpu-starve", "heartbeat-freeze", "heartbeat-kill", "link-down", "node-pause", "node-reboot"]
# Specification and the bounds of Heartbeat's death rule: deadtime - keepalive, and deadtime with the 250 ms poll.
RULES = [(FAST, 800.0, 1250.0), (GUIDE, 3000.0, 5250.0)]


@pytest.mark.parametrize("fault", NODE_FAULTS)
def test_the_peer_takes_over(fault: str) -> None:
    """Whatever befalls the node or its daemon, the peer takes it for dead, and a student is told why."""
    for spec in (FAST, GUIDE):
        assert faults.fault(fault).expect(spec).moves
        assert faults.fault(fault).expect(spec).why


@pytest.mark.parametrize("fault", NODE_FAULTS)
def test_two_owners_unless_the_node_lost_all_it_had(fault: str) -> None:
    """A node that only seemed dead has the VIP still; one that boots has not."""
    assert faults.fault(fault).expect(FAST).dual_owner == (fault != "node-reboot")


@pytest.mark.parametrize("fault", ["link-down", "node-pause", "node-reboot"])
@pytest.mark.parametrize(("spec", "dead_ms", "latest_dead_ms"), RULES)
def test_out_of_service_until_declared_dead(fault: str, spec: Spec, dead_ms: float, latest_dead_ms: float) -> None:
    """The outage is that of a dead node: no shorter than the death rule lets it, longer by a takeover."""
    band_ms = faults.fault(fault).expect(spec).outage_ms
    assert band_ms is not None
    assert band_ms[0] == dead_ms
    assert band_ms[1] > latest_dead_ms
    assert band_ms == faults.fault("node-kill").expect(spec).outage_ms


@pytest.mark.parametrize("fault", ["heartbeat-freeze", "heartbeat-kill"])
def test_served_all_along_without_the_daemon(fault: str) -> None:
    """The VIP and apache2 stay where they are, so no timing makes the outage longer than the change of owner."""
    fast, guide = (faults.fault(fault).expect(spec).outage_ms for spec in (FAST, GUIDE))
    assert fast == guide
    assert fast is not None
    assert fast[0] == 0


def test_nothing_is_predicted_of_a_starved_node() -> None:
    """Each heartbeat that a starved node brings out starts the time anew, so no rule bounds the outage."""
    assert faults.fault("cpu-starve").expect(GUIDE).outage_ms is None


@pytest.mark.parametrize("fault", NODE_FAULTS)
def test_as_printed_a_dual_owner_proves_nothing(fault: str) -> None:
    """As printed both nodes have the VIP from the beginning, and no outage is predicted."""
    expected = faults.fault(fault).expect(PRINTED)
    assert expected.dual_owner is None
    assert expected.outage_ms is None
    # The VIP's present owner is out of reach, or goes on answering ARP for it, and nobody announces another one.
    assert expected.moves == (fault in {"link-down", "node-reboot"})
