"""The planner: a half fold begins and ends at rest, keeps every limit, and refuses what cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from controller.planning.cams import ARMS, HALVES, Half
from controller.planning.cycle_plan import CyclePlan, make_plan
from controller.planning.table import slow_table_move
from controller.planning.timeline import PlanRefused, ideal_bound
from controller.settings.loader import load_machine, load_recipe
from controller.settings.machine import MachineSettings
from controller.shared.plan import Action, GateKind, RoutineId, SectionId, StepKind
from drivers.image import AXIS_KIND, AxisId

CONFIG = Path(__file__).resolve().parents[2] / "config"
RECIPE = load_recipe(CONFIG / "recipes" / "reference.yaml")
MACHINE = load_machine(CONFIG / "machine.yaml")


@pytest.fixture(scope="module")
def plan() -> CyclePlan:
    return make_plan(MACHINE, RECIPE)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("machine", 0.245), ("classes/machine_c", 0.168), ("classes/machine_d", 0.148)],
)
def test_the_ideal_bound_is_the_published_one(name: str, seconds: float) -> None:
    bound = ideal_bound(load_machine(CONFIG / f"{name}.yaml").stations[0])
    assert bound.seconds == pytest.approx(seconds, abs=6e-4)


def test_the_pace_is_above_the_bound_and_near_it(plan: CyclePlan) -> None:
    assert 1.0 < plan.ratio < 1.04


def _speed(plan: CyclePlan, half: Half, axis: AxisId, master_s: float) -> float:
    return abs(float(plan.cams[half][axis].sample([master_s])[0, 1]))


def test_every_cam_is_at_rest_at_both_touch_downs(plan: CyclePlan) -> None:
    for half in HALVES:
        for axis in plan.cams[half]:
            assert _speed(plan, half, axis, 0.0) < 1e-9, axis
            assert _speed(plan, half, axis, plan.times.period_s) < 1e-9, axis


def test_the_two_halves_join(plan: CyclePlan) -> None:
    left, right = (plan.cams[half] for half in HALVES)
    for axis in left:
        if axis == AxisId.TABLE_Z:
            continue
        assert left[axis].sample([plan.times.period_s])[0, 0] == pytest.approx(
            right[axis].sample([0.0])[0, 0], abs=1e-9
        ), axis
        assert right[axis].sample([plan.times.period_s])[0, 0] == pytest.approx(
            left[axis].sample([0.0])[0, 0], abs=1e-9
        ), axis


def test_every_cam_keeps_its_axis_limits(plan: CyclePlan) -> None:
    times = np.linspace(0.0, plan.times.period_s, 20_001)
    for half in HALVES:
        for axis, cam in plan.cams[half].items():
            limits = MACHINE.stations[0].axes.of_kind(AXIS_KIND[axis]).values
            states = cam.sample(times)
            assert states[:, 0].min() >= limits.position_min_m, axis
            assert states[:, 0].max() <= limits.position_max_m, axis
            assert np.abs(states[:, 1]).max() <= limits.velocity_max_m_s * 1.000001, axis
            assert np.abs(states[:, 2]).max() <= limits.acceleration_max_m_s2 * 1.000001, axis


def _load(table: np.ndarray, times: np.ndarray, frequency_hz: float, damping: float) -> np.ndarray:
    """The load behind the mode, by scipy's integrator, not the planner's."""
    omega = 2.0 * np.pi * frequency_hz
    mode = signal.lti([2.0 * damping * omega, omega**2], [1.0, 2.0 * damping * omega, omega**2])
    _, load, _ = signal.lsim(mode, table - table[0], times)
    return np.asarray(load) + table[0]


@pytest.mark.parametrize("share", [0.9, 1.0, 1.1])
def test_the_arm_is_low_only_while_the_load_is_in_its_window(plan: CyclePlan, share: float) -> None:
    station = MACHINE.stations[0]
    times = np.linspace(0.0, plan.times.period_s, 20_001)
    mode = station.table_mode
    for half in HALVES:
        table = plan.cams[half][AxisId.TABLE_X].sample(times)[:, 0]
        load = _load(table, times, share * mode.frequency_hz, mode.damping)
        for arm, end in ((AxisId.ANODE_ARM_Z, -0.1), (AxisId.CATHODE_ARM_Z, 0.1)):
            x = plan.cams[half][AxisId(arm - 1)].sample(times)[:, 0]
            height = plan.cams[half][arm].sample(times)[:, 0]
            low = (height < station.arm.clearance_m) & (x > -0.125)
            assert not np.any(low & (np.abs(load - end) > station.arm.window_m)), half.section


@pytest.mark.parametrize("share", [0.9, 1.0, 1.1])
def test_the_load_of_a_slow_table_is_quiet_at_every_speed(plan: CyclePlan, share: float) -> None:
    mode, fastest = MACHINE.stations[0].table_mode, float(plan.record[0]["slow_speed_max"])
    cam = plan.slow_tables[HALVES[0]]
    allowed_m = float(plan.record[0]["load_quiet_m"])
    for speed in np.linspace(0.1, fastest, 40):
        times = np.linspace(0.0, plan.times.period_s / speed, 4001)
        table = cam.sample(np.minimum(speed * times, cam.end))[:, 0]
        load = _load(table, times, share * mode.frequency_hz, mode.damping)
        at_touch = slice(np.searchsorted(times, plan.times.table_end_s / speed), None)
        assert np.abs(load[at_touch] - table[-1]).max() < 2.0 * allowed_m, speed


def test_a_slow_table_keeps_its_limits_at_its_highest_speed(plan: CyclePlan) -> None:
    limits, fastest = MACHINE.stations[0].axes.table_x.values, plan.record[0]["slow_speed_max"]
    times = np.linspace(0.0, plan.times.period_s, 20_001)
    for half in HALVES:
        position, speed, acceleration, _ = plan.slow_tables[half].sample(times).T
        assert position[[0, -1]] == pytest.approx(
            plan.cams[half][AxisId.TABLE_X].sample(times[[0, -1]])[:, 0]
        )
        assert fastest * np.abs(speed).max() <= limits.velocity_max_m_s * 1.000001
        assert fastest**2 * np.abs(acceleration).max() <= limits.acceleration_max_m_s2 * 1.000001


def test_a_web_that_meets_the_sheet_before_the_table_starts_binds_no_slow_move(
    plan: CyclePlan,
) -> None:
    early = replace(plan.times, web_meets_s=plan.times.table_start_s - 0.01)
    _, speed = slow_table_move(MACHINE.stations[0], RECIPE, plan.table, early)
    assert speed >= plan.record[0]["slow_speed_max"]


def test_gates_at_rest_stand_where_all_but_the_arm_that_goes_ahead_rest(plan: CyclePlan) -> None:
    record = plan.record[0]
    for half in HALVES:
        section = record["sections"][half.section]
        first, count = int(section["first_gate"]), int(section["gate_count"])
        masters = record["gates"]["master_s"][first : first + count]
        assert np.all(np.diff(masters) >= 0.0)
        ahead = {AxisId(int(axis)) for axis in section["ahead_axes"]}
        assert ahead == set(ARMS[half.arriving])
        for row in record["gates"][first : first + count]:
            if row["kind"] == GateKind.REST:
                for axis in set(plan.cams[half]) - ahead:
                    assert _speed(plan, half, axis, row["master_s"]) < 1e-6, axis


def test_the_arm_that_goes_ahead_waits_where_it_rests(plan: CyclePlan) -> None:
    for half in HALVES:
        section = plan.record[0]["sections"][half.section]
        for axis, rest_s in zip(section["ahead_axes"], section["ahead_s"], strict=True):
            assert _speed(plan, half, AxisId(int(axis)), rest_s) < 1e-9


def test_each_arm_starts_down_from_rest_and_picks_where_it_stands(plan: CyclePlan) -> None:
    record = plan.record[0]
    for half in HALVES:
        section = record["sections"][half.section]
        first, count = int(section["first_switch"]), int(section["switch_count"])
        rows = record["switches"][first : first + count]
        assert np.all(np.diff(rows["master_s"]) >= 0.0)
        axis = AxisId(int(section["late_axis"]))
        assert axis == ARMS[half.leaving][1]
        assert _speed(plan, half, axis, section["late_from_s"]) < 1e-9
        assert rows["action"][-1] == Action.PICK
        assert rows["master_s"][-1] == section["late_to_s"]
        assert _speed(plan, half, axis, section["late_to_s"]) < 1e-6


def test_every_routine_ends_where_the_next_one_begins(plan: CyclePlan) -> None:
    record = plan.record[0]
    for routine in RoutineId:
        row = record["routines"][routine]
        steps = record["steps"][row["first_step"] : row["first_step"] + row["step_count"]]
        assert len(steps) > 0
        assert set(steps["kind"]) <= {int(kind) for kind in StepKind}
        for step in steps[steps["kind"] == StepKind.MOVE]:
            limits = record["axes"][step["axis"]]
            assert limits["position_min_m"] <= step["position_m"] <= limits["position_max_m"]


def test_the_same_settings_give_the_same_bytes(plan: CyclePlan) -> None:
    assert make_plan(MACHINE, RECIPE).record.tobytes() == plan.record.tobytes()


def _with(machine: MachineSettings, **axes: dict[str, float]) -> MachineSettings:
    station = machine.stations[0]
    changed = {
        name: getattr(station.axes, name).model_copy(update=values) for name, values in axes.items()
    }
    axes_now = station.axes.model_copy(update=changed)
    return machine.model_copy(update={"stations": (station.model_copy(update={"axes": axes_now}),)})


def test_a_slow_finger_is_refused_by_name_and_number() -> None:
    slow = _with(MACHINE, finger_in={"acceleration_max_m_s2": 20.0})
    with pytest.raises(PlanRefused, match=r"finger_in needs 0\.0\d+ s at its limits"):
        make_plan(slow, RECIPE)


def test_a_short_table_is_refused() -> None:
    short = _with(MACHINE, table_x={"position_max_m": 0.05})
    with pytest.raises(PlanRefused, match=r"lie outside table_x's travel"):
        make_plan(short, RECIPE)


def test_a_stack_deeper_than_the_table_is_refused() -> None:
    deep = RECIPE.model_copy(update={"layer_thickness_m": 0.001})
    with pytest.raises(PlanRefused, match=r"stack = 0\.107 m: above the 0\.06 m"):
        make_plan(MACHINE, deep)


def test_a_sheet_that_would_reach_the_rollers_is_refused() -> None:
    cathode = RECIPE.cathode.model_copy(update={"length_x_m": 0.18})
    long = RECIPE.model_copy(update={"cathode": cathode})
    with pytest.raises(PlanRefused, match=r"within 0\.0085 m of the rollers' middle, 0\.0101 m"):
        make_plan(MACHINE, long)


def test_both_sections_follow_each_other() -> None:
    assert {half.section for half in HALVES} == set(SectionId)
