"""The phases of an outage, one below the other: what came when, and how long after what came before it."""

from collections.abc import Mapping

from labkit.plot.canvas import BAND_COLOUR, LETTER_PX, NODE_COLOURS, WIDE_PX, Canvas, Span, duration, style

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
            least_ms = 2 / canvas.px_per_ms  # so that what took no time is seen
            bar = (min(before_ms, at_ms - least_ms), at_ms)
            canvas.bar(bar, y_px, BAR_PX, COLOURS.get(label, WAITING_COLOUR))
            length = "" if row == 0 or label == "fault" else f"+{duration(at_ms - before_ms)}"
            begins_ms = _write(canvas, bar, y_px + BAR_PX / 2, length)
            canvas.level((focus[0], begins_ms), y_px + BAR_PX / 2, alpha=0.15, width_px=0.8, zorder=0)
            before_ms = at_ms
        return canvas.svg(name, "Phases of the outage")


def _write(canvas: Canvas, bar: Span, y_px: float, text: str) -> float:
    """Writes behind a bar; where there is no room, on it or before it. Returns where the whole begins, in ms."""
    half_ms = (len(text) * LETTER_PX / 2 + 5) / canvas.px_per_ms
    start_ms, end_ms = bar
    if end_ms + 2 * half_ms < canvas.focus[1]:
        canvas.text(end_ms + half_ms, y_px, text)
        return start_ms
    if end_ms - start_ms > 2 * half_ms:
        canvas.text((start_ms + end_ms) / 2, y_px, text)
        return start_ms
    canvas.text(start_ms - half_ms, y_px, text)
    return start_ms - 2 * half_ms
