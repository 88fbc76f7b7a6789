"""One scan of the PLC program: a pure function of inputs, command and state."""

from controller.shared.status import SequenceState
from controller.station.commands import take_command
from controller.station.conditions import (
    apply_interlocks,
    evaluate_conditions,
    target_speed,
    watch_bus,
)
from controller.station.drives import read_drives, supervise_drives
from controller.station.feeders import step_feeder
from controller.station.grippers import step_grippers
from controller.station.kernel import kernel
from controller.station.machine import start_machine, step_machine
from controller.station.moves import limit_masters
from controller.station.quality import read_stack_camera
from controller.station.sequence import step_sequence
from controller.station.setpoints import write_outputs
from controller.station.status import show_machine, show_station
from controller.station.web import step_web, supervise_web
from drivers.image import STATIONS_MAX, BusState


@kernel
def scan(inputs, command, state, outputs, plans):
    """Run one cycle: read `inputs` and `command`, advance `state`, write `outputs`.

    inputs: INPUTS_DTYPE record; command: COMMAND_DTYPE record, sequence 0 when there is none;
    state: STATE_DTYPE record; outputs: OUTPUTS_DTYPE record; plans: PLAN_DTYPE array, slots
    2 i and 2 i + 1 belong to station i.
    """
    begin_cycle(inputs, state)
    state.machine.start_inhibits = 0
    for index in range(state.machine.station_count):
        sense(inputs, state, plans, index)
    take_command(state, command, plans)
    step_machine(state, plans)
    for index in range(state.machine.station_count):
        advance(inputs, state, outputs, plans, index)


@kernel
def begin_cycle(inputs, state):
    """Start the cycle's outbox and take over time."""
    count = inputs.station_count
    state.machine.station_count = min(max(count, 1), STATIONS_MAX)
    state.outbox.count = 0
    state.machine.time_ns = inputs.time_ns
    state.machine.cycle = inputs.cycle
    show_machine(inputs, state)
    state.inputs_fresh = inputs.bus.misses_in_a_row == 0
    if inputs.bus.state != BusState.DOWN:
        state.inputs_known = 1
    if not state.started:
        start_machine(state)


@kernel
def sense(inputs, state, plans, index):
    """Read and supervise one station: drives, grippers, cameras, conditions, interlocks, web."""
    station = state.stations[index]
    plan = plans[station.status.plan_slot]
    reported = inputs.stations[index]
    station.record_ready = 0
    station.wrapped_ready = 0
    read_drives(reported, station, inputs.bus.latency_cycles)
    supervise_drives(state, index, plan)
    step_grippers(state, index, reported, plan)
    for polarity in range(2):
        step_feeder(state, index, reported, plan, polarity)
    read_stack_camera(state, index, reported, plan)
    evaluate_conditions(state, index, inputs, plan)
    watch_bus(state, index, inputs.bus)
    state.machine.start_inhibits |= apply_interlocks(state, index)
    folding = station.status.sequence == SequenceState.SECTION and not plan.dry
    stacking = folding and station.status.sheet > 0
    supervise_web(state, index, reported, plan, stacking)


@kernel
def advance(inputs, state, outputs, plans, index):
    """Move one station on by a period and write its outputs."""
    station = state.stations[index]
    period_s = inputs.period_ns * 1e-9
    reported, output = inputs.stations[index], outputs.stations[index]
    step_sequence(state, index, reported, output, plans, target_speed(state, station), period_s)
    plan = plans[station.status.plan_slot]
    limit_masters(station, plan)
    stacking = station.status.sequence == SequenceState.SECTION and station.status.sheet > 0
    step_web(state, index, reported, output, plan, stacking, period_s)
    write_outputs(station, output, plan)
    show_station(reported, station)
