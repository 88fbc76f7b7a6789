"""PackML's parameters: each station's trims, shown as the machine has them and set by SetParameter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asyncua import ua

from controller.gateway.opcua.commands import Commands
from controller.gateway.opcua.model.model import METRE, NEWTON, RADIAN, Kind, Model, Unit
from controller.gateway.opcua.registry import OPERATING, Call, Refused
from controller.gateway.snapshot import Snapshot
from controller.shared.commands import CommandCode


@dataclass(frozen=True)
class Trim:
    """A station's trim: its command, which of several, and where the status has it."""

    name: str
    unit: Unit
    code: CommandCode
    index: int
    read: Callable[[Any], float]


TRIMS = (
    Trim("TensionTrim", NEWTON, CommandCode.SET_TENSION_TRIM, 0, lambda s: s["tension_trim_n"]),
    Trim("OffsetTrimX", METRE, CommandCode.SET_OFFSET_TRIM, 0, lambda s: s["offset_trim_m"][0]),
    Trim("OffsetTrimY", METRE, CommandCode.SET_OFFSET_TRIM, 1, lambda s: s["offset_trim_m"][1]),
    Trim("OffsetTrimTheta", RADIAN, CommandCode.SET_OFFSET_TRIM, 2, lambda s: s["offset_trim_rad"]),
)


@dataclass(frozen=True)
class Parameter:
    """A trim of one station by its number and name."""

    number: int
    name: str
    station: int
    trim: Trim

    def descriptor(self, snapshot: Snapshot) -> Any:
        """Return the parameter with its present value."""
        found = ua.PackMLDescriptorDataType()  # made from the model at start
        found.ID, found.Name, found.Unit = self.number, self.name, self.trim.unit.information
        status = snapshot.stations[self.station]
        found.Value = float(self.trim.read(status)) if status is not None else 0.0
        return found

    def is_meant(self, sent: Any) -> bool:
        """Tell whether a client means this one: by its name, or without one by its number."""
        return bool(sent.Name == self.name if sent.Name else self.number == sent.ID)


class Parameters:
    """Status.Parameter and SetParameter."""

    def __init__(self, model: Model, packml: ua.NodeId, commands: Commands) -> None:
        self._commands = commands
        stations = [each.name for each in model.settings.stations]
        self.all = [
            Parameter(index * len(TRIMS) + at + 1, f"{name}.{trim.name}", index, trim)
            for index, name in enumerate(stations)
            for at, trim in enumerate(TRIMS)
        ]
        shown = model.id("PackML", "Status", "Parameter")
        model.bind(shown, self._present, Kind.ExtensionObject, is_array=True)
        model.serve_method(packml, "SetParameter", self._set, OPERATING)

    def _present(self, snapshot: Snapshot) -> list[Any]:
        return [each.descriptor(snapshot) for each in self.all]

    async def _set(self, call: Call) -> list[ua.Variant]:
        """One after the other; all are known before the first is sent, the machine bounds each."""
        wanted = [(self._meant(sent), float(sent.Value)) for sent in call.arguments[0] or []]
        for parameter, value in wanted:
            trim = parameter.trim
            await self._commands.send(trim.code, parameter.station, trim.index, value)
        return []

    def _meant(self, sent: Any) -> Parameter:
        found = next((each for each in self.all if each.is_meant(sent)), None)
        if found is None:
            names = ", ".join(each.name for each in self.all)
            raise Refused(ua.StatusCodes.BadOutOfRange, f"no parameter {sent.Name!r}: {names}")
        unit = found.trim.unit
        has_unit = sent.Unit is not None and sent.Unit.NamespaceUri
        if has_unit and sent.Unit.UnitId != unit.information.UnitId:
            raise Refused(ua.StatusCodes.BadOutOfRange, f"{found.name} is in {unit.symbol}")
        return found
