"""What is expected of the faults of the service: bands, moves and owners, from the configuration alone."""

import pytest

from labkit.faults import Expectation, fault
from labkit.spec import Spec

FAST = Spec().with_options(keepalive="200ms", deadtime="1")
GUIDE = Spec()

BANDS = {
    "none": (0.0, 0.0),
    "apache-kill": (300.0, 2700.0),  # the monitor's cycle, and the hand-over
    "apache-error": (1300.0, 3700.0),  # a second look
    "apache-hang": (3300.0, 5700.0),  # two time-outs with a cycle between them
    "standby": (1000.0, 2800.0),
    "takeover": (1000.0, 2800.0),
    "failback": (1000.0, 2800.0),
}


def expected(name: str, spec: Spec) -> Expectation:
    return fault(name).expect(spec)


@pytest.mark.parametrize("spec", [FAST, GUIDE], ids=["200ms/1", "2/5"])
@pytest.mark.parametrize(("name", "band"), BANDS.items())
def test_bands_do_not_depend_on_heartbeats_times(name: str, band: tuple[float, float], spec: Spec) -> None:
    """None of these faults is found out by silence, so neither keepalive nor deadtime is in any band."""
    assert expected(name, spec).outage_ms == band


@pytest.mark.parametrize("name", BANDS)
def test_only_nothing_stays_and_nobody_shares_the_address(name: str) -> None:
    """In the corrected profile each of them but `none` moves the service, and the VIP has one owner at any time."""
    expectation = expected(name, FAST)
    assert expectation.moves == (name != "none")
    assert expectation.dual_owner is False


def test_without_auto_failback_a_return_is_not_noticed() -> None:
    """The preferred node comes back, and the service stays where it is."""
    expectation = expected("failback", FAST.with_options(auto_failback=False))
    assert (expectation.moves, expectation.outage_ms, expectation.dual_owner) == (False, (0.0, 0.0), False)


@pytest.mark.parametrize("name", ["apache-kill", "apache-hang", "apache-error"])
def test_as_printed_nobody_looks_at_apache2(name: str) -> None:
    """Without the monitor the service does not move; who has the VIP is no question where both have it."""
    expectation = expected(name, FAST.with_options(profile="as-printed"))
    assert (expectation.moves, expectation.outage_ms, expectation.dual_owner) == (False, None, None)


@pytest.mark.parametrize("profile", ["corrected", "as-printed"])
@pytest.mark.parametrize("name", BANDS)
def test_every_expectation_says_why(name: str, profile: str) -> None:
    """The reason is for a student: a sentence, without a full stop, because it stands within other text."""
    why = expected(name, FAST.with_options(profile=profile)).why
    assert len(why.split()) > 4
    assert not why.endswith(".")
