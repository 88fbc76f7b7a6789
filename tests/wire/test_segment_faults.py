"""Every fault on the wire in lock-step: what the exchange reports, what it holds, and the way back.

No socket and no clock: a cycle is a call.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest

from drivers.cia402 import ErrorCode, PowerState
from drivers.cia402_step import controlword_towards_enabled, power_state
from drivers.devices.drive_objects import SYNC_ERROR_LIMIT, SYNC_EVENTS_MISSED
from drivers.ethercat.clock import STEERING_DTYPE, steer
from drivers.ethercat.link import place
from drivers.ethercat.protocol import AlCode, AlState, Register
from drivers.ethercat.topology import drives_topology
from drivers.image import IMAGE_DTYPE, AxisId, BusState
from drivers.seam import ExchangeCode
from hal_sim.ethercat.faults import Fault, WireFault, install_faults
from hal_sim.ethercat.lockstep import Lockstep, exchange

DRIVES = 4
AXIS = AxisId.TABLE_Z  # the axis of the second drive


@dataclass
class Bench:
    """Four enabled drives in OP, and what the controller sees of them."""

    bus: Lockstep = field(default_factory=lambda: Lockstep(drives_topology(DRIVES)))
    image: np.void = field(default_factory=lambda: np.zeros(1, IMAGE_DTYPE)[0])

    def start(self) -> "Bench":
        self.bus.bring_up()
        self.cycles(30)
        assert self.bus_state() == BusState.OPERATIONAL
        assert self.power(AXIS) == PowerState.OPERATION_ENABLED
        return self

    @property
    def axes(self) -> np.ndarray:
        return self.image["inputs"]["stations"][0]["axes"]

    def bus_state(self) -> BusState:
        return BusState(self.image["inputs"]["bus"]["state"])

    def power(self, axis: AxisId) -> PowerState:
        return PowerState(power_state(self.axes[axis]["statusword"]))

    def cycle(self) -> ExchangeCode:
        code = ExchangeCode(exchange(self.image, self.bus.context))
        for axis in range(DRIVES):
            target = self.image["outputs"]["stations"][0]["axes"][axis]
            state = power_state(self.axes[axis]["statusword"])
            target["controlword"] = controlword_towards_enabled(state)
            target["mode"] = 8
            target["target_position_m"] += 1e-5
        return code

    def cycles(self, count: int) -> list[ExchangeCode]:
        return [self.cycle() for _ in range(count)]

    def fail(self, kind: WireFault, frames: int = 1, slave: int = 1, magnitude: int = 0) -> None:
        wire = self.bus.body.wire
        first = int(wire["cyclic_frames"])
        install_faults(wire, [Fault(kind, first, frames, slave, magnitude)])

    def counted(self, name: str) -> int:
        return int(self.bus.link[name])

    def limit_sync_errors(self, limit: int) -> None:
        """0x10F1:02 of every drive; 0: none watches its SYNC0."""
        for slave in range(DRIVES):
            self.bus.acyclic.sdo_write(slave, *SYNC_ERROR_LIMIT, limit.to_bytes(2, "little"))

    def restore(self, slave: int) -> None:
        """What the slow path does with a slave that fell back."""
        for state in (AlState.SAFEOP, AlState.OP):
            self.bus.request(slave, state)


@pytest.fixture
def bench() -> Bench:
    return Bench().start()


def held(bench: Bench, fault: WireFault, magnitude: int = 0) -> None:
    """One cycle under a fault: missed, and not one byte of the inputs has moved."""
    before = bench.axes.copy()
    bench.fail(fault, magnitude=magnitude)
    assert bench.cycle() == ExchangeCode.MISSED
    assert np.array_equal(bench.axes, before)
    assert bench.bus_state() == BusState.OPERATIONAL, "a single miss is tolerated"
    assert bench.cycle() == ExchangeCode.OK
    assert bench.axes[AXIS]["actual_position_m"] > before[AXIS]["actual_position_m"]


@pytest.mark.parametrize("way", [0, 1], ids=["going out", "coming back"])
def test_a_dropped_frame_holds_the_inputs_and_is_counted(bench: Bench, way: int) -> None:
    held(bench, WireFault.DROP, way)
    assert bench.counted("frames_lost") == 1


def test_a_late_frame_is_late_and_not_lost(bench: Bench) -> None:
    held(bench, WireFault.LATE, 1)
    bench.cycle()
    assert (bench.counted("frames_late"), bench.counted("frames_lost")) == (1, 0)


def test_a_duplicate_is_taken_once(bench: Bench) -> None:
    bench.fail(WireFault.DUPLICATE)
    assert bench.cycle() == ExchangeCode.OK
    assert bench.counted("frames_stale") == 1


def test_a_stale_reply_is_refused(bench: Bench) -> None:
    held(bench, WireFault.STALE)
    assert bench.counted("frames_stale") == 1


@pytest.mark.parametrize("change", [-3, 1, 3])
def test_a_wrong_working_counter_is_refused(bench: Bench, change: int) -> None:
    held(bench, WireFault.WORKING_COUNTER, change)
    assert bench.counted("working_counter_errors") == 1
    assert bench.image["inputs"]["bus"]["working_counter_expected"] == 3 * DRIVES


def test_misses_in_a_row_degrade_the_bus_and_then_bring_it_down(bench: Bench) -> None:
    bench.limit_sync_errors(0)
    bench.fail(WireFault.DROP, frames=6)
    states = []
    for _ in range(8):
        bench.cycle()
        states.append(bench.bus_state().name)
    assert states == ["OPERATIONAL", *["DEGRADED"] * 3, *["DOWN"] * 2, *["OPERATIONAL"] * 2]


def test_a_cut_cable_brings_the_bus_down_in_the_same_cycle(bench: Bench) -> None:
    bench.limit_sync_errors(0)
    before = bench.axes.copy()
    bench.fail(WireFault.CABLE_CUT, frames=3, slave=2)
    assert bench.cycle() == ExchangeCode.MISSED
    assert bench.bus_state() == BusState.DOWN
    assert bench.counted("slaves_answering") == 2
    assert np.array_equal(bench.axes, before)
    bench.cycles(3)
    assert bench.bus_state() == BusState.OPERATIONAL


def test_safeop_with_the_working_counter_whole_is_seen_in_the_same_cycle(bench: Bench) -> None:
    bench.fail(WireFault.SAFEOP_ERROR, magnitude=AlCode.PROCESS_DATA_WATCHDOG)
    assert bench.cycle() == ExchangeCode.OK
    assert bench.image["inputs"]["bus"]["working_counter"] == 3 * DRIVES
    assert bench.bus_state() == BusState.DOWN
    bench.restore(1)
    bench.cycle()
    assert bench.bus_state() == BusState.OPERATIONAL


def test_a_drive_fault_arrives_with_its_code_and_goes_by_reset(bench: Bench) -> None:
    bench.fail(WireFault.DRIVE_FAULT, magnitude=ErrorCode.OVERCURRENT)
    bench.cycles(2)
    assert bench.power(AXIS) == PowerState.FAULT
    assert bench.axes[AXIS]["error_code"] == ErrorCode.OVERCURRENT
    assert bench.bus_state() == BusState.OPERATIONAL, "the bus itself is well"
    stands_m = float(bench.axes[AXIS]["actual_position_m"])
    bench.cycles(5)
    assert bench.axes[AXIS]["actual_position_m"] == stands_m, "a faulted drive does not move"
    bench.image["outputs"]["stations"][0]["axes"][AXIS]["controlword"] = 0x80
    exchange(bench.image, bench.bus.context)
    bench.cycles(8)
    assert bench.power(AXIS) == PowerState.OPERATION_ENABLED


def test_a_power_cycled_slave_is_configured_again(bench: Bench) -> None:
    bench.fail(WireFault.POWER_CYCLE, frames=4)
    bench.cycle()
    assert bench.bus_state() == BusState.DOWN
    bench.cycles(6)
    assert bench.bus_state() == BusState.DOWN, "it is back, but in INIT and without an address"
    topology = bench.bus.topology
    bench.bus.configure(1, topology.slaves[1], place(topology.slaves)[1])
    bench.cycles(20)
    assert bench.bus_state() == BusState.OPERATIONAL
    assert bench.power(AXIS) == PowerState.OPERATION_ENABLED


def test_100_ms_of_silence_trip_the_drives_own_watchdogs(bench: Bench) -> None:
    bench.limit_sync_errors(0)
    bench.fail(WireFault.SILENCE, frames=110)
    bench.cycles(112)
    assert bench.bus_state() == BusState.DOWN
    code = bench.bus.acyclic.word(1, Register.AL_STATUS_CODE)
    assert code == AlCode.PROCESS_DATA_WATCHDOG
    for slave in range(DRIVES):
        bench.restore(slave)
    bench.cycles(2)
    assert bench.bus_state() == BusState.OPERATIONAL
    assert bench.axes[AXIS]["error_code"] == ErrorCode.COMMUNICATION_WATCHDOG


def test_50_ms_of_silence_do_not(bench: Bench) -> None:
    bench.limit_sync_errors(0)
    bench.fail(WireFault.SILENCE, frames=50)
    bench.cycles(52)
    assert bench.bus_state() == BusState.OPERATIONAL
    assert bench.power(AXIS) == PowerState.OPERATION_ENABLED


def test_a_drifting_slave_clock_is_pulled_back_to_the_reference(bench: Bench) -> None:
    bench.fail(WireFault.CLOCK_DRIFT, frames=0, slave=2, magnitude=200)
    bench.cycles(3000)
    difference = int.from_bytes(bench.bus.acyclic.read(2, Register.DC_DIFFERENCE, 4), "little")
    assert difference & 0x7FFFFFFF < 100, "ns; 200 ppm alone would be 600 us"


def test_the_period_follows_a_reference_clock_that_drifts(bench: Bench) -> None:
    bench.fail(WireFault.CLOCK_DRIFT, frames=0, slave=0, magnitude=200)
    steering = np.zeros(1, STEERING_DTYPE)[0]
    offsets_ns = []
    for _ in range(4000):
        bench.cycle()
        offset_ns = int(bench.image["inputs"]["bus"]["clock_offset_ns"])
        offsets_ns.append(offset_ns)
        bench.bus.advance(steer(steering, offset_ns))
    assert max(abs(offset) for offset in offsets_ns[-1000:]) < 1000


def test_a_late_sync0_ends_op_with_its_own_code(bench: Bench) -> None:
    bench.bus.advance(-int(bench.image["inputs"]["bus"]["clock_offset_ns"]))
    bench.fail(WireFault.LATE_SYNC0, frames=40, magnitude=bench.bus.topology.sync0_shift_ns)
    bench.cycle()
    assert bench.bus_state() == BusState.OPERATIONAL, "one alone could be a lost frame"
    bench.cycle()
    assert bench.bus_state() == BusState.DOWN
    assert bench.bus.acyclic.word(1, Register.AL_STATUS_CODE) == AlCode.SYNCHRONIZATION_ERROR


@pytest.mark.parametrize(("limit", "ends_op"), [(4, 2), (6, 2), (9, 3)])
def test_setpoints_missed_in_a_row_end_op_at_the_drives_limit(
    bench: Bench, limit: int, ends_op: int
) -> None:
    bench.limit_sync_errors(limit)
    bench.fail(WireFault.DROP, frames=ends_op - 1)
    bench.cycles(ends_op + 2 * limit)
    assert bench.bus_state() == BusState.OPERATIONAL
    bench.fail(WireFault.DROP, frames=ends_op)
    bench.cycles(ends_op + 1)
    assert bench.bus_state() == BusState.DOWN
    assert bench.bus.acyclic.word(1, Register.AL_STATUS_CODE) == AlCode.SYNCHRONIZATION_ERROR
    counted = bench.bus.acyclic.sdo_read(1, *SYNC_EVENTS_MISSED)
    assert int.from_bytes(counted, "little") == 2 * ends_op - 1


def test_a_missing_setpoint_is_bridged_and_a_second_one_stops_the_axis(bench: Bench) -> None:
    bench.limit_sync_errors(0)
    bench.cycles(5)
    velocity_m_s = 1e-5 / (bench.bus.topology.period_ns * 1e-9)
    for axis in range(DRIVES):
        bench.image["outputs"]["stations"][0]["axes"][axis]["velocity_offset_m_s"] = velocity_m_s
    bench.cycles(2)
    goes = bench.bus.body.image["outputs"]["stations"][0]["axes"][AXIS]
    bench.fail(WireFault.DROP, frames=2)
    before_m = float(goes["target_position_m"])
    bench.cycle()
    assert float(goes["target_position_m"]) - before_m == pytest.approx(1e-5, rel=0.01)
    bench.cycle()
    assert float(goes["target_position_m"]) - before_m == pytest.approx(1e-5, rel=0.01)
    assert goes["velocity_offset_m_s"] == 0.0


def test_random_losses_never_let_a_wrong_input_through() -> None:
    bench = Bench().start()
    bench.limit_sync_errors(0)
    install_faults(bench.bus.body.wire, [], drop_share=0.2, seed=7)
    last_m = float(bench.axes[AXIS]["actual_position_m"])
    lost = 0
    for _ in range(2000):
        lost += bench.cycle() == ExchangeCode.MISSED
        position_m = float(bench.axes[AXIS]["actual_position_m"])
        assert last_m <= position_m <= last_m + 1e-3, "held or moved on, never jumped"
        last_m = position_m
    assert 300 < lost < 500
    assert bench.counted("frames_lost") == lost
