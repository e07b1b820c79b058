"""Pictures as SVG text, for pages that are light or dark, and wide or as narrow as a phone.

matplotlib is imported only here, and only when something is drawn. A picture is drawn for a width: its letters have
their size in px there, so a page shows a wide and a narrow drawing rather than one that is scaled.
"""

from labkit.plot.canvas import NARROW_PX, WIDE_PX, duration
from labkit.plot.distribution import distribution_svg
from labkit.plot.heatmap import Timing, heatmap_svg
from labkit.plot.timeline import timeline_svg
from labkit.plot.waterfall import waterfall_svg

__all__ = [
    "NARROW_PX",
    "WIDE_PX",
    "Timing",
    "distribution_svg",
    "duration",
    "heatmap_svg",
    "timeline_svg",
    "waterfall_svg",
]
