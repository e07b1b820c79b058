"""Times as Heartbeat 3.0.6 writes them: `2` (seconds), `1.5`, `200ms`, `200000us`. Not `2s`, `1sec`, `5min`.

The grammar is that of `cl_get_msec` in cluster-glue 1.0.12 (lib/clplumbing/cl_misc.c), the only reader of times in the
daemon. It is looser than its documentation: only the first two letters of a unit count, and a second decimal point ends
the number.
"""

import re

from labkit.errors import BadInput

_BLANK = r"[ \t\n\r\f]*"
_TIME = re.compile(_BLANK + r"(?P<number>[0-9.]+)" + _BLANK + r"(?P<unit>.*)", re.DOTALL)
_NUMBER = re.compile(r"[0-9]*\.?[0-9]*")
_LONG_LIMIT = 2.0**63


def parse_time(text: str) -> float:
    """Give the milliseconds that the daemon takes `text` for: always a whole number, because it rounds.

    BadInput where the daemon refuses the text. Zero is a time; whether a directive takes it is another question.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise BadInput(f"{text!r} is not a time. Write seconds (`2`, `1.5`) or milliseconds (`200ms`).")
    unit = match["unit"][:2].lower()
    if unit not in ("", "ms", "us"):
        raise BadInput(
            f"{text!r} is not a time: Heartbeat knows no unit {match['unit']!r}."
            " Write seconds without a unit (`2`, `1.5`) or milliseconds (`200ms`)."
        )
    number = _NUMBER.match(match["number"])
    value = float(number[0]) if number and number[0] != "." and number[0] else 0.0
    milliseconds = value if unit == "ms" else value / 1000 if unit == "us" else value * 1000
    if milliseconds + 0.5 >= _LONG_LIMIT:
        raise BadInput(f"{text[:40]!r} is more milliseconds than Heartbeat can count. Use a smaller time.")
    return float(int(milliseconds + 0.5))


def show_ms(milliseconds: float) -> str:
    """Write a time for people: `4 s`, `1.5 s`, `200 ms`."""
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"
