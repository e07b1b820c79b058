"""The phases of an outage, one below the other: what came when, and how long after what came before it."""

from collections.abc import Mapping

from labkit.plot.canvas import BAND_COLOUR, LETTER_PX, NODE_COLOURS, WIDE_PX, Canvas, duration, style

ROW_PX, BAR_PX = 22, 13
WAITING_COLOUR = "#868b94"
COLOURS = {
    **dict.fromkeys(("acquiring", "address up", "gratuitous ARP"), NODE_COLOURS[1]),
    **dict.fromkeys(("refused", "first good answer"), BAND_COLOUR),
}


def waterfall_svg(instants_ms: Mapping[str, float], width_px: int = WIDE_PX) -> str:
    """A bar for each phase, in order of time, from the one before it. Empty with fewer than two phases.

    instants_ms: phase -> ms after the fault.
    """
    phases = sorted(instants_ms.items(), key=lambda item: item[1])
    if len(phases) < 2:
        return ""
    name = f"phases-{width_px}"
    first_ms, last_ms = phases[0][1], phases[-1][1]
    length_ms = max(last_ms - first_ms, 1.0)
    with style(name):
        left_px = max(len(label) for label, _ in phases) * LETTER_PX + 4
        focus = (first_ms - 0.03 * length_ms, last_ms + 0.03 * length_ms)
        canvas = Canvas.blank(width_px, ROW_PX * len(phases) + 6, left_px, focus, "seconds after the fault")
        canvas.upright(0, 0, ROW_PX * len(phases) + 6, alpha=0.4, width_px=0.8)
        before_ms = first_ms
        for row, (label, at_ms) in enumerate(phases):
            y_px = ROW_PX * row + 6
            canvas.label(y_px + BAR_PX / 2, label)
            canvas.level(focus, y_px + BAR_PX / 2, alpha=0.15, width_px=0.8, zorder=0)
            least_ms = 2 / canvas.px_per_ms  # so that what took no time is seen
            canvas.bar((min(before_ms, at_ms - least_ms), at_ms), y_px, BAR_PX, COLOURS.get(label, WAITING_COLOUR))
            _length(canvas, before_ms, at_ms, y_px + BAR_PX / 2, "fault" if label == "fault" else "")
            before_ms = at_ms
        return canvas.svg(name, "Phases of the outage")


def _length(canvas: Canvas, start_ms: float, end_ms: float, y_px: float, instead: str) -> None:
    """A bar's length, behind it, or before it where there is no room."""
    text = instead or f"+{duration(end_ms - start_ms)}"
    room_ms = (len(text) * LETTER_PX + 10) / canvas.px_per_ms
    half_ms = (len(text) * LETTER_PX / 2 + 5) / canvas.px_per_ms
    fits = end_ms + room_ms < canvas.focus[1]
    canvas.text(end_ms + half_ms if fits else start_ms - half_ms, y_px, text)
