"""The separator: feed roller, dancer, guide and the two elastic spans down to the fold.

Tension is what stretch makes it, never below zero. Web coordinates count metres past each point, so
stretch is length between two points less the web between them.
"""

from math import sqrt
from typing import Any

from numba import njit

from drivers.image import AxisId
from hal_sim.layout import WebEnd
from hal_sim.mathematics import sine
from hal_sim.noise import Stream, draw_cheap
from hal_sim.plant.fold import free_length

_X, _WRAP = int(AxisId.TABLE_X), int(AxisId.WRAP)
_DANCER, _FEED, _UNWIND = int(AxisId.DANCER), int(AxisId.FEED), int(AxisId.UNWIND)
_EDGE_AXIS = int(AxisId.EDGE)
_CHANGER = int(AxisId.CHANGER)
_ARM_X, _FINGER = int(AxisId.ANODE_ARM_X), int(AxisId.FINGER_LEFT_FRONT_IN)
_THREADED, _CUT, _BROKEN = int(WebEnd.THREADED), int(WebEnd.CUT), int(WebEnd.BROKEN)
_TRAILING = int(WebEnd.TRAILING)
_FEED_NOISE, _EDGE_NOISE = int(Stream.FEED), int(Stream.EDGE)
_PI = 3.141592653589793
_INNER = 2  # the spans are stiff: half steps


@njit(cache=True, nogil=True, error_model="numpy")
def finger_tip(plant: Any, station: Any, edge: int) -> float:
    """Height of an edge's lower finger above the placing plane, 1 m where none is over the stack."""
    first = _FINGER + 4 * edge
    tip = 1.0
    for finger in range(2):
        inward = station.axes[first + 2 * finger].position_m
        height = plant.finger_down_m - station.axes[first + 2 * finger + 1].position_m
        if inward > plant.finger_clear_m and height < tip:
            tip = height
    return tip


@njit(cache=True, nogil=True, error_model="numpy")
def path_to_fold(plant: Any, station: Any, side: float) -> tuple[float, bool]:
    """Web from rollers to a fold at the stack's edge on `side`: (length, touches the sheet)."""
    arm = 0 if side < 0.0 else 1
    arm_x = station.axes[_ARM_X + 2 * arm].position_m
    arm_z = station.axes[_ARM_X + 2 * arm + 1].position_m
    centre = side * station.load_m
    edge_u = plant.table_end_m - plant.sheet_half_length_m[arm] - arm_x
    tip_z = finger_tip(plant, station, 1 - arm)
    return free_length(
        plant,
        centre + plant.half_pitch_m,
        edge_u,
        max(arm_z, 0.0),
        centre - plant.half_pitch_m,
        max(tip_z, 0.0),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def swap_fold(plant: Any, station: Any, side: float) -> None:
    """Fingers clamp the web on the other edge: what lay before stays laid."""
    web = station.web
    before, _ = path_to_fold(plant, station, web.side)
    after, _ = path_to_fold(plant, station, side)
    web.laid_m += before - after
    web.side = side
    web.clamped_by_fingers = 1


@njit(cache=True, nogil=True, error_model="numpy")
def thread_web(plant: Any, station: Any) -> None:
    """Clamp the web's end at the empty table's left edge, without pulling any."""
    web = station.web
    length, _ = path_to_fold(plant, station, -1.0)
    web.side = -1.0
    web.clamped_by_fingers = 0
    web.wrap_start_rad = station.axes[_WRAP].position_m
    web.wrapped_rad = 0.0
    web.laid_m = web.demand_m - length
    web.end = _THREADED


@njit(cache=True, nogil=True, error_model="numpy")
def trail_web(station: Any) -> None:
    """The changer begins to turn the stack away, and the web with it."""
    web = station.web
    web.turn_start_rad = station.axes[_CHANGER].position_m
    web.tail_m = 0.0
    web.laid_m = web.demand_m
    web.end = _TRAILING


@njit(cache=True, nogil=True, error_model="numpy")
def catch_web(station: Any) -> None:
    """The blade is through: the cutter's clamp holds the roller-side end, torn or cut."""
    web = station.web
    if web.end == _BROKEN:  # pulled up by hand, with the dancer centred
        dancer = station.axes[_DANCER]
        dancer.position_m = 0.0
        dancer.velocity_m_s = 0.0
        web.guide_m = web.demand_m
        web.guide_m_s = 0.0
        web.base_m = web.fed_m - web.guide_m
    web.end = _CUT


@njit(cache=True, nogil=True, error_model="numpy")
def _demand(plant: Any, station: Any) -> float:
    """Web that lies beyond the guide: laid, free and wrapped; the cutter holds it where it was."""
    web = station.web
    if web.end == _TRAILING:
        web.touches_beam = 0
        turned = abs(station.axes[_CHANGER].position_m - web.turn_start_rad)
        web.tail_m = plant.tail_m * turned / _PI
        return web.laid_m + web.tail_m
    if web.end != _THREADED:
        web.touches_beam = 0
        return web.demand_m
    length, touches = path_to_fold(plant, station, web.side)
    web.touches_beam = touches
    wrap = station.axes[_WRAP].position_m
    if station.wrapping.count:  # the head is busy there
        web.wrap_start_rad = wrap
    web.wrap_start_rad = min(web.wrap_start_rad, wrap)
    web.wrapped_rad = wrap - web.wrap_start_rad
    return web.laid_m + length + web.wrapped_rad * 2.0 * plant.half_pitch_m / _PI


@njit(cache=True, nogil=True, error_model="numpy")
def _step_dancer(plant: Any, dancer: Any, force: float, tension: float, step: float) -> None:
    """The dancer under motor, spring, damper, friction and twice the tension; inelastic stops."""
    pull = force - 2.0 * tension - plant.dancer_stiffness_n_m * dancer.position_m
    pull -= plant.dancer_damping_n_s_m * dancer.velocity_m_s
    velocity = dancer.velocity_m_s + pull / plant.dancer_mass_kg * step
    grip = plant.dancer_friction_n / plant.dancer_mass_kg * step
    if abs(velocity) <= grip:
        velocity = 0.0
    else:
        velocity -= grip if velocity > 0.0 else -grip
    dancer.acceleration_m_s2 = (velocity - dancer.velocity_m_s) / step
    dancer.velocity_m_s = velocity
    dancer.position_m += velocity * step
    if abs(dancer.position_m) > plant.dancer_stop_m:
        stop = plant.dancer_stop_m
        dancer.position_m = min(max(dancer.position_m, -stop), stop)
        dancer.velocity_m_s = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _span_tension(stiffness: float, stretch: float, rate: float, damping_s: float) -> float:
    """Tension of a span: elastic and a little viscous while taut, none when slack."""
    if stretch <= 0.0:
        return 0.0
    return max(stiffness * (stretch + damping_s * rate), 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def step_web(plant: Any, station: Any, dancer_force: float, step: float) -> None:
    """One step of nip, dancer, guide and both spans."""
    web, dancer = station.web, station.axes[_DANCER]
    feed = station.axes[_FEED].position_m
    fed = web.fed_m
    web.nip_m += (feed - web.nip_m) * step / (web.feed_lag_s + 0.5 * step)
    fed_rate = (web.nip_m + web.feed_noise_m - fed) / step
    demand = web.demand_m
    web.demand_m = _demand(plant, station)
    demand_rate = (web.demand_m - demand) / step
    inner = step / _INNER
    tension, at_dancer = 0.0, 0.0
    for _ in range(_INNER):
        fed += fed_rate * inner
        demand += demand_rate * inner
        if web.end == _BROKEN:
            web.guide_m = demand
            web.guide_m_s = 0.0
            web.base_m = fed - web.guide_m - 2.0 * dancer.position_m
        else:
            upstream = web.guide_m + 2.0 * dancer.position_m - (fed - web.base_m)
            rate = web.guide_m_s + 2.0 * dancer.velocity_m_s - fed_rate
            damping = plant.web_damping_s
            at_dancer = _span_tension(plant.stiffness_upstream_n_m, upstream, rate, damping)
            stretch, rate = demand - web.guide_m, demand_rate - web.guide_m_s
            tension = _span_tension(plant.stiffness_downstream_n_m, stretch, rate, damping)
            web.guide_m_s += (tension - at_dancer) / plant.guide_mass_kg * inner
            web.guide_m += web.guide_m_s * inner
        _step_dancer(plant, dancer, dancer_force, at_dancer, inner)
    web.fed_m = fed
    web.tension_n = tension
    web.tension_dancer_n = at_dancer
    web.slips = abs(at_dancer) > plant.slip_n
    web.load_cell_n += (tension - web.load_cell_n) * step / (plant.load_cell_lag_s + 0.5 * step)


@njit(cache=True, nogil=True, error_model="numpy")
def begin_web_cycle(plant: Any, station: Any, nip_before: float, period: float) -> None:
    """Once a period: noise of the nip, unwind roll and loop, wander of the web's edge."""
    web = station.web
    share = min(period / plant.feed_noise_time_s, 1.0)
    kick = sqrt(share * (2.0 - share)) * plant.feed_noise_m
    web.feed_noise_m += -share * web.feed_noise_m + kick * draw_cheap(station.streams, _FEED_NOISE)
    unwind = station.axes[_UNWIND]
    core = plant.core_radius_m
    web.roll_radius_m = sqrt(core * core + max(web.roll_m, 0.0) * plant.web_thickness_m / _PI)
    wobble = plant.eccentricity_m * sine(unwind.position_m + web.roll_phase_rad)
    paid = unwind.velocity_m_s * period * (web.roll_radius_m + wobble)
    paid = 0.0 if web.roll_m <= 0.0 else paid
    web.roll_m -= paid
    loop = web.loop_m + paid - (web.nip_m - nip_before)
    web.loop_blocked = loop <= 0.0
    web.loop_m = min(max(loop, 0.0), plant.loop_max_m)
    share = min(period / plant.edge_time_s, 1.0)
    kick = sqrt(share * (2.0 - share)) * plant.edge_sigma_m
    web.edge_wander_m += -share * web.edge_wander_m
    web.edge_wander_m += kick * draw_cheap(station.streams, _EDGE_NOISE)
    aim = web.edge_wander_m + station.axes[_EDGE_AXIS].position_m
    web.edge_m += (aim - web.edge_m) * period / (plant.edge_lag_s + 0.5 * period)
