"""A small scripted driver of the simulated machine: slow, serial, and without any controller.

It writes outputs as a person at a panel would: quintic moves, one after the other, and a feed that is
told the true web demand. What the plant and its judge make of it is what the tests look at.
"""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from controller.settings.plant import PlantSettings
from drivers.cia402 import Mode
from drivers.image import AXIS_COUNT, IMAGE_DTYPE, AxisId, ReadingQuality
from hal_sim.context import context_record, make_context
from hal_sim.exchange import exchange

ROOT = Path(__file__).resolve().parents[2]
PERIOD_NS = 1_000_000
PERIOD_S = PERIOD_NS * 1e-9
UP_M, BACK_M = 0.045, -0.25
ENABLE = {0x40: 0x06, 0x21: 0x07, 0x23: 0x0F, 0x27: 0x0F}


def plant_settings(**quiet: Any) -> dict[str, Any]:
    """The reference plant file as the simulator takes it; `section__key=value` overrides."""
    tree = yaml.safe_load((ROOT / "config/plant.yaml").read_text())
    for path, value in quiet.items():
        *sections, key = path.split("__")
        node = tree
        for section in sections:
            node = node[section]
        node[key] = value
    return PlantSettings.model_validate(tree).model_dump()


class ScriptedStation:
    """One station, driven cycle by cycle."""

    def __init__(self, seed: int = 1, **overrides: Any) -> None:
        self.context = make_context(plant_settings(**overrides), 1, PERIOD_NS, seed)
        self.record = context_record(self.context)
        self.station = self.record["stations"][0]
        self.image = np.zeros(1, IMAGE_DTYPE)[0]
        self.inputs = self.image["inputs"]["stations"][0]
        self.outputs = self.image["outputs"]["stations"][0]
        self.outputs["axes"]["mode"] = Mode.CYCLIC_SYNC_POSITION
        self.settle_cycles = 200
        self.feeding = False
        self.demand = self.feed_start = 0.0
        self.rate = self.trim = 0.0

    def copy(self) -> "ScriptedStation":
        """The same machine at the same instant, apart."""
        twin = object.__new__(ScriptedStation)
        twin.__dict__.update(self.__dict__)
        twin.context = self.context.copy()
        twin.record = context_record(twin.context)
        twin.station = twin.record["stations"][0]
        whole = np.zeros(1, IMAGE_DTYPE)
        whole[0] = self.image
        twin.image = whole[0]
        twin.inputs = twin.image["inputs"]["stations"][0]
        twin.outputs = twin.image["outputs"]["stations"][0]
        return twin

    # -- cycles ---------------------------------------------------------------------------------

    def cycle(self, count: int = 1) -> None:
        """Exchange a number of times with the outputs as they are."""
        for _ in range(count):
            if self.feeding:
                self._feed()
            self.image["inputs"]["time_ns"] += PERIOD_NS
            assert exchange(self.image, self.context) == 0

    def _feed(self) -> None:
        """Feed what the fold asks for, ahead by the roller's lag."""
        web = self.station["web"]
        rate = (float(web["demand_m"]) - self.demand) / PERIOD_S
        rise = (rate - self.rate) / PERIOD_S
        self.demand, self.rate = float(web["demand_m"]), rate
        lag = 0.007 + 1.5 * PERIOD_S  # a backward difference and a cycle late
        axis = self.outputs["axes"][AxisId.FEED]
        self.trim -= 0.003 * float(self.inputs["dancer_position_m"])
        axis["target_position_m"] = self.feed_start + self.demand + lag * rate + self.trim
        axis["velocity_offset_m_s"] = rate + lag * rise
        unwind = self.outputs["axes"][AxisId.UNWIND]
        speed = 0.15 + 3.0 * (0.08 - float(self.inputs["loop_length_m"]))
        speed = min(max(speed, 0.0), 1.0) / float(self.inputs["roll_radius_m"])
        unwind["target_position_m"] += speed * PERIOD_S
        unwind["velocity_offset_m_s"] = speed

    def until(self, condition: Any, cycles_max: int = 5000) -> None:
        """Run until a condition holds."""
        for _ in range(cycles_max):
            if condition():
                return
            self.cycle()
        raise AssertionError("the machine did not get there")

    # -- drives ---------------------------------------------------------------------------------

    def power_up(self) -> None:
        """Bring every drive to OPERATION ENABLED, where it stands."""
        self.cycle(20)
        axes_in, axes_out = self.inputs["axes"], self.outputs["axes"]

        def enabled() -> bool:
            words = axes_in["statusword"] & 0x6F
            for axis in range(AXIS_COUNT):
                axes_out[axis]["controlword"] = ENABLE.get(int(words[axis]), 0x06)
                axes_out[axis]["target_position_m"] = axes_in[axis]["actual_position_m"]
            return bool((words == 0x27).all())

        self.until(enabled)

    def home(self) -> None:
        """Reference every axis, then hold it where it is."""
        axes_in, axes_out = self.inputs["axes"], self.outputs["axes"]
        axes_out["mode"] = Mode.HOMING
        self.cycle()
        axes_out["controlword"] = 0x1F
        self.until(lambda: bool((axes_in["statusword"] & 0x1000).all()))
        axes_out["controlword"] = 0x0F
        axes_out["target_position_m"] = np.round(axes_in["actual_position_m"], 6)
        axes_out["mode"] = Mode.CYCLIC_SYNC_POSITION
        self.cycle(20)

    def take_up_web(self, force_n: float = 6.0) -> None:
        """Let the dancer pull and the feed follow."""
        dancer = self.outputs["axes"][AxisId.DANCER]
        dancer["mode"], dancer["force_offset_n"] = Mode.CYCLIC_SYNC_TORQUE, force_n
        self.demand = float(self.station["web"]["demand_m"])
        feed = float(self.outputs["axes"][AxisId.FEED]["target_position_m"])
        self.feed_start = feed - self.demand
        self.feeding = True
        self.cycle(400)

    def start(self) -> "ScriptedStation":
        """Power up, home and take up the web."""
        self.power_up()
        self.home()
        self.take_up_web()
        return self

    def move(self, goals: dict[int, float], duration_s: float = 0.2) -> None:
        """Move axes together, rest to rest, by a quintic."""
        axes = self.outputs["axes"]
        begin = {axis: float(axes[axis]["target_position_m"]) for axis in goals}
        cycles = max(1, round(duration_s / PERIOD_S))
        for number in range(1, cycles + 1):
            s = number / cycles
            share = s * s * s * (10.0 + s * (6.0 * s - 15.0))
            slope = 30.0 * s * s * (1.0 - s) * (1.0 - s) / duration_s
            bend = 60.0 * s * (1.0 - s) * (1.0 - 2.0 * s) / duration_s**2
            for axis, goal in goals.items():
                gap = goal - begin[axis]
                axes[axis]["target_position_m"] = begin[axis] + share * gap
                axes[axis]["velocity_offset_m_s"] = slope * gap
                mass = float(self.station["axes"][axis]["mass_kg"])
                axes[axis]["force_offset_n"] = mass * bend * gap
            self.cycle()
        for axis in goals:
            axes[axis]["velocity_offset_m_s"] = axes[axis]["force_offset_n"] = 0.0

    # -- the machine ----------------------------------------------------------------------------

    def arm(self, polarity: int, x: float | None = None, z: float | None = None) -> None:
        """Move an arm in x or z, or both at once."""
        first = AxisId.ANODE_ARM_X + 2 * polarity
        goals = {first: x} if x is not None else {}
        if z is not None:
            goals[first + 1] = z
        self.move(goals)

    def fingers(self, edge: int, inward: bool, down: bool, duration_s: float = 0.05) -> None:
        """Move both fingers of an edge (0 left, 1 right)."""
        first = AxisId.FINGER_LEFT_FRONT_IN + 4 * edge
        goals = {}
        for finger in range(2):
            goals[first + 2 * finger] = 0.015 if inward else 0.0
            goals[first + 2 * finger + 1] = 0.005 if down else 0.0
        self.move(goals, duration_s)

    def vacuum(self, polarity: int, on: bool, cycles: int = 120) -> None:
        """Switch both grippers of an arm and wait."""
        self.outputs["vacuum_on"][2 * polarity : 2 * polarity + 2] = on
        self.cycle(cycles)

    def correct(self, polarity: int) -> None:
        """Measure the staged sheet and move the stage so that it lies true."""
        camera = self.inputs["sheet_cameras"][polarity]
        self.outputs["sheet_camera_trigger"][polarity] += 1
        number = int(self.outputs["sheet_camera_trigger"][polarity])
        self.until(lambda: int(camera["sequence"]) == number)
        assert camera["quality"] == ReadingQuality.GOOD
        phi = -float(camera["theta_rad"])
        x, y = float(camera["x_m"]), float(camera["y_m"])
        first = AxisId.ANODE_STAGE_X + 3 * polarity
        goals = {first: -(x - phi * y), first + 1: -(y + phi * x), first + 2: phi}
        self.move(goals, 0.1)
        self.cycle(40)

    def stage_home(self, polarity: int) -> None:
        """Bring a stage back to its centre."""
        first = AxisId.ANODE_STAGE_X + 3 * polarity
        self.move({first: 0.0, first + 1: 0.0, first + 2: 0.0}, 0.1)
        self.cycle(20)

    def lead_in(self) -> None:
        """From home to the right-hand touch-down pose."""
        self.arm(1, x=0.0)
        self.arm(1, z=0.0)
        self.arm(0, z=0.0)
        self.vacuum(0, True)
        self.fingers(0, True, False)
        self.fingers(0, True, True)

    def half(self, polarity: int, away_m: float = 0.0, correcting: bool = True) -> None:
        """One half section: to the end of `polarity`, from touch-down to touch-down."""
        other = 1 - polarity
        arm = AxisId.ANODE_ARM_X
        self.move({arm + 1: UP_M, arm + 3: UP_M})
        if self.station["feeders"][other]["staged"]["count"] and correcting:
            self.correct(other)
        end = (0.1 if polarity else -0.1) + away_m
        old = polarity  # the edge that was clamped at the other end
        height = -0.00025 * int(self.station["stack_count"])
        self.move({AxisId.TABLE_X: end, AxisId.TABLE_Z: height}, 0.4)
        self.move({arm + 2 * polarity: 0.0, arm + 2 * other: BACK_M}, 0.3)
        self.cycle(self.settle_cycles)
        self.move({arm + 2 * polarity + 1: 0.0, arm + 2 * other + 1: 0.0}, 0.3)
        self.fingers(1 - old, True, False)
        self.fingers(1 - old, True, True)
        self.cycle(5)
        self.vacuum(polarity, False)
        self.vacuum(other, True)
        if not self.station["feeders"][other]["staged"]["count"]:
            self.stage_home(other)
        self.fingers(old, True, False)
        self.fingers(old, False, False)

    def stack(self, sheets: int) -> None:
        """Stack sheets after the start wrap that brings the first ones to the stages."""
        self.lead_in()
        self.half(0)
        self.half(1)
        for number in range(sheets):
            self.half(number % 2)

    def finish(self) -> None:
        """Wrap, cut, tape, unload, thread."""
        arm = AxisId.ANODE_ARM_X
        for polarity in range(2):
            self.arm(polarity, z=UP_M)
        self.move({arm: -0.125, arm + 2: -0.125}, 0.3)
        self.vacuum(0, False)
        self.vacuum(1, False)
        self.move({arm: BACK_M, arm + 2: BACK_M}, 0.3)
        self.move({AxisId.WRAP: 2.0 * np.pi}, 1.0)
        for edge in range(2):
            if self.station["judge"]["edges"][edge]["inside"]:
                self.fingers(edge, True, False)
                self.fingers(edge, False, False)
        self.move({AxisId.CUT: 0.04})
        self.move({AxisId.TAPE: 0.03})
        self.move({AxisId.TAPE: 0.0})
        self.move({AxisId.TABLE_Z: -0.06}, 0.5)
        self.cycle(50)
        self.move({AxisId.TABLE_Z: 0.0, AxisId.TABLE_X: 0.1, AxisId.WRAP: 0.0}, 0.5)
        self.move({AxisId.CUT: 0.0})
        self.station["feeders"]["staged"]["count"] = 0  # taken away by hand
        self.cycle(50)

    def fold_last_layer(self) -> None:
        """Arms up and back, the table to the right, the stack held by its plate's clamp."""
        arm = AxisId.ANODE_ARM_X
        self.move({arm + 1: UP_M, arm + 3: UP_M})
        self.move({arm: BACK_M, arm + 2: BACK_M}, 0.3)
        self.move({AxisId.TABLE_X: 0.1}, 0.4)
        self.outputs["stack_clamp"] = 1
        self.cycle(50)

    def turn(self, goal_rad: float = np.pi) -> None:
        """The changer turns; at its end the empty plate takes the web."""
        self.move({AxisId.CHANGER: goal_rad, AxisId.TABLE_Z: 0.0}, 1.0)
        self.outputs["stack_clamp"] = 0
        self.cycle(100)

    def change(self) -> None:
        """The stack goes to the wrapping place, its tail is cut."""
        self.fold_last_layer()
        self.fingers(1, True, False)
        self.fingers(1, False, False)
        self.turn()
        self.move({AxisId.CUT: 0.04})
        self.move({AxisId.CUT: 0.0})

    def wrap_up(self) -> None:
        """Wrap, tape and convey what stands at the wrapping place."""
        self.move({AxisId.WRAP: 2.0 * np.pi}, 1.0)
        self.move({AxisId.TAPE: 0.03})
        self.move({AxisId.TAPE: 0.0})
        self.outputs["conveyor"] = 1
        self.cycle(400)
        self.outputs["conveyor"] = 0

    # -- what came of it ------------------------------------------------------------------------

    def violations(self) -> dict[int, int]:
        """Broken rules by number."""
        counts = self.station["judge"]["violation_counts"]
        return {rule: int(count) for rule, count in enumerate(counts) if count}

    def told(self) -> list[str]:
        """The first violations in words, for an assertion's message."""
        judge = self.station["judge"]
        rows = judge["violations"][: min(int(judge["violation_count"]), 64)]
        return [
            f"rule {row['rule']} at {row['time_ns'] * 1e-9:.3f} s cell {row['cell']} "
            f"sheet {row['sheet']} index {row['index']}: {row['value']:.6g}"
            for row in rows
        ]
