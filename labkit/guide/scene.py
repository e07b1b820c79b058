"""A terminal's window as a picture: what is printed into it, as SVG. Pure."""

import io
import re
from collections.abc import Iterable

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # a picture loads nothing; the viewer's own font will do


def window(columns: int) -> Console:
    """A terminal of that width, to print into."""
    return Console(
        record=True,
        file=io.StringIO(),
        width=columns,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        legacy_windows=False,
    )


def picture(console: Console, title: str) -> str:
    """All that was printed into a window, as a picture that needs nothing beside it."""
    console.print()  # room below: the last line of rich's picture is cut off at its foot
    svg = WEB_FONT.sub("", console.export_svg(title=title, theme=SVG_EXPORT_THEME, unique_id="labkit"))
    return svg.replace("<text ", '<text xml:space="preserve" ')  # some viewers drop blanks at a text's ends


def draw(lines: Iterable[Text], columns: int, title: str) -> str:
    """The lines in a window of that width; a longer one is folded."""
    console = window(columns)
    for line in lines:
        console.print(line, overflow="fold")
    return picture(console, title)
