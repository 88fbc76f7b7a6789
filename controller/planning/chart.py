"""The timing chart of a cycle plan: bars over one pair of half folds, position curves beneath, and the
change of cells.
"""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from controller.planning.cams import HALVES, Half
from controller.planning.cycle_plan import CyclePlan
from controller.shared.plan import RoutineId
from drivers.image import AxisId
from motion.cam_table import CamTable

_CURVES = (
    ("table x", AxisId.TABLE_X, 1e3, "mm"),
    ("anode arm x", AxisId.ANODE_ARM_X, 1e3, "mm"),
    ("anode arm z", AxisId.ANODE_ARM_Z, 1e3, "mm"),
    ("cathode arm x", AxisId.CATHODE_ARM_X, 1e3, "mm"),
    ("cathode arm z", AxisId.CATHODE_ARM_Z, 1e3, "mm"),
    ("left finger in", AxisId.FINGER_LEFT_FRONT_IN, 1e3, "mm"),
    ("left finger down", AxisId.FINGER_LEFT_FRONT_DOWN, 1e3, "mm"),
    ("right finger in", AxisId.FINGER_RIGHT_FRONT_IN, 1e3, "mm"),
    ("right finger down", AxisId.FINGER_RIGHT_FRONT_DOWN, 1e3, "mm"),
)
_CHANGE_ROWS = (
    "table x",
    "table z",
    "changer",
    "stack clamp",
    "anode arm x",
    "anode arm z",
    "cathode arm x",
    "cathode arm z",
    "left fingers",
    "right fingers",
    "cut",
    "wrap",
    "tape",
    "conveyor",
)
_PLACES = {
    RoutineId.FINISH: ("the cell's end", "#31688e"),
    RoutineId.LEAD_IN: ("the next one's start", "#35b779"),
    RoutineId.WRAP_UP: ("wrapping place", "#d8576b"),
}
_COLOURS = {"table": "#31688e", "arm": "#35b779", "finger": "#d8576b", "wait": "#f0b429"}


def _moving(cam: CamTable, period_s: float) -> list[tuple[float, float]]:
    """Spans (start, length) in ms in which a cam moves."""
    times = np.linspace(0.0, period_s, 4001)
    busy = np.abs(cam.sample(times)[:, 1]) > 1e-6
    edges = np.flatnonzero(np.diff(np.concatenate([[False], busy, [False]]).astype(int)))
    scale = 1e3 * period_s / 4000
    return [(a * scale, (b - a) * scale) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _rows(plan: CyclePlan, half: Half, offset_ms: float) -> list[tuple[str, str, float, float]]:
    """Bars of one half fold: (row, kind, start in ms, length in ms)."""
    times = plan.times
    leaving, arriving = half.leaving.name.lower(), half.arriving.name.lower()
    bars = []
    for name, axis, _, _ in _CURVES:
        kind = name.split()[1 if "arm" in name or "finger" in name else 0]
        for start, length in _moving(plan.cams[half][axis], times.period_s):
            bars.append((name, kind, start + offset_ms, length))
    release_ms = 1e3 * times.release_s
    bars.append((f"{leaving} vacuum off", "wait", offset_ms, release_ms))
    pick = offset_ms + 1e3 * times.pick_s
    span = 1e3 * (times.period_s - times.pick_s)
    bars.append((f"{leaving} vacuum on", "wait", pick, span))
    ready = 1e3 * times.ready_s - release_ms
    bars.append((f"{leaving} camera, correction", "wait", offset_ms + release_ms, ready))
    bars.append((f"{arriving} stage home", "wait", offset_ms + 1e3 * times.arrive_transfer_s, 60.0))
    return bars


def _draw_bars(axes: Axes, plan: CyclePlan) -> None:
    period_ms = 1e3 * plan.times.period_s
    bars = [bar for i, half in enumerate(HALVES) for bar in _rows(plan, half, i * period_ms)]
    names = list(dict.fromkeys(bar[0] for bar in bars))
    for name, kind, start, length in bars:
        axes.broken_barh([(start, length)], (names.index(name) - 0.4, 0.8), color=_COLOURS[kind])
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    for index in range(3):
        axes.axvline(index * period_ms, color="black", lw=0.8)
    for index in range(2):
        release = index * period_ms + 1e3 * plan.times.release_s
        axes.axvline(release, color="grey", lw=0.6, ls="--")
    axes.set_title(
        f"{plan.times.period_s:.4f} s a sheet planned, ideal bound {plan.bound.seconds:.4f} s, "
        f"ratio {plan.ratio:.3f}; solid lines: touch-down, dashed: release"
    )


def _draw_curves(axes: Axes, plan: CyclePlan) -> None:
    period = plan.times.period_s
    times = np.linspace(0.0, period, 1001)
    for name, axis, scale, unit in _CURVES[:5]:
        values = np.concatenate([plan.cams[half][axis].sample(times)[:, 0] for half in HALVES])
        both = np.concatenate([times, times + period]) * 1e3
        axes.plot(both, values * scale, label=f"{name} [{unit}]", lw=1.2)
    axes.set_xlabel("path time [ms]")
    axes.set_ylabel("position [mm]")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncol=5, loc="upper center", bbox_to_anchor=(0.5, -0.14))


def _change_row(what: str) -> str:
    """A row stands for what moves together: both fingers of a pair, in and down."""
    return f"{what.split()[1]} fingers" if what.startswith("finger") else what


def _draw_change(axes: Axes, plan: CyclePlan) -> None:
    """The end of a cell and the start of the next: tables on the turret, the wrapping place beside."""
    change, period_s = plan.change, plan.times.period_s
    busy = {_change_row(span.what) for span in change.spans}
    rows = [row for row in _CHANGE_ROWS if row in busy]
    for span in change.spans:
        row = rows.index(_change_row(span.what))
        name, colour = _PLACES[span.routine]
        bar = (span.start_s, span.length_s)
        axes.broken_barh([bar], (row - 0.4, 0.8), color=colour, label=name)
    halves = [
        ("start wrap", change.first_half_s, change.seconds - change.first_half_s),
        *(
            (f"sheet {index + 1}", change.seconds + index * period_s, period_s)
            for index in range(2)
        ),
    ]
    for name, start_s, length_s in halves:
        axes.axvspan(start_s, start_s + length_s, color="0.86", ec="white", zorder=0)
        axes.text(start_s + 0.5 * length_s, -0.7, name, ha="center", va="bottom", fontsize=7)
    for touch_down_s in (0.0, change.seconds + period_s, change.seconds + 2.0 * period_s):
        axes.axvline(touch_down_s, color="black", lw=0.8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_ylim(len(rows) - 0.3, -1.3)
    axes.set_xlabel("time from the last sheet's touch-down [s]")
    axes.set_title(f"change of cells: {change.seconds:.2f} s beyond the sheets")
    names = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(names.values(), names.keys(), fontsize=8, loc="lower left")


def draw_timing_chart(plan: CyclePlan, path: Path) -> None:
    """Draw one pair of half folds as bars and position curves, and the change of cells."""
    figure = plt.figure(figsize=(12, 13), layout="constrained")
    bars, curves, change = figure.subplots(3, 1, height_ratios=(6, 4, 5))
    curves.sharex(bars)
    bars.tick_params(labelbottom=False)
    _draw_bars(bars, plan)
    _draw_curves(curves, plan)
    _draw_change(change, plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
