"""What truly happened: layers laid, cells unloaded, tension sampled, rules broken."""

from typing import Any

import numpy as np
from numba import njit

from hal_sim.judge.layout import (
    CELLS_MAX,
    LAYERS_MAX,
    OVERLAY_BINS,
    RESIDUAL_BINS,
    THETA_BINS,
    VIOLATIONS_MAX,
)

_DEGREES = 57.29577951308232
_SAMPLE_NS = 1_000_000
_ANODE = 0


@njit(cache=True, nogil=True, error_model="numpy")
def observe(station: Any, rule: int, slot: int, broken: bool, value: float) -> None:
    """Note whether a rule is broken now; it counts when it begins to be."""
    judge = station.judge
    if broken and not judge.active[rule, slot]:
        count_violation(station, rule, slot, value)
    judge.active[rule, slot] = broken


@njit(cache=True, nogil=True, error_model="numpy")
def count_violation(station: Any, rule: int, slot: int, value: float) -> None:
    """Count a broken rule and keep where the first ones happened."""
    judge = station.judge
    judge.violation_counts[rule] += 1
    if judge.violation_count < VIOLATIONS_MAX:
        row = judge.violations[judge.violation_count]
        row.time_ns = judge.now_ns
        row.cell = judge.cell
        row.rule = rule
        row.sheet = judge.layer_count
        row.index = slot
        row.value = value
        row.load_m = station.load_m
    judge.violation_count += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _add_to_bins(bins: Any, value: float, width: float, count: int) -> None:
    """Count a magnitude; the last bin takes what lies beyond."""
    bins[min(np.int64(value / width), count - 1)] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def add_residual(judge: Any, residual_m: float) -> None:
    """Pool the worst table error of one placement."""
    judge.residual_max_m = max(judge.residual_max_m, residual_m)
    _add_to_bins(judge.residual_bins, residual_m, 1e-7, RESIDUAL_BINS)


@njit(cache=True, nogil=True, error_model="numpy")
def add_tension(total: Any, part: Any) -> None:
    """Pool one set of tension sums into another."""
    if part.count == 0:
        return
    if total.count == 0:
        total.min_n = part.min_n
        total.max_n = part.max_n
    total.count += part.count
    total.square_n2 += part.square_n2
    total.peak_n = max(total.peak_n, part.peak_n)
    total.min_n = min(total.min_n, part.min_n)
    total.max_n = max(total.max_n, part.max_n)


@njit(cache=True, nogil=True, error_model="numpy")
def clear_tension(part: Any) -> None:
    """Start sums afresh."""
    part.count = 0
    part.square_n2 = 0.0
    part.peak_n = 0.0
    part.min_n = 0.0
    part.max_n = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def sample_tension(plant: Any, station: Any) -> None:
    """Take a sample every millisecond while a cell lies on the table."""
    judge = station.judge
    if judge.layer_count == 0 or judge.now_ns - judge.sample_ns < _SAMPLE_NS:
        return
    judge.sample_ns = judge.now_ns
    tension = station.web.tension_n
    deviation = tension - plant.judge.tension_n
    pending = judge.tension_pending
    if pending.count == 0:
        pending.min_n = tension
        pending.max_n = tension
    pending.count += 1
    pending.square_n2 += deviation * deviation
    pending.peak_n = max(pending.peak_n, abs(deviation))
    pending.min_n = min(pending.min_n, tension)
    pending.max_n = max(pending.max_n, tension)


@njit(cache=True, nogil=True, error_model="numpy")
def _pool_tension(judge: Any, part: Any) -> None:
    """Keep the two cells a controller may learn in apart from those after them."""
    if judge.cell <= 1:
        add_tension(judge.tension_first, part)
    elif judge.cell == 2:
        add_tension(judge.tension_second, part)
    else:
        add_tension(judge.tension, part)


@njit(cache=True, nogil=True, error_model="numpy")
def _close_interval(plant: Any, judge: Any) -> None:
    """The interval since the last placement ends: a recovery, if it took far longer than others."""
    interval = judge.now_ns - judge.last_ns
    if judge.shortest_ns == 0 or interval < judge.shortest_ns:
        judge.shortest_ns = interval
    pending = judge.tension_pending
    if interval > plant.judge.recovery_factor * judge.shortest_ns:
        add_tension(judge.tension_recovery, pending)
    else:
        _pool_tension(judge, pending)
    add_tension(judge.tension_cell, pending)


@njit(cache=True, nogil=True, error_model="numpy")
def _judge_overlay(judge: Any, layer: Any, sheet: Any) -> None:
    """Pool the four edges against the datum, and the part that nobody could have avoided."""
    for edge in range(4):
        value = layer.edge_m[edge]
        judge.overlay_sum_m += value
        judge.overlay_square_m2 += value * value
        judge.overlay_max_m = max(judge.overlay_max_m, abs(value))
        _add_to_bins(judge.overlay_bins, abs(value), 1e-6, OVERLAY_BINS)
        outward = 1.0 if edge % 2 else -1.0
        axis = edge // 2
        part = outward * (sheet.scatter_m[axis] - sheet.camera_m[axis]) + sheet.cut_m[edge]
        judge.irreducible_square_m2 += part * part
    judge.overlay_count += 4
    judge.irreducible_count += 4
    theta = abs(layer.pose[2])
    judge.theta_max_rad = max(judge.theta_max_rad, theta)
    _add_to_bins(judge.theta_bins, theta * _DEGREES, 1e-4, THETA_BINS)


@njit(cache=True, nogil=True, error_model="numpy")
def _judge_pair(plant: Any, judge: Any, below: Any, layer: Any) -> None:
    """Two neighbours: overhang of the anode on each edge, and a cathode's next anode pooled."""
    if below.polarity == layer.polarity:
        return
    anode_on_top = layer.polarity == _ANODE
    sign = 1.0 if anode_on_top else -1.0
    turn = abs(layer.pose[2] - below.pose[2])
    for edge in range(4):
        shift = sign * (layer.edge_m[edge] - below.edge_m[edge])
        half = plant.sheet_half_width_m[1] if edge < 2 else plant.sheet_half_length_m[1]
        overhang = plant.judge.overhang_m + shift - turn * half
        judge.overhang_min_m[edge] = min(judge.overhang_min_m[edge], overhang)
        if anode_on_top:
            judge.pair_max_m = max(judge.pair_max_m, abs(shift))
            _add_to_bins(judge.pair_bins, abs(shift), 1e-6, OVERLAY_BINS)


@njit(cache=True, nogil=True, error_model="numpy")
def record_layer(plant: Any, station: Any, polarity: int, sheet: Any) -> None:
    """A sheet lies on the stack for good, at `sheet.pose` against nominal."""
    judge = station.judge
    number = judge.layer_count
    layer = judge.layers[min(number, LAYERS_MAX - 1)]
    for axis in range(3):
        layer.pose[axis] = sheet.pose[axis]
    for edge in range(4):
        outward = 1.0 if edge % 2 else -1.0
        layer.edge_m[edge] = outward * sheet.pose[edge // 2] + sheet.cut_m[edge]
    layer.at_ns = judge.now_ns
    layer.polarity = polarity
    layer.count = sheet.count
    if number == 0:
        _open_cell(judge)
    else:
        _close_interval(plant, judge)
        if number < LAYERS_MAX:
            _judge_pair(plant, judge, judge.layers[number - 1], layer)
    clear_tension(judge.tension_pending)
    if polarity != number % 2:
        judge.in_order = 0
    judge.doubles += 1 if sheet.count > 1 else 0
    judge.last_ns = judge.now_ns
    judge.layer_count = number + 1
    judge.sheets_laid += 1
    _judge_overlay(judge, layer, sheet)


@njit(cache=True, nogil=True, error_model="numpy")
def _open_cell(judge: Any) -> None:
    """The first sheet of a cell."""
    judge.first_ns = judge.now_ns
    judge.in_order = 1
    judge.doubles = 0
    judge.wraps = 0.0
    for edge in range(4):
        judge.overhang_min_m[edge] = 1.0
    clear_tension(judge.tension_cell)
    if judge.run_first_ns == 0:
        judge.run_first_ns = judge.now_ns
    else:
        judge.change_s += np.float64(judge.now_ns - judge.last_ns) * 1e-9
        judge.change_count += 1
        judge.run_last_first_ns = judge.now_ns
        judge.run_sheets_before = judge.sheets_laid


@njit(cache=True, nogil=True, error_model="numpy")
def _is_good(plant: Any, row: Any) -> bool:
    """Whether a cell is truly good, however many sheets it was to have."""
    limits = plant.judge
    for edge in range(4):
        if row.overhang_min_m[edge] < limits.overhang_min_m:
            return False
    whole = row.in_order == 1 and row.sheets % 2 == 1 and row.doubles == 0
    tension = row.tension
    held = tension.min_n >= limits.tension_min_n and tension.max_n <= limits.tension_max_n
    faulty = row.hipot_bad or row.splice
    return whole and held and not faulty and row.taped == 1 and row.wraps > 0.9


@njit(cache=True, nogil=True, error_model="numpy")
def capture_cell(judge: Any, row: Any) -> None:
    """The stack leaves the table: what was laid is known, and the next cell may begin."""
    row.cell = judge.cell
    row.sheets = judge.layer_count
    row.doubles = judge.doubles
    row.first_ns = judge.first_ns
    row.last_ns = judge.last_ns
    for edge in range(4):
        row.overhang_min_m[edge] = judge.overhang_min_m[edge]
    clear_tension(row.tension)
    add_tension(row.tension, judge.tension_cell)
    row.in_order = judge.in_order
    row.splice = judge.splice
    if judge.layer_count > 1:
        judge.interval_s += np.float64(judge.last_ns - judge.first_ns) * 1e-9
        judge.interval_count += judge.layer_count - 1
    judge.splice = 0
    judge.layer_count = 0
    judge.cell += 1
    clear_tension(judge.tension_pending)
    clear_tension(judge.tension_cell)


@njit(cache=True, nogil=True, error_model="numpy")
def record_unloading(
    plant: Any, judge: Any, captured: Any, wraps: float, taped: int, hipot_bad: int
) -> None:
    """A captured cell leaves the machine: it is judged by what has become of it."""
    index = judge.cells_unloaded % CELLS_MAX
    judge.cells[index] = captured
    row = judge.cells[index]
    row.wraps = wraps
    row.taped = taped
    row.hipot_bad = hipot_bad
    row.good = _is_good(plant, row)
    judge.cells_unloaded += 1
    judge.cells_good += np.int64(row.good)
