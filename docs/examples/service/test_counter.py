"""What the users of counter can rely on."""

import requests

LONGEST_MS = 60_000  # generous: these tests also run on machines that are busy


def test_counts(ha_pair):
    """Each answer is more than the one before."""
    first, second = (int(requests.get(ha_pair.url, timeout=10).text) for _ in range(2))
    assert second > first


def test_survives_a_power_cut(ha_fault):
    """The other node serves soon after one has lost its power."""
    trial = ha_fault("node-kill")
    assert trial.server_before != trial.server_after
    assert trial.outage_ms < LONGEST_MS


def test_survives_its_own_death(ha_fault):
    """The monitor sees that counter is dead, and the other node serves."""
    trial = ha_fault("apache-kill")
    assert trial.server_before != trial.server_after
    assert trial.outage_ms < LONGEST_MS
