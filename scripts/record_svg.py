#!/usr/bin/env python3
"""Runs a command on a terminal of its own and draws what it printed, colours included, as an SVG picture.

The picture of the README is made so, with a lab's images built and no lab up:

    .venv/bin/python scripts/record_svg.py docs/images/make-lab.svg --title "make lab" \
        --keep "checking the pages" "takeover-complete" --keep healed healed \
        --keep "^apache-stop, " "The lab stays up" \
        -- make --no-print-directory lab

Only whole lines are left out, and the picture says how many. Exit code: the command's.
"""

import argparse
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.text import Text

from labkit.guide.scene import draw

ERASED = re.compile(rb"^.*(?:\x1b\[2K|\r(?!$))", re.DOTALL)  # what a spinner wrote on a line, and took away again
OTHER_CONTROL = re.compile(rb"\x1b\[(?:\?\d+[hl]|\d*[A-DGJK])")  # the cursor: shown, hidden, moved


def record(command: list[str], columns: int) -> tuple[bytes, int]:
    """Everything that the command printed on a terminal of that width, which is shown here too, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.environ.update(TERM="xterm-256color", COLUMNS=str(columns))
        os.execvp(command[0], command)
    printed = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the terminal's other end is closed: Linux says so by EIO
            break
        if not piece:
            break
        printed += piece
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return printed, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def lines_of(printed: bytes) -> list[Text]:
    """The lines that stay on the terminal, with their colours and without blanks at their ends."""
    raw = (OTHER_CONTROL.sub(b"", ERASED.sub(b"", line.rstrip(b"\r"))) for line in printed.split(b"\n"))
    lines = [Text.from_ansi(line.decode("utf-8", "replace")) for line in raw]
    for line in lines:
        line.rstrip()
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def kept(lines: Sequence[Text], ranges: Sequence[tuple[str, str]]) -> Iterator[Text]:
    """The ranges of lines, each from a line in which the first pattern is found to one with the second; else all."""
    if not ranges:
        yield from lines
        return
    at = 0
    for first, last in ranges:
        start = _find(lines, first, at)
        end = _find(lines, last, start) + 1
        if start > at:
            count = start - at
            yield Text(f"   ({count} {'line' if count == 1 else 'lines'} left out)", style="italic dim")
        yield from lines[start:end]
        at = end


def _find(lines: Sequence[Text], pattern: str, start: int) -> int:
    for number in range(start, len(lines)):
        if re.search(pattern, lines[number].plain):
            return number
    sys.exit(f"record_svg: after line {start} of the output there is none with {pattern!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="file to write")
    parser.add_argument("--columns", type=int, default=110, help="width of the terminal (default: 110)")
    parser.add_argument("--title", default="", help="text in the window's frame (default: the command)")
    parser.add_argument(
        "--keep", nargs=2, action="append", default=[], metavar=("FIRST", "LAST"),
        help="lines to draw, from one in which the pattern FIRST is found to one with LAST; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--recording", type=Path, help="file of the raw output: drawn again if it is there, else written"
    )
    parser.add_argument("command", nargs="+", help="what to run, after --")
    asked = parser.parse_args()
    if asked.recording and asked.recording.exists():
        printed, exit_code = asked.recording.read_bytes(), 0
    else:
        printed, exit_code = record(asked.command, asked.columns)
        if asked.recording:
            asked.recording.write_bytes(printed)
    lines = list(kept(lines_of(printed), asked.keep))
    asked.picture.parent.mkdir(parents=True, exist_ok=True)
    asked.picture.write_text(draw(lines, asked.columns, asked.title or " ".join(asked.command)), encoding="utf-8")
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
