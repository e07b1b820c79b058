"""A figure over a grid of timings: one coloured square for each keepalive and deadtime, with the figure in it."""

from collections.abc import Mapping

from labkit.heartbeat.times import show_ms
from labkit.plot.canvas import AXIS_PX, LETTER_PX, WIDE_PX, duration, picture, style

ROW_PX = 40
WIDEST_COLUMN_PX = 150
GAP_PX = 3
LONGEST_FIGURE = 8  # letters of `10.40 s` and some room
COLOURS = "cividis"  # even in brightness from end to end, and the same for the colour-blind
EMPTY_COLOUR = "#868b94"
BLACK, WHITE = "#101316", "#ffffff"

Timing = tuple[float, float]
"""Keepalive and deadtime, in ms."""


def heatmap_svg(
    figures_ms: Mapping[Timing, float | None],
    name: str,
    title: str,
    width_px: int = WIDE_PX,
    top_ms: float | None = None,
) -> str:
    """Keepalive from left to right, deadtime from top to bottom. None stands for what was not measured, and a timing
    that is missing cannot be. top_ms: the figure of the strongest colour; the largest one if nothing is said. `name`
    makes the picture's ids its own on a page.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    columns = sorted({keepalive for keepalive, _ in figures_ms})
    rows = sorted({deadtime for _, deadtime in figures_ms})
    left_px = max(len(show_ms(row)) for row in rows) * LETTER_PX + 8
    column_px = min((width_px - left_px - 4) / len(columns), WIDEST_COLUMN_PX)
    crowded = column_px < LONGEST_FIGURE * LETTER_PX
    top_ms = top_ms or max((ms for ms in figures_ms.values() if ms), default=1.0)
    height_px, total_px = ROW_PX * len(rows), ROW_PX * len(rows) + 2 * AXIS_PX - 10
    ids = f"{name}-{width_px}"
    with style(ids):
        figure = Figure(figsize=(width_px / 72, total_px / 72), dpi=72)
        figure.patch.set_alpha(0)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, width_px)
        axes.set_ylim(total_px, 0)
        axes.text(0, 10, "deadtime; outages in seconds" if crowded else "deadtime", va="center")
        axes.text(left_px, total_px - 10, "keepalive", va="center")
        for y, deadtime in enumerate(rows):
            y_px = AXIS_PX - 12 + y * ROW_PX
            axes.text(0, y_px + ROW_PX / 2, show_ms(deadtime), va="center", fontweight="bold")
            for x, keepalive in enumerate(columns):
                x_px = left_px + x * column_px
                middle = (x_px + (column_px - GAP_PX) / 2, y_px + (ROW_PX - GAP_PX) / 2)
                if (keepalive, deadtime) not in figures_ms:
                    axes.text(*middle, "\N{EN DASH}", ha="center", va="center")
                    continue
                ms = figures_ms[keepalive, deadtime]
                shade = None if ms is None else min(ms / top_ms, 1.0)
                colour = EMPTY_COLOUR if shade is None else colormaps[COLOURS](0.1 + 0.9 * shade)
                square = (column_px - GAP_PX, ROW_PX - GAP_PX)
                axes.add_patch(Rectangle((x_px, y_px), *square, color=colour, linewidth=0))
                text = "?" if ms is None else f"{ms / 1000:.1f}" if crowded else duration(ms)
                ink = WHITE if shade is None or shade < 0.4 else BLACK
                axes.text(*middle, text, ha="center", va="center", color=ink, fontweight="bold")
        for x, keepalive in enumerate(columns):
            x_px = left_px + x * column_px + (column_px - GAP_PX) / 2
            axes.text(
                x_px, AXIS_PX - 12 + height_px + 8, show_ms(keepalive), ha="center", va="center", fontweight="bold"
            )
        return picture(figure, ids, title)
