"""Manual mode and trims over OPC UA: what each method asks of the core, and what a refusal says."""

from typing import Any

import pytest

from controller.gateway.opcua.users import Role
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.jog import Guard
from drivers.image import AxisId
from tests.wire.opcua_bench import Bench, NodeClient, eventually
from tests.wire.test_opcua_interoperability import Stage, call, play, stage, value

__all__ = ["stage"]
DESCRIPTOR = "ns=5;i=16"
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
        for method, inputs, code, number in calls:
            answer = await call(node, bench, OWNER, method, *inputs)
            assert answer["status"] == "Good", method
            asked = [each for each in bench.core.commands if each[0] == code]
            assert asked == [(code, number)], method

    play(stage, scene)


def _parameter(value: float, **more: Any) -> dict[str, Any]:
    return {"name": "station 1.OffsetTrimX", "value": value, **more}


def test_trims_are_packml_parameters_shown_as_the_machine_has_them(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OPERATOR)
        await node.login(Role.MES, name="mes")
        bench.core.commands.clear()

        async def sets(*fields: dict[str, Any], name: str = "main") -> Any:
            array = {"type": "ExtensionObject", "dataType": DESCRIPTOR, "array": True}
            answer = await call(
                node, bench, "PackML", "SetParameter", {**array, "value": list(fields)}, name=name
            )
            return answer["status"]

        def asked() -> list[tuple[int, float]]:
            codes = (CommandCode.SET_TENSION_TRIM, CommandCode.SET_OFFSET_TRIM)
            return [each for each in bench.core.commands if each[0] in codes]

        by_number = {"ID": 1, "value": 0.25}
        assert await sets(_parameter(0.5e-3), by_number) == "Good"
        offset, tension = asked()
        assert tension == (CommandCode.SET_TENSION_TRIM, 0.25)
        assert offset == (CommandCode.SET_OFFSET_TRIM, pytest.approx(0.5e-3))

        async def shown() -> bool:
            rows = await value(node, bench, "PackML.Status.Parameter")
            present = {each["name"].removeprefix("station 1."): each["value"] for each in rows}
            assert set(present) == {"TensionTrim", "OffsetTrimX", "OffsetTrimY", "OffsetTrimTheta"}
            trims = (present["TensionTrim"], present["OffsetTrimX"])
            return trims == (0.25, pytest.approx(0.5e-3))

        await eventually(shown)
        millimetre = {"namespaceUri": "http://www.opcfoundation.org/UA/units/un/cefact"}
        millimetre["unitId"] = int.from_bytes(b"MMT", "big")
        assert await sets(by_number, _parameter(0.5, unit=millimetre)) == "BadOutOfRange"
        assert await sets(by_number, {"name": "station 9.TensionTrim"}) == "BadOutOfRange"
        assert await sets(by_number, name="mes") == "BadUserAccessDenied"
        assert len(asked()) == 2  # of what is refused nothing was asked
        await node("disconnect")
        await node("disconnect", name="mes")

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
