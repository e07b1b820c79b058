"""What the faults of the network and the disk predict, and which packets the seeded loss picks."""

import pytest

from labkit import faults
from labkit.faults import loss
from labkit.spec import Spec

FAST = Spec().with_options(keepalive="200ms", deadtime="1")
GUIDE = Spec()
PRINTED = Spec().with_options(profile="as-printed")


@pytest.mark.parametrize(
    ("fault", "moves", "dual_owner", "fast_ms", "guide_ms"),
    [
        ("partition", True, True, (0, 300), (0, 300)),
        ("partition-oneway", True, True, (0, 300), (0, 300)),
        ("loss", False, False, (0, 0), (0, 0)),
        ("disk-full", False, False, (0, 0), (0, 0)),
    ],
)
def test_what_is_expected(
    fault: str, moves: bool, dual_owner: bool, fast_ms: tuple[float, float], guide_ms: tuple[float, float]
) -> None:
    """While somebody serves all along, no timing makes the outage longer; as printed, a dual owner proves nothing."""
    for spec, band_ms in ((FAST, fast_ms), (GUIDE, guide_ms)):
        expected = faults.fault(fault).expect(spec)
        assert (expected.moves, expected.dual_owner, expected.outage_ms) == (moves, dual_owner, band_ms)
        assert expected.why
    assert faults.fault(fault).expect(PRINTED).dual_owner is None


@pytest.mark.parametrize(("spec", "rule_ms"), [(FAST, (800, 1250)), (GUIDE, (3000, 5250))])
def test_a_node_cut_off_is_dead_to_clients(spec: Spec, rule_ms: tuple[float, float]) -> None:
    """The death rule bounds the outage: no shorter than it allows, and longer by the time that a takeover takes."""
    expected = faults.fault("partition-full").expect(spec)
    assert expected.moves
    assert expected.dual_owner
    assert expected.outage_ms == faults.fault("node-kill").expect(spec).outage_ms
    assert expected.outage_ms is not None
    assert expected.outage_ms[0] == rule_ms[0]
    assert expected.outage_ms[1] > rule_ms[1]


@pytest.mark.parametrize(
    ("keepalive_ms", "deadtime_ms", "share", "an_hour"),
    [
        (200, 1000, 0.0, 0.0),  # nothing lost
        (200, 1000, 0.5, 0.961),  # 5 in a row of those that are lost with 0.5 ** 3
        (2000, 5000, 0.5, 49.2),  # 2 in a row are enough: the guide's timing forgives less
    ],
)
def test_false_failovers(keepalive_ms: float, deadtime_ms: float, share: float, an_hour: float) -> None:
    """The rate follows from the share, the copies of each heartbeat, and how many lost in a row fill deadtime."""
    assert loss.false_failovers_per_hour(keepalive_ms, deadtime_ms, share) == pytest.approx(an_hour, rel=0.01)


@pytest.mark.parametrize("lost", [[], [0], [9], [0, 1, 2], [0, 3, 4, 9], list(range(10))])
def test_pattern_loses_exactly_these_packets(lost: list[int]) -> None:
    """Rules count the packets that reach them, as the kernel does: dropped ones do not reach the rules behind."""
    cycle, rules = 10, []
    for match in loss.pattern(lost, cycle):
        words = match.split()
        rules.append([int(words[words.index("--every") + 1]), int(words[words.index("--packet") + 1]), 0])
    dropped = []
    for packet in range(3 * cycle):
        for rule in rules:
            every, first, seen = rule
            rule[2] += 1
            if seen % every == first:
                dropped.append(packet)
                break
    assert dropped == [turn * cycle + packet for turn in range(3) for packet in lost]
