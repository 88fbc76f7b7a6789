"""PackML (OPC 30050): status, administration and the three nested state machines, from our own table."""

from collections.abc import Awaitable, Callable
from typing import Any

from asyncua import ua

from controller.gateway.opcua.commands import Commands
from controller.gateway.opcua.companions import PACKML
from controller.gateway.opcua.model.model import PERCENT, Kind, Model
from controller.gateway.opcua.model.state_machines import ShownStateMachine, states_of
from controller.gateway.opcua.registry import (
    OPERATING,
    SETTING_UP,
    STOPPING,
    Call,
    Refused,
)
from controller.gateway.opcua.space import HAS_ADD_IN, NOTHING, Wanted
from controller.gateway.snapshot import Snapshot
from controller.shared.commands import CommandCode
from controller.shared.conditions import ConditionId
from controller.shared.packml import ACTING, Mode, State

_EXECUTE_METHODS = ("Start", "Reset", "Hold", "Unhold", "Suspend", "Unsuspend", "ToComplete")
_COMMANDS = {"ToComplete": CommandCode.COMPLETE}
_COUNTS = {
    "ProdProcessedCount": "cells_done",
    "ProdDefectiveCount": "cells_rejected",
}


def state_word(state: int) -> str:
    """Return a state's name as the PackML model writes it."""
    return State(state).name.title()


class PackMl:
    """The PackML object of the machine."""

    def __init__(self, model: Model, commands: Commands) -> None:
        self.model = model
        self.commands = commands
        space = model.space
        text = model.text("PackML")
        base_type = space.type(PACKML, "PackMLBaseObjectType")
        self.node = space.instantiate(
            model.machine, text, "PackML", base_type, _wanted(), HAS_ADD_IN, notifies=True
        )
        self.admin = space.id(f"{text}.Admin")
        model.fixed(space.id(f"{text}.PackMLVersion"), "2022", Kind.String)
        model.fixed(space.id(f"{text}.TagID"), model.name, Kind.String)
        self._status(f"{text}.Status")
        self._admin(f"{text}.Admin")
        self._machines(f"{text}.BaseStateMachine")
        self._methods(text)

    # -- Status ---------------------------------------------------------------------------------

    def _status(self, text: str) -> None:
        model, space = self.model, self.model.space
        modes = model.enumeration("UnitMode", ((mode.value, mode.name.title()) for mode in Mode))
        mode = space.id(f"{text}.UnitModeCurrent")
        space.set_attribute(mode, ua.AttributeIds.DataType, Kind.NodeId, modes)
        model.bind(mode, lambda s: int(s.machine["mode"]), Kind.Int32)
        model.fixed(space.id(f"{text}.UnitSupportedModes"), modes, Kind.NodeId)
        speeds: dict[str, Callable[[Snapshot], float]] = {
            "CurMachSpeed": _speed_percent,
            "MachSpeed": lambda s: 100.0 * float(s.machine["speed_override"]),
        }
        for name, read in speeds.items():
            node = space.id(f"{text}.{name}")
            limits = ua.Variant(ua.Range(0.0, 100.0), Kind.ExtensionObject)
            space.value(space.id(f"{text}.{name}.EURange")).value = ua.DataValue(limits)
            model.add_unit(node, f"{text}.{name}", PERCENT)
            model.bind(node, read, Kind.Float)
        bound = {
            "EquipmentBlocked": _is_blocked,
            "EquipmentStarved": _is_starved,
            "StateChangeInProcess": lambda s: State(int(s.machine["state"])) in ACTING,
        }
        for name, flag in bound.items():
            model.bind(space.id(f"{text}.{name}"), flag, Kind.Boolean)
        number = model.variable(
            space.id(text),
            ("PackML", "Status", "StateNumber"),
            Kind.Int32,
            lambda s: int(s.machine["state"]),
            description="PackML state number (ISA-TR88.00.02)",
        )
        self.state_number = number.node_id

    # -- Admin ----------------------------------------------------------------------------------

    def _admin(self, text: str) -> None:
        model, space = self.model, self.model.space
        for name, field in _COUNTS.items():
            node = space.id(f"{text}.{name}")
            model.bind(node, _count_reader(field), Kind.ExtensionObject, is_array=True)
        node = space.id(f"{text}.ProdConsumedCount")
        model.bind(node, _consumed, Kind.ExtensionObject, is_array=True)
        seconds = space.id(f"{text}.AccTimeSinceReset")
        period_s = model.settings.period_us * 1e-6
        model.bind(seconds, lambda s: int(s.machine["cycle"] * period_s), Kind.Int32)

    # -- state machines -------------------------------------------------------------------------

    def _machines(self, text: str) -> None:
        space = self.model.space
        levels = (
            (text, "PackMLBaseStateMachineType"),
            (f"{text}.MachineState", "PackMLMachineStateMachineType"),
            (f"{text}.MachineState.ExecuteState", "PackMLExecuteStateMachineType"),
        )
        types = [space.type(PACKML, name) for _, name in levels]
        names = [set(states_of(self.model, each)) for each in types]
        unknown = {state_word(each) for each in State} - set().union(*names)
        if unknown:
            raise RuntimeError(f"the PackML model lacks the states {sorted(unknown)}")
        inner = ("Cleared", "Running", None)
        for depth, (path, _) in enumerate(levels):
            reader = _level_reader(depth, names, inner[depth])
            ShownStateMachine(self.model, space.id(path), types[depth], reader)

    # -- methods --------------------------------------------------------------------------------

    def _methods(self, text: str) -> None:
        model, space = self.model, self.model.space
        machine = f"{text}.BaseStateMachine"
        owners = {
            f"{machine}": ("Abort", "Clear"),
            f"{machine}.MachineState": ("Reset", "Stop"),
            f"{machine}.MachineState.ExecuteState": _EXECUTE_METHODS,
        }
        for owner, names in owners.items():
            for name in names:
                roles = STOPPING if name in ("Abort", "Stop", "Hold", "Suspend") else OPERATING
                model.serve_method(space.id(owner), name, self._command(name), roles)
        model.serve_method(self.node, "SetUnitMode", self._set_unit_mode, SETTING_UP)
        model.serve_method(self.node, "SetMachSpeed", self._set_mach_speed, OPERATING)

    def _command(self, name: str) -> Callable[[Call], Awaitable[list[ua.Variant]]]:
        code = _COMMANDS.get(name) or CommandCode[name.upper()]

        async def handler(call: Call) -> list[ua.Variant]:
            await self.commands.send(code)
            return []

        return handler

    async def _set_unit_mode(self, call: Call) -> list[ua.Variant]:
        (mode,) = call.arguments
        if mode not in list(Mode):
            raise Refused(ua.StatusCodes.BadOutOfRange, f"no such mode: {mode}")
        await self.commands.send(CommandCode.SET_MODE, value=float(mode))
        return []

    async def _set_mach_speed(self, call: Call) -> list[ua.Variant]:
        (percent,) = call.arguments
        if not 1.0 <= percent <= 100.0:
            raise Refused(ua.StatusCodes.BadOutOfRange, f"{percent} %: 1 to 100")
        await self.commands.send(CommandCode.SET_SPEED_OVERRIDE, value=percent / 100.0)
        return []


def _wanted() -> Wanted:
    admin = ("Alarm", "AlarmExtent", "AlarmHistory", "AlarmHistoryExtent", "StopReason")
    counts = ("ProdConsumedCount", *_COUNTS, "AccTimeSinceReset")
    execute = dict.fromkeys(_EXECUTE_METHODS, NOTHING)
    machine: Wanted = {"Reset": {}, "Stop": {}, "ExecuteState": execute}
    return {
        "PackMLVersion": {},
        "TagID": {},
        "Status": {"StateChangeInProcess": {}, "Parameter": {}},
        "Admin": dict.fromkeys((*admin, *counts), NOTHING),
        "BaseStateMachine": {"Abort": {}, "Clear": {}, "MachineState": machine},
    }


def _level_reader(
    depth: int, names: list[set[str]], inner: str | None
) -> Callable[[Snapshot], str | None]:
    """Return how one level reads its state: its own, the one that holds the next level, or none."""

    def read(snapshot: Snapshot) -> str | None:
        word = state_word(int(snapshot.machine["state"]))
        if word in names[depth]:
            return word
        below = any(word in each for each in names[depth + 1 :])
        return inner if below else None

    return read


def _speed_percent(snapshot: Snapshot) -> float:
    speeds = [float(each["master_speed"]) for each in snapshot.stations if each is not None]
    return 100.0 * sum(speeds) / len(speeds) if speeds else 0.0


def _is_blocked(snapshot: Snapshot) -> bool:
    """Blocked: finished cells cannot be handed on."""
    return _is_missing(snapshot, ConditionId.RECORDS_HAVE_ROOM)


def _is_starved(snapshot: Snapshot) -> bool:
    """Starved: sheets are missing."""
    wanted = (ConditionId.ANODES_AVAILABLE, ConditionId.CATHODES_AVAILABLE)
    return any(_is_missing(snapshot, each) for each in wanted)


def _is_missing(snapshot: Snapshot, condition: int) -> bool:
    present = [each for each in snapshot.stations if each is not None]
    return any(not each["conditions"][condition] for each in present)


def _count_reader(field: str) -> Callable[[Snapshot], list[Any]]:
    def read(snapshot: Snapshot) -> list[Any]:
        return [_count(1, "cells", int(snapshot.machine[field]))]

    return read


def _consumed(snapshot: Snapshot) -> list[Any]:
    return [
        _count(index + 1, f"sheets, station {index + 1}", int(each["sheets_total"]))
        for index, each in enumerate(snapshot.stations)
        if each is not None
    ]


def _count(number: int, name: str, count: int) -> Any:
    result = ua.PackMLCountDataType()  # made from the model at start
    result.ID, result.Name, result.Count, result.AccCount = number, name, count, count
    return result
