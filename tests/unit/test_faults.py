"""The catalogue of faults from the configuration alone: what is expected, why, and which parameters there are."""

from typing import NamedTuple

import pytest

from labkit import faults
from labkit.errors import BadInput, NotAvailable
from labkit.faults import loss
from labkit.spec import Spec

FAST = Spec().with_options(keepalive="200ms", deadtime="1")
GUIDE = Spec()
PRINTED = Spec().with_options(profile="as-printed")

Band = tuple[float, float]
ALL = list(faults.all_faults())


class Row(NamedTuple):
    """What is expected in the corrected profile. fast, guide: the bands at 200 ms / 1 s and at 2 s / 5 s."""

    moves: bool
    dual_owner: bool
    fast: Band | None
    guide: Band | None


def same(moves: bool, dual_owner: bool, band: Band) -> Row:
    """Where silence has no part in it, neither keepalive nor deadtime is in the band."""
    return Row(moves, dual_owner, band, band)


NOTHING = same(False, False, (0, 0))
SWITCH = same(True, False, (1000, 2800))  # apache2's init script looks once a second, twice at most
SERVED_ALL_ALONG = same(True, True, (0, 300))
DEAD = Row(True, False, (800, 1850), (3000, 5850))  # deadtime - keepalive; deadtime + 250 ms + a takeover of 600 ms
SEEMS_DEAD = DEAD._replace(dual_owner=True)
ROWS = {
    "apache-error": same(True, False, (1300, 3700)),  # a second look
    "apache-hang": same(True, False, (3300, 5700)),  # two time-outs with a cycle between them
    "apache-kill": same(True, False, (300, 2700)),  # the monitor's cycle, and the hand-over
    "apache-stop": same(True, False, (300, 2700)),
    "cpu-starve": Row(True, True, None, None),  # each heartbeat that the node brings out starts the time anew
    "disk-full": NOTHING,
    "failback": SWITCH,
    "heartbeat-freeze": SERVED_ALL_ALONG,
    "heartbeat-kill": SERVED_ALL_ALONG,
    "heartbeat-stop": SWITCH,
    "link-down": SEEMS_DEAD,
    "loss": NOTHING,
    "node-kill": DEAD,
    "node-pause": SEEMS_DEAD,
    "node-reboot": DEAD,
    "none": NOTHING,
    "partition": SERVED_ALL_ALONG,
    "partition-full": SEEMS_DEAD,
    "partition-oneway": SERVED_ALL_ALONG,
    "standby": SWITCH,
    "takeover": SWITCH,
}


def test_what_is_expected() -> None:
    """Move, owners and band of every fault there is."""
    for name, fault in faults.all_faults().items():
        row = ROWS[name]
        for spec, band in ((FAST, row.fast), (GUIDE, row.guide)):
            expected = fault.expect(spec)
            assert (expected.moves, expected.dual_owner, expected.outage_ms) == (row.moves, row.dual_owner, band), name


def test_without_auto_failback_a_return_is_not_noticed() -> None:
    """The preferred node comes back, and the service stays where it is."""
    expected = faults.fault("failback").expect(FAST.with_options(auto_failback=False))
    assert (expected.moves, expected.outage_ms, expected.dual_owner) == (False, (0.0, 0.0), False)


@pytest.mark.parametrize("name", ALL)
def test_as_printed_two_owners_are_never_right(name: str) -> None:
    """As printed both nodes have the VIP from the beginning, which is a mistake whatever is done to them."""
    assert faults.fault(name).expect(PRINTED).dual_owner is False


@pytest.mark.parametrize("name", ["apache-stop", "apache-kill", "apache-hang", "apache-error"])
def test_as_printed_nobody_looks_at_apache2(name: str) -> None:
    """Without the monitor the service does not move."""
    expected = faults.fault(name).expect(PRINTED)
    assert (expected.moves, expected.outage_ms) == (False, None)


@pytest.mark.parametrize("spec", [FAST, PRINTED], ids=["corrected", "as-printed"])
@pytest.mark.parametrize("name", ALL)
def test_every_expectation_says_why(name: str, spec: Spec) -> None:
    """The reason is for a student: a sentence, without a full stop, because it stands within other text."""
    why = faults.fault(name).expect(spec).why
    assert len(why.split()) > 4
    assert not why.endswith(".")


def test_what_needs_more_privileges_is_refused_with_its_reason() -> None:
    """With the least privileges a fault that needs more is an error that names it, what it needs and what for; with the
    default's, and for faults that need no more, there is none."""
    least = Spec().with_options(privileged=False)
    more = [one for one in faults.all_faults().values() if faults.needs(one)]
    others = [one for one in faults.all_faults().values() if one not in more]
    assert [one.name for one in more] == ["disk-full"]
    faults.require(least, *others, faults.fault("loss:share=0.5"))
    faults.require(Spec(), *more)
    with pytest.raises(NotAvailable, match=r"disk-full needs SYS_ADMIN to mount .*--least-privilege"):
        faults.require(least, *others, *more)


def test_parameters_stand_behind_the_name() -> None:
    """A fault with parameters is called as the user spelled it, and they count in what is expected."""
    plain, tuned = faults.fault("loss"), faults.fault("loss:share=0.9")
    assert (plain.name, tuned.name) == ("loss", "loss:share=0.9")
    assert tuned.expect(FAST).why != plain.expect(FAST).why
    assert faults.fault("cpu-starve:cpus=0.5,loops=2").expect(FAST) == faults.fault("cpu-starve").expect(FAST)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nodekill", "use one of: apache-error"),
        ("node-kill:hard=1", "has no parameter 'hard'; it has none"),
        ("loss:share=", "use a number from 0 to 1"),
        ("loss:share=1.1", "use a number from 0 to 1"),
        ("loss:share=nan", "use a number from 0 to 1"),
        ("loss:0.5", "it has share"),
        ("cpu-starve:cpus=1,,", "it has cpus, loops"),
    ],
)
def test_wrong_names_and_parameters_are_refused(text: str, says: str) -> None:
    """The error says what is possible."""
    with pytest.raises(BadInput, match=says):
        faults.fault(text)


def test_every_parameter_can_be_set_and_its_default_is_possible() -> None:
    """What a fault announces, its `expect` takes."""
    for name, fault in faults.all_faults().items():
        for key, parameter in faults.parameters(fault).items():
            assert parameter.lowest <= parameter.default <= parameter.highest
            assert faults.fault(f"{name}:{key}={parameter.default:g}").expect(FAST) == fault.expect(FAST)


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
