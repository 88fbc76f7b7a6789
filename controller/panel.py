"""`foldline order`: one command to the machine that runs, as from a panel's key."""

import sys
import time

from controller.attach import NoMachine, attach
from controller.commission import Commissioner, NotCommissioned
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.refusal import Asked, refusal
from drivers.image import AxisId

EXIT_REFUSED = 1
EXIT_WRONG = 2
RENEW_S = 0.1
# What belongs to processes, not to people.
NOT_BY_HAND = frozenset(
    {CommandCode.NONE, CommandCode.ACKNOWLEDGE_RECORDS, CommandCode.ACTIVATE_PLAN}
)


def order_command(
    name: str,
    value: float,
    station: int,
    axis: str | None,
    index: int,
    seconds: float,
    pid: int | None,
) -> int:
    """Give one command; a jog is held for `seconds` and then let go. Returns the exit status."""
    offered = {code.name.lower(): code for code in CommandCode if code not in NOT_BY_HAND}
    code = offered.get(name.lower().replace("-", "_"))
    if code is None:
        return _wrong(f"no command {name}; there are: {', '.join(sorted(offered))}")
    if axis is not None:
        if axis.upper() not in AxisId.__members__:
            return _wrong(f"no axis {axis}; there are: {', '.join(AxisId.__members__).lower()}")
        index = AxisId[axis.upper()]
    try:
        view = attach(pid)
        result = _give(Commissioner(view), code, station, index, value, seconds)
    except (NoMachine, NotCommissioned, ValueError) as error:
        return _wrong(str(error))
    if result == CommandResult.ACCEPTED:
        print("accepted")
        return 0
    print(f"refused: {refusal(view, Asked(code, station, index, value), result)}")
    return EXIT_REFUSED


def _give(
    panel: Commissioner, code: CommandCode, station: int, index: int, value: float, seconds: float
) -> CommandResult:
    result = panel.ask(code, station, index, value)
    if code != CommandCode.JOG:
        return result
    end_s = time.monotonic() + seconds
    while result == CommandResult.ACCEPTED and time.monotonic() < end_s:
        time.sleep(RENEW_S)
        result = panel.ask(code, station, index, value)
    panel.ask(CommandCode.JOG_STOP, station)
    return result


def _wrong(text: str) -> int:
    print(text, file=sys.stderr)
    return EXIT_WRONG
