"""The outages of many trials in one picture."""

from collections.abc import Sequence

from labkit.measure import summarize
from labkit.plot.canvas import ALARM_COLOUR, BAND_COLOUR, INK, NODE_COLOURS, WIDE_PX, Canvas, style

HEIGHT_PX = 106
TOP_PX, BOTTOM_PX = 20, 86
GOLDEN = 0.618


def distribution_svg(
    outages_ms: Sequence[float | None], predicted_ms: Sequence[float] | None, width_px: int = WIDE_PX
) -> str:
    """A dot for each outage in ms, their median, and the predicted band (lowest, highest in ms) behind them.

    Dots outside the band have another colour. Empty if no outage was measured.
    """
    summary = summarize(outages_ms)
    measured = [ms for ms in outages_ms if ms is not None]
    if summary.median is None:
        return ""
    everything = [*measured, *(predicted_ms or ())]
    margin_ms = max(0.08 * (max(everything) - min(everything)), 50.0)
    name = f"outages-{width_px}"
    with style(name):
        focus = (max(min(everything) - margin_ms, 0.0), max(everything) + margin_ms)
        canvas = Canvas.blank(width_px, HEIGHT_PX, 12, focus, "outage in seconds")
        low_ms, high_ms = predicted_ms or (0.0, float("inf"))
        if predicted_ms:
            canvas.bar((low_ms, high_ms), TOP_PX, BOTTOM_PX - TOP_PX, BAND_COLOUR, alpha=0.3)
            band = f"predicted {low_ms / 1000:.2f} to {high_ms / 1000:.2f} s"
            canvas.text((low_ms + high_ms) / 2, TOP_PX - 10, band)
        for index, outage_ms in enumerate(measured):
            y_px = TOP_PX + 12 + (index * GOLDEN % 1) * (BOTTOM_PX - TOP_PX - 24)  # apart, and the same each time
            colour = NODE_COLOURS[0] if low_ms <= outage_ms <= high_ms else ALARM_COLOUR
            canvas.axes.scatter(
                [outage_ms / 1000], [y_px], s=36, color=colour, edgecolors=INK, linewidths=0.6, zorder=4
            )
        canvas.upright(summary.median, TOP_PX + 2, BOTTOM_PX)
        missed = f", {summary.missed} not measured" if summary.missed else ""
        canvas.text(summary.median, BOTTOM_PX + 11, f"median {summary.median / 1000:.2f} s of {summary.n}{missed}")
        return canvas.svg(name, f"Outages of {len(outages_ms)} trials")
