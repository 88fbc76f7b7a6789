"""The fastest rest-to-rest move under limits, force, vibration and web bounds, as a cam.

For a given duration a linear program finds the least residual vibration; what is not linear (rms
force, web acceleration) enters as cuts about the solution before, a few times over. The duration
is bisected. Run at recipe time: some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from motion.cam_table import CamTable
from motion.optimise_check import MoveCheck, check_move
from motion.optimise_problem import MoveProblem, WebBound
from motion.optimise_program import Cut, Profile, Program

Array = NDArray[np.float64]
Progress = Callable[[float, str], None]

SEGMENTS_MAX = 120
_ROUNDS = 12
_MARGINS = (0.98, 0.95, 0.9, 0.8)


@dataclass(frozen=True, eq=False)
class OptimisedMove:
    """An optimised move: its cam from 0 to `distance_m`, and what an independent check found."""

    cam: CamTable
    check: MoveCheck

    @property
    def duration_s(self) -> float:
        """Duration of the move."""
        return self.cam.length


def optimise_move(
    problem: MoveProblem,
    progress: Progress | None = None,
    segments: int = SEGMENTS_MAX,
    tolerance_s: float = 2e-5,
) -> OptimisedMove:
    """Find the fastest move to within `tolerance_s`; its cam has `segments` cubic pieces (C2).

    `progress` hears a share of the work, 0 to 1, and a line of text. The result was integrated
    independently and densely; a bound it missed is tightened and the search repeated. Raises
    ValueError if four times the limits' own duration do not suffice.
    """
    if not 8 <= segments <= SEGMENTS_MAX:
        raise ValueError(f"optimise: segments = {segments}: must be within 8 to {SEGMENTS_MAX}")
    hear = progress or (lambda share, text: None)
    for attempt, margin in enumerate(_MARGINS):
        move = _checked(_search(problem, segments, margin, tolerance_s, hear), problem)
        if move.check.keeps(problem):
            hear(1.0, f"{move.duration_s * 1e3:.2f} ms, checked")
            return move
        hear(attempt / len(_MARGINS), f"missed a bound at margin {margin:g}: tighter")
    raise ValueError(
        f"optimise: no margin keeps the bounds between the design points: {move.check}"
    )


def optimise_within(
    problem: MoveProblem, duration_s: float, segments: int = SEGMENTS_MAX
) -> OptimisedMove | None:
    """A move of `duration_s` that keeps every bound, checked like the fastest, or None."""
    for margin in _MARGINS:
        profile = _solve(problem, duration_s, segments, margin, None)
        if profile is None:
            return None
        move = _checked(profile, problem)
        if move.check.keeps(problem):
            return move
    return None


def _checked(profile: Profile, problem: MoveProblem) -> OptimisedMove:
    """The profile as a cam that ends exactly at its distance."""
    segments = profile.jerk.size
    cam = CamTable.from_phases(np.full(segments, profile.duration_s / segments), profile.jerk)
    cam = cam.scaled(problem.distance_m / float(cam.sample(cam.end)[0, 0]))
    return OptimisedMove(cam, check_move(cam, problem))


def _search(
    problem: MoveProblem, segments: int, margin: float, tolerance_s: float, hear: Progress
) -> Profile:
    """Bisect the duration."""
    low = problem.shortest_s() * (1.0 - 1e-9)
    best, high = _first_feasible(problem, segments, margin, low)
    halvings = max(1, int(np.ceil(np.log2((high - low) / tolerance_s))))
    for i in range(halvings):
        hear((i + 1) / (halvings + 2), f"between {low * 1e3:.2f} and {high * 1e3:.2f} ms")
        middle = 0.5 * (low + high)
        found = _solve(problem, middle, segments, margin, best)
        if found is None:
            low = middle
        else:
            best, high = found, middle
    return best


def _first_feasible(
    problem: MoveProblem, segments: int, margin: float, shortest_s: float
) -> tuple[Profile, float]:
    for stretch in (1.05, 1.1, 1.2, 1.4, 1.7, 2.0, 2.8, 4.0):
        duration = shortest_s * stretch
        found = _solve(problem, duration, segments, margin, None)
        if found is not None:
            return found, duration
    raise ValueError(
        f"optimise: {problem}: not possible within {4.0 * shortest_s * 1e3:.1f} ms, four times the "
        "limits' own duration; allow more residual, rms force or web acceleration"
    )


def _solve(
    problem: MoveProblem, duration_s: float, segments: int, margin: float, guess: Profile | None
) -> Profile | None:
    """A profile of this duration within all bounds, or None."""
    if problem.force and problem.force.square_max(duration_s) <= 0.0:
        return None
    program = Program(problem, duration_s, segments, margin)
    profile = guess.stretched(duration_s) if guess is not None else program.solve([])
    tangents: list[Cut] = []
    previous = np.inf
    for turn in range(_ROUNDS if problem.web or problem.force else 1):
        if profile is None:
            return None
        if problem.force:
            tangents.append(program.tangent(profile.acceleration))
        web = [_web_cut(profile, problem.web, margin)] if problem.web else []
        profile = program.solve(tangents + web)
        # the first round is linear about a guess: it may be wrong either way
        if profile is None or ((turn > 0 or not problem.web) and profile.residual_share > 1.0):
            return None
        if (
            max(profile.residual_share - 1.0, profile.excess) < 1e-6
            and _worst_share(profile, problem) <= 1.0
        ):
            return profile
        if profile.excess > 1e-3 and profile.excess > 0.99 * previous:
            return None
        previous = profile.excess
    return None


def _worst_share(profile: Profile, problem: MoveProblem) -> float:
    """Largest of rms and web at the knots as shares of what is allowed."""
    shares = [0.0]
    if problem.force:
        allowed = problem.force.square_max(profile.duration_s)
        shares.append(_square_integral(profile) / allowed)
    if problem.web:
        shares.append(np.abs(_web_acceleration(profile, problem.web)).max())
    return float(max(shares))


def _square_integral(profile: Profile) -> float:
    a, step = profile.acceleration, profile.duration_s / profile.jerk.size
    return float(step / 3.0 * (a[:-1] ** 2 + a[:-1] * a[1:] + a[1:] ** 2).sum())


def _web_acceleration(profile: Profile, web: WebBound) -> Array:
    """Second derivative of the web's length at the knots as a share of the allowed one."""
    slopes = web.slopes(profile.position)
    value = slopes[:, 0] * profile.acceleration + slopes[:, 1] * profile.velocity**2
    return value / web.acceleration_m_s2


def _web_cut(profile: Profile, web: WebBound, margin: float) -> Cut:
    """Both bounds of the web acceleration, linear about the profile."""
    a, v, x = profile.acceleration, profile.velocity, profile.position
    allowed = web.acceleration_m_s2 * (0.9 + 0.1 * margin)
    l1, l2, l3 = web.slopes(x).T / allowed
    by_velocity, by_position = 2.0 * l2 * v, l2 * a + l3 * v**2
    constant = l1 * a + l2 * v**2 - (l1 * a + by_velocity * v + by_position * x)
    slopes = {"acceleration": l1, "velocity": by_velocity, "position": by_position}
    terms: dict[str, Any] = {
        name: sparse.vstack([sparse.diags_array(sign * slope) for sign in (1.0, -1.0)])
        for name, slope in slopes.items()
    }
    terms["excess"] = -np.ones((2 * x.size, 1))
    return Cut(terms, np.concatenate([1.0 - constant, 1.0 + constant]))
