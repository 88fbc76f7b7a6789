"""Manual mode and trims of a station as methods: rows of a table, answered by the machine."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from asyncua import ua

from controller.gateway.opcua.commands import Commands
from controller.gateway.opcua.model.model import Kind, Model, argument
from controller.gateway.opcua.registry import OPERATING, SETTING_UP, STOPPING, Call, Refused
from controller.gateway.opcua.users import Role
from controller.shared.commands import CommandCode
from drivers.image import AxisId

_AXIS = argument("Axis", Kind.String, "by name, TABLE_X")
_RENEWED = "m/s or rad/s; call again within the dead-man's time or it stops"


@dataclass(frozen=True)
class Row:
    """One method: its command, whether it names an axis, and its value."""

    name: str
    code: CommandCode
    inputs: tuple[ua.Argument, ...]
    roles: frozenset[Role]
    words: str


ROWS = (
    Row("Jog", CommandCode.JOG, (_AXIS, argument("Velocity", Kind.Double, _RENEWED)), SETTING_UP,
        "Move an axis as long as the call is repeated"),
    Row("JogStep", CommandCode.JOG_STEP, (_AXIS, argument("Distance", Kind.Double, "m or rad")),
        SETTING_UP, "Move an axis by a distance"),
    Row("JogStop", CommandCode.JOG_STOP, (), STOPPING, "Stop the axis that is moved by hand"),
    Row("Step", CommandCode.STEP, (), SETTING_UP, "Go on to the next step, or the next sheet"),
    Row("Identify", CommandCode.IDENTIFY, (), SETTING_UP,
        "Let the empty table move so that its mode can be measured"),
    Row("SetTensionTrim", CommandCode.SET_TENSION_TRIM, (argument("Tension", Kind.Double, "N"),),
        OPERATING, "Web tension beside the recipe's"),
    Row("SetOffsetTrim", CommandCode.SET_OFFSET_TRIM,
        (argument("Direction", Kind.String, "X, Y or THETA"),
         argument("Offset", Kind.Double, "m or rad")),
        OPERATING, "Where the sheets are laid beside the datum"),
)  # fmt: skip
_NAMES = {
    "Axis": {axis.name: int(axis) for axis in AxisId},
    "Direction": {"X": 0, "Y": 1, "THETA": 2},
}


class ManualPart:
    """The methods of one station, in the folder `Manual`."""

    def __init__(self, model: Model, station: ua.NodeId, index: int, commands: Commands) -> None:
        self._commands = commands
        path = ("Stations", model.settings.stations[index].name, "Manual")
        folder = model.folder(station, *path)
        for row in ROWS:
            handler = self._handler(row, index)
            inputs = list(row.inputs)
            model.add_method(folder, (*path, row.name), inputs, [], handler, row.roles, row.words)

    def _handler(self, row: Row, station: int) -> Callable[[Call], Awaitable[list[ua.Variant]]]:
        async def handler(call: Call) -> list[ua.Variant]:
            index, value = 0, 0.0
            for each, given in zip(row.inputs, call.arguments, strict=True):
                if each.Name in _NAMES:
                    index = _number(each.Name, given or "")
                else:
                    value = float(given)
            await self._commands.send(row.code, station, index, value)
            return []

        return handler


def _number(kind: str, name: str) -> int:
    found = _NAMES[kind].get(name.upper())
    if found is None:
        known = ", ".join(_NAMES[kind])
        raise Refused(ua.StatusCodes.BadOutOfRange, f"{kind} {name!r}: {known}")
    return found
