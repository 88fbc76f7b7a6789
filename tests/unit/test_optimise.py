"""The optimiser finds the fastest move that keeps every bound, checked by another integration."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from motion.cam_table import CamTable
from motion.fold_geometry import fold_geometry
from motion.limits import MotionLimits
from motion.optimise import optimise_move, optimise_within
from motion.optimise_check import check_move, residual_vibration
from motion.optimise_problem import Checkpoint, ForceLimits, ModeBand, MoveProblem, WebBound

LIMITS = MotionLimits.symmetric(3.0, 40.0, 5000.0)
FREE = MoveProblem(0.2, LIMITS, ModeBand(60.0, 0.03))
WITH_WEB = replace(FREE, web=WebBound(fold_geometry(0.107, 0.2, 0.15), 26.7, start_m=-0.1))
CLASS_B = MoveProblem(
    0.2,
    MotionLimits.symmetric(2.0, 25.0, 3000.0),
    ModeBand(45.0, 0.03),
    ForceLimits(16.15, 900.0, 320.0, 15.0, 0.04),
    WebBound(fold_geometry(0.107, 0.2, 0.06), 55.0, start_m=-0.1),
)


@pytest.fixture(scope="module")
def free():
    return optimise_move(FREE)


def test_the_table_move_is_as_fast_as_promised(free) -> None:
    assert free.duration_s <= 0.157
    assert free.check.residual_max_m <= 10e-6
    assert free.check.keeps(FREE)
    assert free.cam.coefficients.shape[0] <= 120
    assert free.cam.continuity() == 2


def test_the_table_move_that_spares_the_web_is_as_fast_as_promised() -> None:
    move = optimise_move(WITH_WEB)
    assert move.duration_s <= 0.166
    assert move.check.residual_max_m <= 10e-6
    assert move.check.web_acceleration_max_m_s2 <= 26.7
    assert move.check.keeps(WITH_WEB)


def test_another_integrator_agrees_on_the_residual(free) -> None:
    """A library's adaptive solver, at the worst frequency and at two others."""
    cam, damping = free.cam, 0.03
    for frequency in (free.check.residual_frequency_hz, 57.3, 66.0):
        w = 2.0 * np.pi * frequency

        def load(t: float, y: np.ndarray, w: float = w) -> list[float]:
            a = cam.sample(t)[0, 2]
            return [y[1], -2.0 * damping * w * y[1] - w * w * y[0] - a]

        answer = solve_ivp(
            load, (0.0, cam.length), [0.0, 0.0], rtol=1e-9, atol=1e-13, max_step=5e-4
        )
        q, r = answer.y[:, -1]
        amplitude = np.hypot(q, (r + damping * w * q) / (w * np.sqrt(1.0 - damping**2)))
        ours = residual_vibration(cam, np.array([frequency]), damping)[0]
        assert ours == pytest.approx(amplitude, abs=1e-9)
        assert ours <= 10e-6


def test_motor_and_web_bind_together() -> None:
    move = optimise_move(CLASS_B)
    assert move.check.keeps(CLASS_B)
    period_s = move.duration_s + 0.04
    assert move.check.force_rms_n == pytest.approx(
        np.sqrt((16.15**2 * square_integral(move.cam) + 15.0**2 * move.duration_s) / period_s),
        rel=1e-4,
    )


def square_integral(cam: CamTable) -> float:
    t = np.linspace(0.0, cam.length, 20001)
    return float(np.trapezoid(cam.sample(t)[:, 2] ** 2, t))


def test_a_tight_rms_force_costs_time_and_is_kept() -> None:
    force = ForceLimits(10.0, 1200.0, 320.0, 15.0)
    tight = replace(FREE, force=force)
    move = optimise_move(tight)
    assert move.check.force_rms_n <= 320.0
    assert move.check.force_rms_n > 0.98 * 320.0
    assert move.duration_s > 0.155


@pytest.mark.parametrize("velocity", [1.0, 2.0, 2.5])
def test_a_velocity_limit_that_binds_is_kept_between_the_knots_too(velocity: float) -> None:
    slow = replace(FREE, limits=replace(LIMITS, velocity=velocity), mode=ModeBand(60.0, 0.03))
    move = optimise_move(slow, segments=30)
    states = move.cam.sample(np.linspace(0.0, move.cam.length, 100001))
    assert 0.98 * velocity < np.abs(states[:, 1]).max() <= velocity * (1.0 + 1e-9)
    assert move.check.keeps(slow)


def test_without_a_mode_it_is_the_time_optimal_move() -> None:
    bare = replace(FREE, mode=None)
    move = optimise_move(bare)
    assert bare.shortest_s() <= move.duration_s <= bare.shortest_s() + 1e-4


def test_a_move_of_a_given_duration_keeps_a_wide_band_quiet_or_there_is_none(free) -> None:
    wide = replace(FREE, mode=ModeBand(150.0, 0.03, spread=0.64))
    assert optimise_within(wide, free.duration_s, segments=60) is None
    move = optimise_within(wide, 1.1 * free.duration_s, segments=60)
    assert move is not None
    assert move.duration_s == pytest.approx(1.1 * free.duration_s)
    assert move.check.keeps(wide)


def test_a_move_comes_no_farther_than_its_checkpoint(free) -> None:
    time_s = 0.7 * free.duration_s
    gone_m = 0.8 * float(free.cam.sample(time_s)[0, 0])
    move = optimise_move(replace(FREE, checkpoint=Checkpoint(time_s, gone_m)), segments=60)
    assert float(move.cam.sample(time_s)[0, 0]) <= gone_m * (1.0 + 1e-6)
    assert move.duration_s > free.duration_s


def test_less_residual_or_a_wider_band_takes_longer(free) -> None:
    for mode in (ModeBand(60.0, 0.03, residual_m=1e-6), ModeBand(60.0, 0.03, spread=0.2)):
        move = optimise_move(replace(FREE, mode=mode))
        assert move.check.keeps(replace(FREE, mode=mode))
        assert move.duration_s > free.duration_s


def test_progress_is_heard_and_grows() -> None:
    heard: list[float] = []
    optimise_move(FREE, lambda share, text: heard.append(share), segments=40)
    assert heard == sorted(heard)
    assert len(heard) > 5
    assert heard[-1] == 1.0


def test_the_same_problem_gives_the_same_cam(free) -> None:
    assert optimise_move(FREE).cam.coefficients.tobytes() == free.cam.coefficients.tobytes()


def test_the_check_sees_each_bound_broken(free) -> None:
    """The checker must not be blind: a bound set just below what it found is refused."""
    found = check_move(free.cam, FREE)
    assert found.keeps(FREE)
    assert not found.keeps(replace(FREE, limits=replace(LIMITS, acceleration=39.9)))
    assert not found.keeps(replace(FREE, limits=replace(LIMITS, deceleration=39.9)))
    assert not found.keeps(replace(FREE, limits=replace(LIMITS, jerk=4999.0)))
    assert not found.keeps(replace(FREE, limits=replace(LIMITS, velocity=2.6)))
    assert not found.keeps(replace(FREE, mode=ModeBand(60.0, 0.03, residual_m=9e-6)))
    assert not check_move(free.cam, WITH_WEB).keeps(WITH_WEB)


def test_the_impossible_is_said_to_be_impossible() -> None:
    hopeless = replace(FREE, force=ForceLimits(10.0, 1200.0, 14.0, 15.0))
    with pytest.raises(ValueError, match=r"not possible within 598\.6 ms"):
        optimise_move(hopeless)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ModeBand(60.0, 0.03, spread=0.0), "mode.spread = 0: must be within 0 to 1"),
        (lambda: ModeBand(np.nan, 0.03), "mode.frequency_hz = nan"),
        (lambda: ModeBand(60.0, -0.1), "mode.damping = -0.1"),
        (lambda: ModeBand(60.0, 0.03, residual_m=0.0), "mode.residual_m = 0"),
        (lambda: MoveProblem(-0.2, LIMITS), "distance_m = -0.2"),
        (lambda: ForceLimits(10.0, 10.0, 100.0, 15.0), "force.peak_n = 10: must be within 15"),
        (lambda: WebBound(fold_geometry(0.1, 0.2, 0.1), 0.0, 0.0), "web.acceleration_m_s2 = 0"),
        (lambda: WebBound(fold_geometry(0.1, 0.2, 0.1), 9.0, 0.0, 2.0), "to side 2"),
        (lambda: optimise_move(FREE, segments=121), "segments = 121: must be within 8 to 120"),
    ],
)
def test_bad_input_is_refused_by_name_value_and_limit(build, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


def any_problem(random: np.random.Generator) -> MoveProblem:
    """A move of 3 to 500 mm under limits, and perhaps a mode, a motor and a web."""
    a = 10.0 ** random.uniform(0.7, 2.0)
    deceleration, jerk = a * random.uniform(0.6, 1.4), a * 10.0 ** random.uniform(1.5, 2.6)
    mode = force = web = None
    if random.random() < 0.8:
        frequency, damping = random.uniform(15.0, 120.0), float(random.choice([0.0, 0.03, 0.1]))
        mode = ModeBand(
            frequency, damping, random.uniform(0.03, 0.15), 10.0 ** random.uniform(-6, -4.5)
        )
    if random.random() < 0.5:
        mass, friction = random.uniform(3.0, 20.0), random.uniform(0.0, 20.0)
        peak, rms = random.uniform(0.8, 1.2), random.uniform(0.5, 1.0)
        force = ForceLimits(mass, mass * a * peak + friction, mass * a * rms + friction, friction)
    if random.random() < 0.4:
        geometry = fold_geometry(0.107, 0.2, random.uniform(0.05, 0.15), random.choice([0.0, 0.01]))
        web = WebBound(geometry, random.uniform(0.7, 2.0) * a, start_m=-0.1)
    limits = MotionLimits(random.uniform(0.5, 5.0), a, deceleration, jerk)
    return MoveProblem(10.0 ** random.uniform(-2.5, -0.3), limits, mode, force, web)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100))
def test_any_possible_move_is_found_and_keeps_its_bounds(seed: int) -> None:
    problem = any_problem(np.random.default_rng(seed))
    move = optimise_move(problem)
    assert move.check.keeps(problem)
    assert problem.shortest_s() <= move.duration_s <= 4.0 * problem.shortest_s()
