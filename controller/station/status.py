"""What the scan shows: sensor values and counts copied into the status records."""

from controller.station.kernel import kernel
from drivers.image import AxisId


@kernel
def show_machine(inputs, state):
    """Bus figures of the whole machine."""
    machine = state.machine
    machine.bus_state = inputs.bus.state
    machine.frames_lost = inputs.bus.frames_lost
    machine.frames_late = inputs.bus.frames_late
    machine.working_counter = inputs.bus.working_counter
    machine.working_counter_expected = inputs.bus.working_counter_expected
    machine.al_status = inputs.bus.al_status
    machine.misses_in_a_row = inputs.bus.misses_in_a_row
    machine.clock_offset_ns = inputs.bus.clock_offset_ns


@kernel
def show_station(inputs, station):
    """Sensors of one station as they were read in this cycle."""
    status = station.status
    status.tension_n = inputs.tension_n
    status.dancer_position_m = inputs.dancer_position_m
    status.loop_length_m = inputs.loop_length_m
    status.web_edge_m = inputs.web_edge_m
    for gripper in range(status.vacuum_pa.size):
        status.vacuum_pa[gripper] = inputs.vacuum_pa[gripper]
    for polarity in range(2):
        status.magazine_sheets[polarity] = inputs.magazine_sheets[polarity]
    status.feed_total_m = station.axes[AxisId.FEED].position_m
