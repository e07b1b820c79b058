"""Times as Heartbeat reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import BadInput
from labkit.heartbeat.times import parse_time, show_ms


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2", 2000),
        ("1.5", 1500),
        (".5", 500),
        ("2.", 2000),
        (".", 0),
        ("0", 0),
        ("200ms", 200),
        ("200MS", 200),
        ("200msec", 200),
        ("200msfoo", 200),
        ("1000us", 1),
        ("1000usec", 1),
        ("499us", 0),
        ("501us", 1),
        ("1.0004", 1000),
        ("1.2.3", 1200),
        (" 2 ms", 2),
    ],
)
def test_times_that_heartbeat_takes(text: str, milliseconds: float) -> None:
    """A time is read as the daemon reads it: rounded to milliseconds, with its lax units and decimal points."""
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize("text", ["", "1s", "1sec", "5min", "-1", "+1", "x", "1e3", "1,5", "ms", "\v1", "9" * 30, "٣"])
def test_times_that_heartbeat_refuses(text: str) -> None:
    """A time that the daemon refuses is a BadInput, above all `1s`, which people write most."""
    with pytest.raises(BadInput):
        parse_time(text)


def test_refused_unit_is_named() -> None:
    """The message for `5s` says that the unit is the trouble, and how to write the time."""
    with pytest.raises(BadInput, match=r"'5s' is not a time: Heartbeat knows no unit 's'\. Write seconds without"):
        parse_time("5s")


@given(st.text())
def test_any_text_is_a_time_or_bad_input(text: str) -> None:
    """No text makes the reader fail in any way but BadInput, and a time is a whole number of ms, never negative."""
    try:
        milliseconds = parse_time(text)
    except BadInput:
        return
    assert milliseconds >= 0
    assert milliseconds == int(milliseconds)


@given(st.integers(min_value=0, max_value=10**9))
def test_whole_milliseconds_are_exact(milliseconds: int) -> None:
    """What is written in ms comes back as that many ms."""
    assert parse_time(f"{milliseconds}ms") == milliseconds


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(4000.0, "4 s"), (1500.0, "1.5 s"), (200.0, "200 ms"), (0.0, "0 ms")]
)
def test_times_for_people(milliseconds: float, text: str) -> None:
    """Times in messages stand in seconds from one second on, in ms below."""
    assert show_ms(milliseconds) == text
