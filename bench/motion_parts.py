"""Measures the cams' side of motion: setpoints of a station and the optimised table move."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numba import njit

from motion.cam_bridge import FOLLOWER_DTYPE, new_follower, slave_setpoint
from motion.cam_laws import MODIFIED_SINE, POLYNOMIAL_345
from motion.cam_moves import Move, moves_to_cam
from motion.cam_table import CamTable, pack
from motion.fold_geometry import fold_geometry
from motion.layouts import CAM_DTYPE, SEGMENT_DTYPE
from motion.limits import MotionLimits
from motion.master import MASTER_DTYPE, new_master, step_master
from motion.move import plan_move
from motion.optimise import OptimisedMove, optimise_move
from motion.optimise_check import MoveCheck, check_move
from motion.optimise_problem import ModeBand, MoveProblem, WebBound
from motion.shapers import Shaper, ei, shaped, zv, zvd
from motion.trajectory import TRAJECTORY_DTYPE, evaluate, motion_state

AXES = 12
PERIOD_S = 0.36
LOAD_DTYPE = np.dtype(
    [("mass_kg", "f8"), ("viscous_n_s_m", "f8"), ("friction_n", "f8")], align=True
)

TABLE_MOVE = MoveProblem(0.2, MotionLimits.symmetric(3.0, 40.0, 5000.0), ModeBand(60.0, 0.03))
TABLE_MOVE_WITH_WEB = replace(
    TABLE_MOVE, web=WebBound(fold_geometry(0.107, 0.2, 0.15), 26.7, start_m=-0.1)
)


@njit(nogil=True, error_model="numpy")
def _run(cycles, plan, out):
    """Cycles of 1 ms: the master, then of each axis the cam and gear, a superimposed move and the
    feed-forward of its force.
    """
    master, total = plan.master, 0.0
    for cycle in range(cycles):
        step_master(master, 1.0, 0.001)
        time_s = 0.001 * (cycle % 100)
        for i in range(AXES):
            correction = evaluate(plan.corrections[i], time_s)
            p, v, a, j = slave_setpoint(
                plan.segments, plan.cams, plan.followers[i], master, correction
            )
            load = plan.loads[i]
            friction = load.friction_n if v > 0.0 else -load.friction_n
            force = load.mass_kg * a + load.viscous_n_s_m * v + friction
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = p, v, a, force
            total += p + force + j
    return total


def _station() -> Any:
    """One record, as a station's plan is: nothing the loop reads is counted by references."""
    move = (
        Move(0.02, 0.17, 0.1, optimised(False).cam),
        Move(0.2, 0.35, -0.1, MODIFIED_SINE),
    )
    short = (Move(0.1, 0.14, 0.015, POLYNOMIAL_345), Move(0.2, 0.24, 0.0, POLYNOMIAL_345))
    table = moves_to_cam(PERIOD_S, -0.1, move, periodic=True)
    finger = moves_to_cam(PERIOD_S, 0.0, short, periodic=True)
    cams, segments = pack([table, finger])
    layout = [
        ("master", MASTER_DTYPE),
        ("cams", CAM_DTYPE, cams.shape),
        ("segments", SEGMENT_DTYPE, segments.shape),
        ("followers", FOLLOWER_DTYPE, (AXES,)),
        ("corrections", TRAJECTORY_DTYPE, (AXES,)),
        ("loads", LOAD_DTYPE, (AXES,)),
    ]
    plan = np.zeros(1, np.dtype(layout, align=True))[0]
    plan["master"], plan["cams"], plan["segments"] = new_master(4.0, 80.0)[0], cams, segments
    limits = MotionLimits.symmetric(0.5, 10.0, 1000.0).record()
    for i in range(AXES):
        plan["followers"][i] = new_follower(i % 2, phase=0.01 * i, ratio=0.1)[0]
        target = motion_state(1e-4 * (i + 1))
        plan_move(plan["corrections"][i], motion_state(0.0), target, limits)
    plan["loads"] = (10.0, 20.0, 15.0)
    return plan


def setpoints_12_axes_us(cycles: int = 5000, repeats: int = 200) -> float:
    """Microseconds a cycle for the setpoints of 12 axes: the best of `repeats`, each short enough
    to fall between interruptions.
    """
    plan, out = _station(), np.zeros((AXES, 4))
    _run(10, plan, out)
    best = np.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        _run(cycles, plan, out)
        best = min(best, time.perf_counter() - begin)
    return best / cycles * 1e6


@cache
def optimised(with_web: bool) -> OptimisedMove:
    """The 0.2 m table move, without or with the web's bound."""
    return optimise_move(TABLE_MOVE_WITH_WEB if with_web else TABLE_MOVE)


def optimised_move() -> dict[str, float]:
    """Duration and residual of the optimised table move, by the dense check."""
    free, bound = optimised(False).check, optimised(True).check
    return {
        "duration_s": free.duration_s,
        "residual_max_um": 1e6 * _number(free.residual_max_m),
        "with_web_duration_s": bound.duration_s,
        "with_web_residual_max_um": 1e6 * _number(bound.residual_max_m),
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def s_curve(distance_m: float, velocity: float, acceleration: float, jerk: float) -> CamTable:
    """The time-optimal jerk-limited move, rest to rest."""
    limits = MotionLimits.symmetric(velocity, acceleration, jerk).record()
    trajectory = np.zeros(1, TRAJECTORY_DTYPE)[0]
    plan_move(trajectory, motion_state(0.0), motion_state(distance_m), limits)
    phases = trajectory["phases"][: trajectory["count"] + 1]
    return CamTable.from_phases(np.diff(phases["start_s"]), phases["jerk"][:-1])


def shortest_s_curve(problem: MoveProblem) -> CamTable:
    """The fastest move under velocity, acceleration and jerk alone."""
    limits = problem.limits
    return s_curve(problem.distance_m, limits.velocity, limits.acceleration, limits.jerk)


def best_shaped_s_curve(problem: MoveProblem) -> tuple[str, CamTable, MoveCheck]:
    """The fastest S-curve, with or without a shaper, that keeps a problem's bounds.

    Velocity, acceleration and jerk below their limits are tried on a grid, in order of duration.
    """
    mode, limits = problem.mode, problem.limits
    if mode is None:
        raise ValueError("best_shaped_s_curve: the problem names no mode; give it one")
    f, d = mode.frequency_hz, mode.damping
    shapers = [Shaper("none", np.zeros(1), np.ones(1)), zv(f, d), zvd(f, d)]
    shapers += [ei(f, d, tolerance) for tolerance in (0.02, 0.05, 0.1)]
    candidates = []
    for share_v, share_a, share_j in product(
        np.linspace(0.5, 1.0, 11), np.linspace(0.4, 1.0, 25), np.geomspace(0.05, 1.0, 25)
    ):
        cam = s_curve(
            problem.distance_m,
            limits.velocity * share_v,
            limits.acceleration * share_a,
            limits.jerk * share_j,
        )
        candidates += [(cam.length + s.duration_s, i, cam) for i, s in enumerate(shapers)]
    for _, i, cam in sorted(candidates, key=lambda candidate: candidate[:2]):
        whole = shaped(cam, shapers[i])
        if check_move(whole, problem, step_s=1e-4, frequencies=21).keeps(problem):
            check = check_move(whole, problem)
            if check.keeps(problem):
                return shapers[i].name, whole, check
    raise ValueError(f"best_shaped_s_curve: none of {len(candidates)} keeps the bounds")


def comparison() -> str:
    """The optimised move beside the best shaped S-curve, as a table."""
    rows = ["| bounds | profile | duration | residual | web |", "| --- | --- | --- | --- | --- |"]
    bare = check_move(shortest_s_curve(TABLE_MOVE), TABLE_MOVE_WITH_WEB)
    rows.append(_row("v, a, j", "S-curve", bare))
    for bounds, problem, with_web in (
        ("and residual", TABLE_MOVE, False),
        ("and web", TABLE_MOVE_WITH_WEB, True),
    ):
        name, _, check = best_shaped_s_curve(problem)
        rows.append(_row(bounds, f"S-curve, {name}", check))
        rows.append(_row(bounds, "optimised", optimised(with_web).check))
    return "\n".join(rows)


def _row(bounds: str, profile: str, check: MoveCheck) -> str:
    web = check.web_acceleration_max_m_s2
    return (
        f"| {bounds} | {profile} | {check.duration_s * 1e3:.1f} ms "
        f"| {_number(check.residual_max_m) * 1e6:.1f} um "
        f"| {'' if web is None else f'{web:.1f} m/s2'} |"
    )
