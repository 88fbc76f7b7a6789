"""Manual mode and trims over OPC UA: what each method asks of the core, and what a refusal says."""

from typing import Any

from controller.gateway.opcua.users import Role
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.jog import Guard
from drivers.image import AxisId
from tests.wire.opcua_bench import Bench, NodeClient
from tests.wire.test_opcua_interoperability import Stage, call, play, stage

__all__ = ["stage"]
OWNER = "Stations.station 1.Manual"


def _text(value: str) -> dict[str, Any]:
    return {"type": "String", "value": value}


def _number(value: float) -> dict[str, Any]:
    return {"type": "Double", "value": value}


def test_axes_are_moved_and_trims_set_by_method(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.MAINTENANCE)
        bench.core.commands.clear()
        calls = (
            ("Jog", (_text("TABLE_X"), _number(-0.05)), CommandCode.JOG, -0.05),
            ("JogStep", (_text("wrap"), _number(0.1)), CommandCode.JOG_STEP, 0.1),
            ("JogStop", (), CommandCode.JOG_STOP, 0.0),
            ("Step", (), CommandCode.STEP, 0.0),
            ("Identify", (), CommandCode.IDENTIFY, 0.0),
            ("SetTensionTrim", (_number(0.2),), CommandCode.SET_TENSION_TRIM, 0.2),
            ("SetOffsetTrim", (_text("THETA"), _number(1e-4)), CommandCode.SET_OFFSET_TRIM, 1e-4),
        )
        for method, inputs, code, value in calls:
            answer = await call(node, bench, OWNER, method, *inputs)
            assert answer["status"] == "Good", method
            asked = [each for each in bench.core.commands if each[0] == code]
            assert asked == [(code, value)], method

    play(stage, scene)


def test_an_axis_that_is_not_there_is_refused_before_the_core_is_asked(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.MAINTENANCE)
        bench.core.commands.clear()
        answer = await call(node, bench, OWNER, "Jog", _text("TABLE_Q"), _number(0.1))
        assert answer["status"] == "BadOutOfRange"
        assert not [each for each in bench.core.commands if each[0] == CommandCode.JOG]

    play(stage, scene)


def test_a_guard_in_the_way_and_a_role_too_low_have_their_status(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.MAINTENANCE)
        await node.login(Role.OPERATOR, name="operator")
        obey = bench.core.obey

        def refuse(code: int, value: float) -> CommandResult:
            if code != CommandCode.JOG:
                return obey(code, value)
            bench.core.machine["last_guard"] = Guard.OWN_ARM_UP
            return CommandResult.REFUSED_INTERLOCK

        bench.core.obey = refuse
        try:
            inputs = (_text(AxisId.ANODE_ARM_X.name), _number(0.1))
            answer = await call(node, bench, OWNER, "Jog", *inputs)
            assert answer["status"] == "BadRequestNotAllowed"
            answer = await call(node, bench, OWNER, "Jog", *inputs, name="operator")
            assert answer["status"] == "BadUserAccessDenied"
            await node("disconnect", name="operator")
        finally:
            bench.core.obey = obey

    play(stage, scene)
