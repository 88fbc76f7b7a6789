"""Draws motion's pictures: `python -m motion.pictures [--out DIR]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from motion.cam_laws import LAWS
from motion.cam_moves import Move, moves_to_cam
from motion.cam_table import CamTable
from motion.fold_geometry import fold_geometry, web_motion
from motion.limits import MotionLimits
from motion.master import new_master, step_master_towards
from motion.optimise import optimise_move
from motion.optimise_check import residual_vibration
from motion.optimise_problem import ModeBand, MoveProblem, WebBound
from motion.shapers import ei, shaped, zv, zvd

Array = NDArray[np.float64]

GEOMETRY = fold_geometry(0.107, 0.2, 0.15)
PROBLEM = MoveProblem(0.2, MotionLimits.symmetric(3.0, 40.0, 5000.0), ModeBand(60.0, 0.03))
WEB = WebBound(GEOMETRY, 26.7, start_m=-0.1)
ALLOWED_UM = 10.0


def s_curve() -> CamTable:
    """The time-optimal jerk-limited table move: what shapers and optimiser start from."""
    limits = PROBLEM.limits
    ramp = limits.acceleration / limits.jerk
    flat = PROBLEM.shortest_s() / 2.0 - 2.0 * ramp
    durations = [ramp, flat, 2.0 * ramp, flat, ramp]
    return CamTable.from_phases(durations, limits.jerk * np.array([1.0, 0.0, -1.0, 0.0, 1.0]))


def profiles() -> dict[str, CamTable]:
    """Table moves of 0.2 m side by side, by name."""
    bare, mode = s_curve(), ModeBand(60.0, 0.03)
    f, d = mode.frequency_hz, mode.damping
    with_web = MoveProblem(PROBLEM.distance_m, PROBLEM.limits, mode, web=WEB)
    return {
        "S-curve": bare,
        "with ZV": shaped(bare, zv(f, d)),
        "with ZVD": shaped(bare, zvd(f, d)),
        "with EI": shaped(bare, ei(f, d)),
        "optimised": optimise_move(PROBLEM).cam,
        "optimised, web": optimise_move(with_web).cam,
    }


def draw_profiles(chosen: dict[str, CamTable]) -> Figure:
    """Position, velocity, acceleration and jerk over time, residual over the mode, web."""
    figure = Figure(figsize=(12.0, 10.0), layout="constrained")
    axes = figure.subplots(3, 2).ravel()
    band = np.linspace(45.0, 75.0, 241)
    for i, (name, cam) in enumerate(chosen.items()):
        t = np.linspace(0.0, cam.length, 4001)
        states = cam.sample(t)
        style = {"color": f"C{i}", "lw": 1.3}
        for axis, column in zip(axes[:4], range(4), strict=True):
            axis.plot(1e3 * t, states[:, column], **style)
        axes[0].plot([], [], label=f"{name}: {1e3 * cam.length:.1f} ms", **style)
        axes[4].semilogy(band, 1e6 * residual_vibration(cam, band, 0.03), **style)
        axes[5].plot(1e3 * t, _web_acceleration(states), **style)
    for axis, label in zip(axes, _PROFILE_LABELS, strict=True):
        _dress(axis, "ms", label)
    _bound(axes[1:4], (PROBLEM.limits.velocity, PROBLEM.limits.acceleration, PROBLEM.limits.jerk))
    _dress(axes[4], "mode, Hz", "residual vibration, um")
    axes[4].axvspan(54.0, 66.0, color="0.92")
    axes[4].axhline(ALLOWED_UM, color="0.5", ls=":")
    axes[4].set_ylim(0.05, 1000.0)
    axes[0].legend(fontsize=8)
    for side in (1.0, -1.0):
        axes[5].axhline(side * WEB.acceleration_m_s2, color="0.5", ls=":")
    figure.suptitle("Table move of 0.2 m under 3 m/s, 40 m/s2, 5000 m/s3; mode 60 Hz +-10 %")
    return figure


_PROFILE_LABELS = (
    "position, m",
    "velocity, m/s",
    "acceleration, m/s2",
    "jerk, m/s3",
    "residual vibration, um",
    "web acceleration, m/s2 (roller 0.15 m)",
)


def _web_acceleration(states: Array) -> list[float]:
    arm_up = (float("inf"), 0.0, 0.0)
    return [
        web_motion(GEOMETRY[0], WEB.side, (WEB.start_m + x, v, a), arm_up)[2]
        for x, v, a in states[:, :3]
    ]


def _bound(axes: NDArray[np.object_], bounds: tuple[float, ...]) -> None:
    for axis, bound in zip(axes, bounds, strict=True):
        for side in (1.0, -1.0):
            if side > 0.0 or axis.get_ylim()[0] < -0.1 * bound:
                axis.axhline(side * bound, color="0.5", ls=":")


def draw_laws() -> Figure:
    """Position to jerk of the laws of VDI 2143, and the residual of a table move after each."""
    figure = Figure(figsize=(12.0, 10.0), layout="constrained")
    axes = figure.subplots(3, 2).ravel()
    u, band = np.linspace(0.0, 1.0, 1001), np.linspace(20.0, 90.0, 281)
    for i, law in enumerate(LAWS):
        values, style = law.evaluate(u), {"color": f"C{i}", "lw": 1.3}
        for axis, column in zip(axes[:4], range(4), strict=True):
            axis.plot(u, values[:, column], **style)
        move = CamTable.from_law(law, 0.16, 0.0, 0.2)
        residual = 1e6 * residual_vibration(move, band, 0.03)
        axes[0].plot([], [], label=law.name, **style)
        axes[4].semilogy(band, residual, **style)
    rows = [
        [law.name, *(f"{value:.4f}" for value in vars(law.coefficients).values())] for law in LAWS
    ]
    axes[5].axis("off")
    heads = ["law", "Cv", "Ca", "Cj", "a rms"]
    table = axes[5].table(rows, colLabels=heads, loc="center", colWidths=[0.4, *[0.16] * 4])
    table.scale(1.0, 1.5)
    for axis, label in zip(axes[:4], ("s", "s'", "s''", "s'''"), strict=True):
        _dress(axis, "u", label)
    _dress(axes[4], "mode, Hz", "residual vibration, um (0.2 m in 160 ms)")
    axes[0].legend(fontsize=8)
    figure.suptitle("Laws of motion after VDI 2143")
    return figure


def draw_web() -> Figure:
    """Length, speed and acceleration of the web through one layer."""
    geometry = fold_geometry(0.107, 0.2, 0.06)
    table_move = optimise_move(PROBLEM).cam
    descent = CamTable.from_law(LAWS[0], 0.05, 0.045, 0.0, 0.13)
    t = np.linspace(0.0, descent.end, 4001)
    tables, arms = table_move.sample(t), descent.sample(t)
    web = np.array(
        [
            web_motion(geometry[0], 1.0, (x - 0.1, v, a), (h, vh, ah))
            for (x, v, a, _), (h, vh, ah, _) in zip(tables, arms, strict=True)
        ]
    )
    figure = Figure(figsize=(8.0, 9.0), layout="constrained")
    axes = figure.subplots(4, 1)
    axes[0].plot(1e3 * t, 1e3 * (tables[:, 0] - 0.1), label="table, mm")
    axes[0].plot(1e3 * t, 1e3 * arms[:, 0], label="sheet above the stack, mm")
    axes[0].legend(fontsize=8)
    labels = ("web length, mm", "web speed, m/s", "web acceleration, m/s2")
    for axis, values, label in zip(axes[1:], (web * [1e3, 1.0, 1.0]).T, labels, strict=True):
        axis.plot(1e3 * t, values, color="C2")
        _dress(axis, "ms", label)
    _dress(axes[0], "ms", "mm")
    figure.suptitle("Web asked for by one layer, roller 60 mm above the stack")
    return figure


def draw_master() -> Figure:
    """Stop at a gate, restart and reverse of the virtual master, and a slave on its path."""
    slave = moves_to_cam(
        0.4, -0.1, [Move(0.02, 0.18, 0.1, LAWS[3]), Move(0.22, 0.38, -0.1, LAWS[3])], True
    )
    master = new_master(acceleration_max=8.0, jerk_max=160.0)[0]
    rows = []
    for k in range(2200):
        hold = 0.6 if k < 1000 else np.inf
        target, hold = (1.0, hold) if k < 1500 else (-0.5, -np.inf)
        step_master_towards(master, target, hold, 0.001)
        rows.append([master[name] for name in ("position", "speed", "acceleration", "jerk")])
    values, t = np.array(rows), 0.001 * np.arange(len(rows))
    figure = Figure(figsize=(8.0, 9.0), layout="constrained")
    axes = figure.subplots(5, 1)
    labels = ("master, s", "speed", "acceleration, 1/s", "jerk, 1/s2")
    for axis, column, label in zip(axes, values.T, labels, strict=False):
        axis.plot(t, column)
        _dress(axis, "s", label)
    axes[0].axhline(0.6, color="0.5", ls=":")
    axes[4].plot(t, slave.sample(values[:, 0])[:, 0], color="C1")
    _dress(axes[4], "s", "slave, m")
    figure.suptitle("The master stops on a gate at 0.6 s, goes on, and reverses at half speed")
    return figure


def _dress(axis: Axes, x_label: str, y_label: str) -> None:
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.grid(True, color="0.9")


def main() -> None:
    """Write every picture into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "motion_laws": draw_laws(),
        "motion_profiles": draw_profiles(profiles()),
        "motion_web": draw_web(),
        "motion_master": draw_master(),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    main()
