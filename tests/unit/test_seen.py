"""What the driver keeps in mind of the probe's answers: who serves, since when, and how steadily."""

from labkit.probe.agent import Seen
from tests.unit.histories import MASTER, SLAVE, TrialBuilder, at_ns


def after(trial: TrialBuilder) -> Seen:
    """What was seen of a trial's requests, each taken in when it was over."""
    seen = Seen()
    for request in sorted(trial.events, key=lambda r: int(r["t_ns"] + r["took_us"] * 1000)):
        seen.answered(request)
    return seen


def test_good_answers_in_a_row_are_counted_by_server() -> None:
    """A move begins a new row, and so does a failure."""
    assert after(TrialBuilder().served(MASTER, 0, 500)).good_in_a_row == 50
    assert after(TrialBuilder().served(MASTER, 0, 500).served(SLAVE, 500, 600)).good_in_a_row == 10
    seen = after(TrialBuilder().served(MASTER, 0, 500).request(500, "refused").served(MASTER, 510, 540))
    assert (seen.good_in_a_row, seen.requests, seen.failed) == (3, 54, 1)


def test_a_time_out_of_old_is_no_news() -> None:
    """A request that was due before service came back may time out long after that: the row goes on. One that was due
    since then breaks it."""
    trial = TrialBuilder().served(MASTER, 0, 100).asked(100, 1000, "timeout", took_ms=800)
    assert after(trial.served(SLAVE, 1000, 2500)).good_in_a_row == 150
    assert after(trial.request(2490, "timeout", took_ms=20)).good_in_a_row == 0


def test_who_served_at_an_instant_is_known() -> None:
    """By the requests' own times; nobody did before the first good answer."""
    seen = after(TrialBuilder().asked(0, 50, "refused").served(MASTER, 50, 100).served(SLAVE, 100, 150))
    assert [seen.server_at(at_ns(ms)) for ms in (40, 50, 99, 100, 999)] == [None, MASTER, MASTER, SLAVE, SLAVE]
