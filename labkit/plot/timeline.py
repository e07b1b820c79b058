"""One trial around its outage: who answered the client, who had the VIP, what the nodes were doing, and the steps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from labkit.history import Event, Trial
from labkit.measure import TrialMeasures, holdings, silence_ms, stays, timing_ms
from labkit.measure.service import in_hand_ns
from labkit.plot.canvas import (
    ALARM_COLOUR,
    LETTER_PX,
    NODE_COLOURS,
    OTHER_COLOUR,
    WIDE_PX,
    Canvas,
    Span,
    duration,
    style,
)

OUTCOME_COLOURS = {"timeout": "#868b94", "refused": "#c8443a", "reset": "#a8589f"}
STATE_ALPHAS = {"active": 1.0, "taking over": 0.55, "giving up": 0.55, "standby": 0.18}
SILENT_COLOUR = "#868b94"
STATE_LETTER_PX = 5.9  # of a state's name, which is not bold
HEAD_PX = 44  # the outage's length and line, then the steps' numbers
ROW_PX, ROW_PITCH_PX, LANE_TITLE_PX = 13, 18, 22
LONGEST_LABEL = 16
SHORTEST_MS = 400.0
NUMBER_PX = 28
LEAST_PX = 1.5  # a single failed request is seen, too


@dataclass(frozen=True)
class Bar:
    """A stretch of time in which something held, in ms relative to the fault. `text` is written on it where it fits."""

    span: Span
    colour: str
    alpha: float = 1.0
    text: str = ""


@dataclass(frozen=True)
class Row:
    """What a row shows, beside its label."""

    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Lane:
    """Rows under one title. `alarms` are shaded behind all of them and called `alarm`."""

    title: str
    rows: tuple[Row, ...]
    alarms: tuple[Span, ...] = ()
    alarm: str = ""


def timeline_svg(run: Event, trial: Trial, measures: TrialMeasures, width_px: int = WIDE_PX) -> str:
    """The timeline of a trial. `run` is the history's header.

    The numbers over the lines are places in `measures.steps`, from 1; the fault's bracket is shaded. Empty if no fault
    was injected: there is nothing to centre on.
    """
    inject = trial.fault("inject")
    if inject is None:
        return ""
    zero_ns: int = inject["before_ns"]
    nodes = {mac: node for node, mac in run.get("macs", {}).items()}
    names = list(run.get("spec", {}).get("nodes", {})) or list(nodes.values())
    owners = _owner_lane(trial, zero_ns, nodes, names)
    focus = _focus(trial, zero_ns, measures, owners.alarms)
    every = (_client_lane(trial, zero_ns, run["cadence_ms"], names), owners, _state_lane(run, trial, zero_ns, names))
    lanes = [_seen(lane, focus, names) for lane in every if lane.rows]
    name = f"trial-{trial.number}-{width_px}"
    with style(name):
        return _draw(lanes, focus, measures, width_px).svg(name, f"Timeline of trial {trial.number}")


def _client_lane(trial: Trial, zero_ns: int, cadence_ms: float, names: Sequence[str]) -> Lane:
    """A good answer stands where it was in hand, so that an outage is as wide as it was; a failure where it was due."""

    def answer(request: Event) -> tuple[int, str]:
        if request["outcome"] == "good":
            return in_hand_ns(request), str(request.get("server"))
        return int(request["t_ns"]), str(request["outcome"])

    spans: dict[str, list[Span]] = {name: [] for name in names}
    for who, group in groupby(sorted(map(answer, trial.of("request"))), itemgetter(1)):
        instants_ms = [(t_ns - zero_ns) / 1e6 for t_ns, _ in group]
        spans.setdefault(who, []).append((instants_ms[0], instants_ms[-1] + cadence_ms))
    return Lane("Answered by", _rows(spans, names))


def _owner_lane(trial: Trial, zero_ns: int, nodes: Mapping[str, str], names: Sequence[str]) -> Lane:
    rounds = [((r.start_ns - zero_ns) / 1e6, (r.end_ns - zero_ns) / 1e6, r.macs) for r in holdings(trial)]
    owners: dict[str, list[Span]] = {name: [] for name in names}
    for mac in sorted({mac for _, _, macs in rounds for mac in macs}):
        owners[nodes.get(mac, mac)] = _joined((start, end) for start, end, macs in rounds if mac in macs)
    alarms = _joined((start, end) for start, end, macs in rounds if len(macs) > 1)
    return Lane("VIP owner (ARP)", _rows(owners, names), tuple(alarms), "two owners")


def _state_lane(run: Event, trial: Trial, zero_ns: int, names: Sequence[str]) -> Lane:
    """Each node's own colour, strong while it is active and faint while it stands by; grey while it is silent."""
    colours = _colours(names)
    bars: dict[str, list[Bar]] = {}
    macs = {mac: node for node, mac in run.get("macs", {}).items()}
    for stay in stays(trial, macs, silence_ms(*timing_ms(run))):
        span = ((stay.start_ns - zero_ns) / 1e6, (stay.end_ns - zero_ns) / 1e6)
        alpha = STATE_ALPHAS.get(stay.state)
        colour = SILENT_COLOUR if alpha is None else colours.get(stay.node, OTHER_COLOUR)
        bars.setdefault(stay.node, []).append(Bar(span, colour, 0.55 if alpha is None else alpha, stay.state))
    return Lane("Nodes", tuple(Row(node, tuple(bars[node])) for node in names if node in bars))


def _rows(spans: Mapping[str, Sequence[Span]], names: Sequence[str]) -> tuple[Row, ...]:
    colours = _colours(names)
    return tuple(
        Row(label, tuple(Bar(span, colours.get(label, OTHER_COLOUR)) for span in where))
        for label, where in spans.items()
    )


def _colours(names: Sequence[str]) -> dict[str, str]:
    return dict(zip(names, NODE_COLOURS, strict=False)) | OUTCOME_COLOURS


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in order of time, with those that touch made one."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _focus(trial: Trial, zero_ns: int, measures: TrialMeasures, alarms: Sequence[Span]) -> Span:
    """What to show: the outage with all steps and any dual ownership before healing, and a margin.

    Until healing where the outage was not measured.
    """
    heal = trial.fault("heal")
    end_ms = ((heal["before_ns"] if heal else trial.end_ns) - zero_ns) / 1e6
    if measures.outage_ms is None:
        return -0.2 * end_ms - 1, end_ms
    shown = [0.0, SHORTEST_MS, *(step.t_ms for step in measures.steps)]
    shown += [min(end, end_ms) for start, end in alarms if 0 <= start < end_ms]
    length_ms = max(shown) - min(shown)
    return min(shown) - 0.2 * length_ms, max(shown) + 0.25 * length_ms


def _seen(lane: Lane, focus: Span, names: Sequence[str]) -> Lane:
    """The lane without what is out of focus. The nodes' rows stay even when empty: that they are tells something."""

    def within(span: Span) -> bool:
        return span[0] < focus[1] and span[1] > focus[0]

    rows = [Row(row.label, tuple(bar for bar in row.bars if within(bar.span))) for row in lane.rows]
    alarms = tuple(span for span in lane.alarms if within(span))
    return Lane(lane.title, tuple(r for r in rows if r.bars or r.label in names), alarms, lane.alarm)


def _draw(lanes: Sequence[Lane], focus: Span, measures: TrialMeasures, width_px: int) -> Canvas:
    labels = [_short(row.label) for lane in lanes for row in lane.rows] + [lane.title for lane in lanes]
    height_px = HEAD_PX + sum(LANE_TITLE_PX + ROW_PITCH_PX * len(lane.rows) for lane in lanes) + 4
    left_px = max(map(len, labels)) * LETTER_PX + 8
    canvas = Canvas.blank(width_px, height_px, left_px, focus, "seconds after the fault")
    _outage(canvas, measures)
    _steps(canvas, measures, height_px)
    y_px: float = HEAD_PX
    for lane in lanes:
        y_px = _lane(canvas, lane, y_px)
    return canvas


def _outage(canvas: Canvas, measures: TrialMeasures) -> None:
    """A line from the last good answer before the outage to the first one after it, with its length."""
    start_ms, end_ms = measures.outage_start_ms, canvas.focus[1]
    if start_ms is None:
        canvas.text(sum(canvas.focus) / 2, 8, "no outage" if measures.outage_ms == 0 else "outage not measured")
        return
    if measures.outage_ms is not None:
        end_ms = start_ms + measures.outage_ms
        canvas.upright(end_ms, 16, 24)
    canvas.upright(start_ms, 16, 24)
    canvas.level((start_ms, end_ms), 20)
    length = "no good answer any more" if measures.outage_ms is None else f"outage {duration(measures.outage_ms)}"
    canvas.text((start_ms + end_ms) / 2, 8, length)


def _steps(canvas: Canvas, measures: TrialMeasures, height_px: float) -> None:
    bracket_ms = max(measures.fault_error_ms or 0.0, 2 / canvas.px_per_ms)
    canvas.bar((0, bracket_ms), HEAD_PX - 2, height_px - HEAD_PX + 2, ALARM_COLOUR, alpha=0.45)
    instants_ms = [step.t_ms for step in measures.steps]
    for at_ms in instants_ms:
        canvas.upright(at_ms, HEAD_PX - 2, height_px, alpha=0.4, width_px=0.8)
    for text, at_ms in _numbers(instants_ms, NUMBER_PX / canvas.px_per_ms):
        canvas.text(at_ms, HEAD_PX - 9, text)


def _numbers(instants_ms: Sequence[float], apart_ms: float) -> list[tuple[str, float]]:
    """Numbers from 1 for instants in order, and where to write them; those too near each other share one, as in 3-5."""
    groups: list[list[int]] = []
    for index, at_ms in enumerate(instants_ms):
        if groups and at_ms - instants_ms[groups[-1][-1]] < apart_ms:
            groups[-1].append(index)
        else:
            groups.append([index])
    return [
        (str(g[0] + 1) if len(g) == 1 else f"{g[0] + 1}-{g[-1] + 1}", (instants_ms[g[0]] + instants_ms[g[-1]]) / 2)
        for g in groups
    ]


def _lane(canvas: Canvas, lane: Lane, y_px: float) -> float:
    """Draw a lane from `y_px` on and give where the next one begins."""
    canvas.label(y_px + 11, lane.title, bold=True)
    if lane.alarms:
        start, end = max(lane.alarms, key=lambda span: span[1] - span[0])
        canvas.text((max(start, canvas.focus[0]) + min(end, canvas.focus[1])) / 2, y_px + 10, lane.alarm)
    y_px += LANE_TITLE_PX
    for span in lane.alarms:
        canvas.bar(span, y_px - 3, ROW_PITCH_PX * len(lane.rows) + 1, ALARM_COLOUR, alpha=0.35)
    for row in lane.rows:
        canvas.label(y_px + ROW_PX / 2, _short(row.label))
        canvas.level(canvas.focus, y_px + ROW_PX / 2, alpha=0.15, width_px=0.8, zorder=0)
        for bar in row.bars:
            start, end = max(bar.span[0], canvas.focus[0]), min(bar.span[1], canvas.focus[1])
            canvas.bar((start, max(end, start + LEAST_PX / canvas.px_per_ms)), y_px, ROW_PX, bar.colour, bar.alpha)
            if (end - start) * canvas.px_per_ms > len(bar.text) * STATE_LETTER_PX + 6:
                canvas.axes.text((start + end) / 2000, y_px + ROW_PX / 2, bar.text, ha="center", va="center", zorder=5)
        y_px += ROW_PITCH_PX
    return y_px


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "\N{HORIZONTAL ELLIPSIS}"
