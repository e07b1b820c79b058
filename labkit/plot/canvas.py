"""A surface to draw on: time from left to right, px from top to bottom, and from there to an <svg> element.

Text stays text, ink is `currentColor` and the background transparent. The colours are mid-tones that hold on white and
on black and differ for the colour-blind; whatever they tell is told by place and label too.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE_PX = 720
NARROW_PX = 340

INK = "#010203"  # stands for currentColor until the picture is text
NODE_COLOURS = ("#2a7fc1", "#c77700")
OTHER_COLOUR = "#8b6fb8"
ALARM_COLOUR = "#d1495b"
BAND_COLOUR = "#3a9a7e"

FONT_PX = 11
LETTER_PX = 6.7  # of a bold letter, on average
AXIS_PX = 36
RIGHT_PX = 12

Span = tuple[float, float]
"""From, to: ms."""


def duration(ms: float | None) -> str:
    """A duration for people: `1.72 s`, `240 ms`, `not measured`."""
    if ms is None:
        return "not measured"
    return f"{ms / 1000:.2f} s" if abs(ms) >= 1000 else f"{ms:.0f} ms"


@dataclass(frozen=True)
class Canvas:
    """Axes whose x counts seconds and whose y counts px from the top, with what is needed to place letters there.

    `focus` is the stretch of time that is shown; what lies outside is cut off.
    """

    figure: "Figure"
    axes: "Axes"
    focus: Span
    px_per_ms: float

    @classmethod
    def blank(cls, width_px: int, height_px: float, left_px: float, focus: Span, x_label: str) -> "Canvas":
        """A new canvas; the time axis adds AXIS_PX to its height, and `left_px` are left free for labels."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        plot_px, total_px = width_px - left_px - RIGHT_PX, height_px + AXIS_PX
        figure = Figure(figsize=(width_px / 72, total_px / 72), dpi=72)
        figure.patch.set_alpha(0)
        axes = figure.add_axes((left_px / width_px, AXIS_PX / total_px, plot_px / width_px, height_px / total_px))
        axes.patch.set_alpha(0)
        axes.set_xlim(focus[0] / 1000, focus[1] / 1000)
        axes.set_ylim(height_px, 0)
        axes.set_yticks([])
        axes.xaxis.set_major_locator(MaxNLocator(nbins=max(3, int(plot_px // 70)), steps=[1, 2, 5, 10]))
        axes.set_xlabel(x_label)
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        return cls(figure, axes, focus, plot_px / (focus[1] - focus[0]))

    def text(self, at_ms: float, y_px: float, text: str) -> None:
        """Bold text centred on an instant, or as near as the edges allow."""
        half_ms = len(text) * LETTER_PX / 2 / self.px_per_ms
        inside_ms = min(max(at_ms, self.focus[0] + half_ms), self.focus[1] - half_ms)
        self.axes.text(inside_ms / 1000, y_px, text, ha="center", va="center", fontweight="bold")

    def label(self, y_px: float, text: str, bold: bool = False) -> None:
        """Text at the picture's left edge."""
        from matplotlib.transforms import blended_transform_factory

        from_left = blended_transform_factory(self.figure.transFigure, self.axes.transData)
        weight = "bold" if bold else "normal"
        self.axes.text(0, y_px, text, transform=from_left, ha="left", va="center", fontweight=weight)

    def bar(self, span: Span, y_px: float, height_px: float, colour: str, alpha: float = 1.0) -> None:
        start_ms, end_ms = max(span[0], self.focus[0]), min(span[1], self.focus[1])
        if start_ms < end_ms:
            width_s = (end_ms - start_ms) / 1000
            self.axes.broken_barh([(start_ms / 1000, width_s)], (y_px, height_px), color=colour, alpha=alpha, lw=0)

    def upright(self, at_ms: float, top_px: float, bottom_px: float, alpha: float = 1.0, width_px: float = 1.5) -> None:
        """A vertical line at an instant."""
        self.axes.plot([at_ms / 1000] * 2, [top_px, bottom_px], color=INK, alpha=alpha, linewidth=width_px, zorder=3)

    def level(self, span: Span, y_px: float, alpha: float = 1.0, width_px: float = 1.5, zorder: float = 3) -> None:
        """A horizontal line over a stretch of time."""
        seconds = [ms / 1000 for ms in span]
        self.axes.plot(seconds, [y_px, y_px], color=INK, alpha=alpha, linewidth=width_px, zorder=zorder)

    def svg(self, name: str, title: str) -> str:
        """The drawing as `picture` gives it."""
        return picture(self.figure, name, title)


def picture(figure: "Figure", name: str, title: str) -> str:
    """A drawing as an <svg> element for a page: with proportions but no size, and ids that begin with `name`."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = text.getvalue().replace(INK, "currentColor")
    for pattern, instead in (
        (r"^.*?(?=<svg)", ""),  # the XML prologue
        (r"<style.*?</style>", ""),  # would hold for the whole page
        (r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', rf'\1 role="img" aria-label="{title}"'),
        (r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-"),
        (r"(font:[^;\"]*?\d+px) [^;\"]*", r"\g<1> system-ui, sans-serif"),
    ):
        svg = re.sub(pattern, instead, svg, flags=re.DOTALL)
    return svg


@contextmanager
def style(name: str) -> Iterator[None]:
    """matplotlib's settings for a picture: text as text, ink everywhere, the same ids each time it is drawn."""
    import matplotlib

    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": FONT_PX, "text.parse_math": False}
    settings |= dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color"), INK)
    with matplotlib.rc_context(settings):
        yield
