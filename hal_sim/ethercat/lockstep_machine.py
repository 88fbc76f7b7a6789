"""The lock-step bus in front of the simulator's plant: the whole machine on EtherCAT, in virtual time."""

from numba import njit

from drivers.image import STATIONS_MAX
from drivers.seam import EXCHANGE_SIGNATURE
from hal_sim import exchange as plant
from hal_sim.ethercat.body import end_tick, machine_image, plant_bytes
from hal_sim.ethercat.lockstep import body_of, exchange_frames

_plant_exchange = plant.exchange


@njit(cache=True, nogil=True, error_model="numpy")
def _cross(seen, wanted, machine):
    """Cameras hang on Modbus, not on the bus: their triggers and readings cross directly."""
    for station in range(min(machine.inputs.station_count, STATIONS_MAX)):
        told, told_by = machine.outputs.stations[station], wanted.stations[station]
        for polarity in range(2):
            told.sheet_camera_trigger[polarity] = told_by.sheet_camera_trigger[polarity]
            source = machine.inputs.stations[station].sheet_cameras[polarity]
            seen.stations[station].sheet_cameras[polarity] = source
        told.stack_camera_trigger = told_by.stack_camera_trigger
        seen.stations[station].stack_camera = machine.inputs.stations[station].stack_camera


@njit(EXCHANGE_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def exchange(image, context):
    """Exchange one cycle; image: IMAGE_DTYPE record, context: of a Lockstep made with `plant=`."""
    code = exchange_frames(image, context)
    body = body_of(context)
    machine = machine_image(body)
    machine.inputs.time_ns = image.inputs.time_ns
    _plant_exchange(machine, plant_bytes(body))
    end_tick(body)
    _cross(image.inputs, image.outputs, machine)
    return code
