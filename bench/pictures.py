"""The pictures of docs/performance.md, drawn from simulated runs of class B.

`python -m bench.pictures [--out docs/pictures] [--seed 1] [--cells 5]`: the timing chart of the plan, one
fold in detail, the overlay of a cell, the tension over a cell, and histograms against the tolerances.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import report

INK, GRID = "#333333", "#e6e6e6"
ANODE, CATHODE, TABLE, LIMIT = "#d8576b", "#31688e", "#333333", "#b03a2e"
FINE: Any = {"lw": 1.3}
MM, UM = 1e3, 1e6
TOLERANCE_MM, PAIR_MM, THETA_DEG, RESIDUAL_UM = 0.15, 0.21, 0.05, 10.0
FOLD_SHEET = 52  # where the fold in detail begins; an even number: the table stands on the right


def main() -> None:
    """Run, draw and write every picture."""
    arguments = report.parser(__doc__ or "")
    arguments.add_argument("--out", type=Path, default=Path("docs/pictures"))
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--cells", type=int, default=20, help="cells in the histograms")
    options = arguments.parse_args()
    report.prepare()
    written = draw_all(options.out, options.seed, options.cells)
    report.show("Pictures", {name: str(path) for name, path in written.items()}, options.json)


def draw_all(folder: Path, seed: int, cells: int) -> dict[str, Path]:
    """Draw every picture; returns where each was written."""
    from bench.recording import record_cells
    from controller.planning.chart import draw_timing_chart
    from controller.settings.loader import load_machine, load_recipe, load_settings
    from controller.settings.plant import PlantSettings
    from controller.simulate import Simulation

    recipe = load_recipe(report.RECIPE)
    settings: dict[str, Any] = {
        "machine": load_machine(report.MACHINE),
        "plant": load_settings(report.PLANT, PlantSettings),
        "recipe": recipe,
    }
    simulation = Simulation(**settings, seed=seed)
    first, learned = record_cells(simulation, (1, 3), recipe.sheets)
    figures = {
        "one_fold": draw_fold(learned),
        "overlay": draw_overlay(learned),
        "tension": draw_tension(first, learned, recipe.tension_n),
        "histograms": draw_histograms(_judges(settings, seed, cells), cells),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = {"timing_chart": folder / "timing_chart.png"}
    draw_timing_chart(simulation.plans[0], written["timing_chart"])
    for name, figure in figures.items():
        written[name] = folder / f"{name}.png"
        figure.savefig(written[name], dpi=110, metadata={"Software": None})
    return written


def _judges(settings: dict[str, Any], seed: int, cells: int) -> Any:
    """The judge after a longer run."""
    from controller.simulate import Simulation, stack_cells
    from hal_sim.judge.figures import judge_material

    simulation = Simulation(**settings, seed=seed)
    stack_cells(simulation, cells)
    return judge_material(simulation.machine.context)[0][0]


# -- one fold ---------------------------------------------------------------------------------------


def draw_fold(recording: Any, first: int = FOLD_SHEET) -> Figure:
    """Two half folds after sheet `first`: setpoints of table, arms and fingers, tension, vibration."""
    rows, spans = _fold_rows(recording, first)
    t = MM * (rows["time_s"] - rows["time_s"][0])
    figure = Figure(figsize=(11.0, 13.0), layout="constrained")
    axes = figure.subplots(6, 1, sharex=True, height_ratios=(1.1, 1.1, 1.1, 1.1, 1.0, 1.0))
    _draw_setpoints(axes[:4], rows, t)
    axes[4].plot(t, rows["tension_n"], color=TABLE, **FINE)
    _dress(axes[4], "web tension, N")
    _limits(axes[4], (2.7, 3.3), "±10 %")
    axes[4].set_ylim(2.4, 3.6)
    _draw_vibration(axes[5], rows, t)
    for axis in axes:
        for polarity, start, end in spans:
            colour = (ANODE, CATHODE)[polarity]
            axis.axvspan(t[start], t[end], color=colour, alpha=0.10, lw=0)
    axes[5].set_xlabel("time, ms")
    figure.suptitle(
        f"One pair of half folds, sheets {first + 1} and {first + 2} of cell "
        f"{recording.cell}; shaded: a sheet is pressed on the stack, touch-down to release"
    )
    return figure


def _fold_rows(recording: Any, first: int) -> tuple[Any, list[tuple[int, int, int]]]:
    """Rows of two half folds, and the spans (polarity, first, last) in which a sheet is pressed."""
    rows = recording.rows
    released = np.searchsorted(rows["sheets"], [first, first + 2])
    part = rows[released[0] - 50 : released[1] + 20]
    spans = []
    for polarity in range(2):
        pressed = np.concatenate([[0], part["pressed"][:, polarity], [0]]).astype(int)
        edges = np.flatnonzero(np.diff(pressed))
        spans += [(polarity, a, b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return part, spans


def _draw_setpoints(axes: Any, rows: Any, t: Any) -> None:
    from drivers.image import AxisId

    def target(axis: AxisId) -> Any:
        return MM * rows["target_m"][:, axis]

    axes[0].plot(t, target(AxisId.TABLE_X), color=TABLE, label="table x", **FINE)
    arms = (
        ("anode arm", ANODE, AxisId.ANODE_ARM_X, AxisId.ANODE_ARM_Z),
        ("cathode arm", CATHODE, AxisId.CATHODE_ARM_X, AxisId.CATHODE_ARM_Z),
    )
    for name, colour, x, z in arms:
        axes[1].plot(t, target(x), color=colour, label=f"{name} x", **FINE)
        axes[2].plot(t, target(z), color=colour, label=f"{name} z", **FINE)
    fingers = (
        ("left", ANODE, AxisId.FINGER_LEFT_FRONT_IN, AxisId.FINGER_LEFT_FRONT_DOWN),
        ("right", CATHODE, AxisId.FINGER_RIGHT_FRONT_IN, AxisId.FINGER_RIGHT_FRONT_DOWN),
    )
    for name, colour, reach, drop in fingers:
        axes[3].plot(t, target(reach), color=colour, label=f"{name} fingers in", **FINE)
        axes[3].plot(t, target(drop), color=colour, ls="--", label=f"{name} down", **FINE)
    for axis, label in zip(
        axes, ("table, mm", "arms x, mm", "arms z, mm", "fingers, mm"), strict=True
    ):
        _dress(axis, label)
        axis.legend(fontsize=8, ncol=4, loc="upper right", framealpha=0.9)
        low, high = axis.get_ylim()
        axis.set_ylim(low, high + 0.28 * (high - low))
    axes[2].axhline(3.0, color=LIMIT, lw=0.9, ls=":")
    axes[2].annotate(
        "3 mm",
        (0.002, 3.0),
        xycoords=("axes fraction", "data"),
        va="bottom",
        fontsize=8,
        color=LIMIT,
    )


def _draw_vibration(axis: Axes, rows: Any, t: Any) -> None:
    """How far the load is from the end it goes to, and where it must be quiet."""
    away = UM * (rows["load_m"] - np.where(rows["load_m"] > 0.0, 0.1, -0.1))
    axis.plot(t, np.where(np.abs(away) < 120.0, away, np.nan), color=TABLE, label="load", **FINE)
    encoder = away - UM * rows["deflection_m"]
    near = np.abs(encoder) < 120.0
    axis.plot(t, np.where(near, encoder, np.nan), color="#999999", lw=1.0, label="encoder")
    _limits(axis, (-RESIDUAL_UM, RESIDUAL_UM), "±10 µm")
    axis.set_ylim(-60.0, 60.0)
    axis.legend(fontsize=8, loc="upper right", ncol=2)
    _dress(axis, "from the end, µm")


# -- overlay ----------------------------------------------------------------------------------------


def draw_overlay(recording: Any) -> Figure:
    """Where every sheet of a cell lies: its centre in the plane, its four edges over the layers."""
    poses, edges = UM * recording.poses[:, :2], UM * recording.edges_m
    figure = Figure(figsize=(12.0, 5.6), layout="constrained")
    plane, layers = figure.subplots(1, 2, width_ratios=(1.0, 1.35))
    for polarity, (name, colour) in enumerate((("anodes", ANODE), ("cathodes", CATHODE))):
        own = poses[polarity::2]
        plane.scatter(own[:, 0], own[:, 1], s=18, color=colour, alpha=0.75, label=name, lw=0)
    tolerance = MM * TOLERANCE_MM
    box = np.array([-1.0, 1.0, 1.0, -1.0, -1.0]) * tolerance
    plane.plot(box, np.roll(box, -1)[[0, 1, 2, 3, 0]], color=LIMIT, ls=":", lw=1.2)
    plane.set_aspect("equal")
    plane.set_xlim(-190.0, 190.0)
    plane.set_xticks(range(-150, 151, 50))
    plane.set_ylim(-190.0, 190.0)
    plane.legend(fontsize=9, loc="upper right", ncol=2)
    _dress(plane, "y, µm")
    plane.set_xlabel("x along the web, µm")
    plane.set_title("centre of each sheet", fontsize=10)
    numbers = np.arange(1, len(edges) + 1)
    for edge, name in enumerate(("left", "right", "front", "rear")):
        layers.plot(numbers, edges[:, edge], ".", ms=5, color=f"C{edge}", label=name)
    _limits(layers, (-tolerance, tolerance), "p99.7 ≤ 0.15 mm")
    layers.set_ylim(-190.0, 190.0)
    layers.legend(fontsize=9, ncol=4, loc="upper right")
    _dress(layers, "edge from its place, µm")
    layers.set_xlabel("sheet")
    layers.set_title("edges, outward positive, cutting scatter included", fontsize=10)
    figure.suptitle(
        f"Overlay of cell {recording.cell}: {len(edges)} sheets against the stack's datum"
    )
    return figure


# -- tension ----------------------------------------------------------------------------------------


def draw_tension(first: Any, learned: Any, set_n: float) -> Figure:
    """Tension at the table end over the first cell and over a later one."""
    figure = Figure(figsize=(12.0, 6.2), layout="constrained")
    rows = figure.subplots(2, 2, width_ratios=(3.0, 1.0), sharey=True, sharex="col")
    for (curve, bins), recording in zip(rows, (first, learned), strict=True):
        tension = recording.rows["tension_n"]
        deviation = 100.0 * (tension - set_n) / set_n
        t = recording.rows["time_s"] - recording.rows["time_s"][0]
        curve.plot(t, tension, color=TABLE, lw=0.35)
        allowed = (0.20, 0.06) if recording.cell == 1 else (0.10, 0.03)
        peak, rms = allowed
        _limits(curve, (set_n * (1.0 - peak), set_n * (1.0 + peak)), f"±{100 * peak:.0f} %")
        bins.hist(tension, 80, range=(2.2, 3.8), orientation="horizontal", color=CATHODE)
        bins.set_xticks([])
        for side in ("top", "right"):
            bins.spines[side].set_visible(False)
        curve.set_title(
            f"cell {recording.cell}: rms {np.sqrt(np.mean(deviation**2)):.1f} % "
            f"(goal {100 * rms:.0f} %), peak {np.abs(deviation).max():.1f} % "
            f"(goal {100 * peak:.0f} %)",
            fontsize=10,
        )
        _dress(curve, "tension, N")
        curve.set_xlim(0.0, t[-1])
        curve.set_ylim(2.2, 3.8)
    rows[1][0].set_xlabel("time in the cell, s")
    rows[1][1].set_xlabel("share of time")
    figure.suptitle(f"Web tension at the table, set {set_n:g} N, each millisecond of a cell")
    return figure


# -- histograms -------------------------------------------------------------------------------------


def draw_histograms(judge: Any, cells: int) -> Figure:
    """Overlay, cathode to anode, angle and load residual against what is allowed."""
    figure = Figure(figsize=(12.0, 7.4), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    kinds = (
        ("overlay_bins", 1e-3, 4, "each edge from its place, mm", TOLERANCE_MM, "p99.7"),
        ("pair_bins", 1e-3, 6, "cathode to next anode, mm", PAIR_MM, "p99.7"),
        ("theta_bins", 1e-4, 10, "angle, deg", THETA_DEG, "p99.7"),
        ("residual_bins", 0.1, 2, "load from its place while pressed, µm", RESIDUAL_UM, "max"),
    )
    for axis, (name, width, group, label, allowed, kind) in zip(panels, kinds, strict=True):
        _draw_bins(axis, judge[name], width, group, allowed, kind)
        axis.set_xlabel(label)
    least = np.sqrt(judge["irreducible_square_m2"] / judge["irreducible_count"]) * MM
    x = np.linspace(0.0, TOLERANCE_MM * 1.25, 200)
    total = judge["overlay_count"] * 0.004
    normal = total * np.sqrt(2.0 / np.pi) / least * np.exp(-0.5 * (x / least) ** 2)
    panels[0].plot(x, normal, color=INK, lw=1.2, label=f"irreducible, sigma {1e3 * least:.1f} µm")
    panels[0].legend(fontsize=8, loc=(0.33, 0.60), framealpha=1.0)
    sheets = int(judge["sheets_laid"])
    figure.suptitle(f"{sheets} sheets in {cells} cells against their tolerances, by the judge")
    return figure


def _draw_bins(axis: Axes, bins: Any, width: float, group: int, allowed: float, kind: str) -> None:
    shown = int(np.ceil(1.3 * allowed / width / group)) * group
    counts = bins[:shown].reshape(-1, group).sum(axis=1)
    axis.bar(
        width * group * (np.arange(len(counts)) + 0.5), counts, width * group * 0.92, color=CATHODE
    )
    share = 0.997 if kind == "p99.7" else 1.0
    reached = width * (np.searchsorted(np.cumsum(bins), share * bins.sum()) + 1)
    axis.axvline(allowed, color=LIMIT, ls=":", lw=1.5)
    axis.axvline(reached, color=INK, lw=1.2)
    top = axis.get_ylim()[1]
    plain: Any = {"va": "top", "fontsize": 9, "bbox": {"fc": "white", "ec": "none", "pad": 1.0}}
    room = 0.004 * shown * width
    axis.annotate(f"allowed {allowed:g}", (allowed + room, 0.97 * top), color=LIMIT, **plain)
    left = reached > 0.5 * allowed
    plain["ha"] = "right" if left else "left"
    at = (reached - room if left else reached + room, 0.85 * top)
    axis.annotate(f"{kind} {reached:.3g}", at, **plain)
    axis.set_xlim(0.0, shown * width)
    _dress(axis, "count")


# -- dress ------------------------------------------------------------------------------------------


def _dress(axis: Axes, label: str) -> None:
    axis.set_ylabel(label)
    axis.grid(True, color=GRID, lw=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _limits(axis: Axes, values: tuple[float, float], name: str) -> None:
    for value in values:
        axis.axhline(value, color=LIMIT, lw=0.9, ls=":")
    axis.annotate(
        name, (1.0, values[1]), xycoords=("axes fraction", "data"), ha="right", va="bottom",
        fontsize=8, color=LIMIT,
    )  # fmt: skip


if __name__ == "__main__":
    main()
