"""How the daemon's C code takes text apart: `fgets` into a fixed buffer, `strspn` over blanks, `atoi`.

The three readers of this package share it, so that they see exactly what Heartbeat sees.
"""

import re
from collections.abc import Iterator

from labkit.errors import BadInput

BLANKS = " \t\n\r\f"  # WHITESPACE of include/heartbeat.h; a vertical tab is not among them
MAXLINE = 5120  # include/heartbeat.h

_INT_MAX = 2**31 - 1
_LONG_MAX = 2**63 - 1


def buffers(text: str, size: int = MAXLINE) -> Iterator[tuple[int, str]]:
    """Give what one `fgets` after the other leaves in a buffer of `size` bytes, with the line that it comes from.

    A longer line comes in pieces, each of which the daemon takes for a line. A NUL byte ends what it sees of a buffer.
    """
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), start=1):
        raw = line.encode("utf-8", "surrogatepass")
        for start in range(0, len(raw), size - 1):
            yield number, raw[start : start + size - 1].decode("utf-8", "replace").split("\0")[0]


def words(text: str, separators: str = BLANKS) -> list[str]:
    """Split at runs of separators, without empty words."""
    return [word for word in re.split(f"[{separators}]+", text) if word]


def atoi(text: str) -> int:
    """Read the number in front of a text as glibc does: anything after it is ignored, no number is 0, 32 bits."""
    match = re.match(r"[ \t\n\v\f\r]*([+-]?[0-9]+)", text)
    # As many digits as a long can have and one more say that it is too long; int() of thousands of digits is refused.
    clamped = max(-_LONG_MAX - 1, min(_LONG_MAX, int(_shortened(match[1])))) if match else 0
    return (clamped + _INT_MAX + 1) % 2**32 - _INT_MAX - 1


def reject(file: str, problems: list[tuple[int, str]]) -> None:
    """Raise one BadInput that lists all problems (line from 1, or 0 for the whole file; text), if there are any."""
    if problems:
        raise BadInput(
            "\n".join(f"{file}, line {line}: {text}" if line else f"{file}: {text}" for line, text in problems)
        )


def _shortened(number: str) -> str:
    sign, digits = ("-", number[1:]) if number[0] == "-" else ("", number.lstrip("+"))
    return sign + (digits.lstrip("0")[:20] or "0")
