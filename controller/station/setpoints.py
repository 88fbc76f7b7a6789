"""Setpoints: force feed-forward of every axis, and the outputs that are not axes."""

from controller.shared.learned import Learner
from controller.station.drives import write_drives
from controller.station.kernel import kernel
from controller.station.learning import learned_force
from drivers.image import AXIS_COUNT, AxisId

_LEARNER = int(Learner.TABLE)
_TABLE_X, _TABLE_Z = int(AxisId.TABLE_X), int(AxisId.TABLE_Z)


@kernel
def _force(station, plan, axis):
    limits, setpoint = plan.axes[axis], station.axes[axis]
    mass_kg = limits.mass_kg
    if axis == _TABLE_X or axis == _TABLE_Z:
        mass_kg += plan.sheet_mass_kg * station.status.sheet
    force = mass_kg * setpoint.acceleration_m_s2
    if axis == _TABLE_X:
        force += learned_force(station, plan, _LEARNER)
    if setpoint.velocity_m_s > 1e-4:
        return force + limits.friction_n
    if setpoint.velocity_m_s < -1e-4:
        return force - limits.friction_n
    return force


@kernel
def write_outputs(station, outputs, plan):
    """Write controlwords, targets, feed-forward, vacuum and camera triggers."""
    write_drives(station, outputs)
    for axis in range(AXIS_COUNT):
        if axis != AxisId.DANCER:
            outputs.axes[axis].force_offset_n = _force(station, plan, axis)
    for gripper in range(station.grippers.size):
        outputs.vacuum_on[gripper] = station.grippers[gripper].on
    for polarity in range(2):
        outputs.sheet_camera_trigger[polarity] = station.feeders[polarity].trigger
    outputs.stack_camera_trigger = station.stack_sequence
