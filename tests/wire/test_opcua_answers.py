"""Every status code that the documentation promises is given, and told from the others."""

import asyncio
import contextlib
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from controller.gateway.opcua.users import Role
from controller.shared.alarms import AlarmId
from controller.shared.commands import COMMAND_SLOT_COUNT, CommandCode
from controller.shared.conditions import ConditionId
from controller.shared.packml import State
from drivers.image import AxisId
from tests.wire.opcua_bench import ROOT, Bench, NodeClient, NodeError, eventually
from tests.wire.test_opcua_interoperability import EXECUTE, MACHINE, Stage, call, play, stage

__all__ = ["stage"]


def text(value: str) -> dict[str, str]:
    return {"type": "String", "value": value}


def test_methods_say_what_is_out_of_range_not_there_or_there_before(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.SUPERVISOR)

        async def status(owner: str, method: str, *inputs: Any) -> str:
            return str((await call(node, bench, owner, method, *inputs))["status"])

        slow = {"type": "Float", "value": 0.5}
        assert await status("PackML", "SetMachSpeed", slow) == "BadOutOfRange"
        mode = {"type": "Int32", "value": 99}
        assert await status("PackML", "SetUnitMode", mode) == "BadOutOfRange"
        assert await status("Material", "LoadMaterial", text("roof"), text("1")) == "BadOutOfRange"
        serials = {"type": "String", "array": True, "value": ["twice", "twice"]}
        assert await status("Material", "AddSerialNumbers", serials) == "BadEntryExists"
        at_once = {"type": "Int32", "value": 0}
        results = "ResultManagement"
        assert await status(results, "GetResultById", text("none:1"), at_once) == "BadNotFound"
        no_filter = {"type": "ExtensionObject", "dataType": "ContentFilter", "value": {}}
        path = {"elements": [{"targetName": {"name": "CreationTime"}}]}
        ordered = {
            "type": "ExtensionObject",
            "dataType": "RelativePath",
            "array": True,
            "value": [path],
        }
        count = {"type": "UInt32", "value": 10}
        asked = (no_filter, ordered, count, at_once)
        assert await status(results, "GetResultIdListFiltered", *asked) == "BadFilterNotAllowed"
        await node("disconnect")

    play(stage, scene)


def test_a_machine_that_does_not_answer_is_told_from_one_that_is_silent(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OPERATOR)
        core = bench.core
        take = core.take_commands
        core.take_commands = lambda: None  # it lives, but hears nothing
        try:
            stuck = await call(node, bench, MACHINE, "Reset")
            assert stuck["status"] == "BadTimeout"
            with contextlib.suppress(RuntimeError):
                for _ in range(COMMAND_SLOT_COUNT):
                    bench.gateway.view.send(CommandCode.SET_CELLS)
            full = await call(node, bench, MACHINE, "Reset")
            assert full["status"] == "BadResourceUnavailable"
        finally:
            core.take_commands = take
        core.alive = False
        await eventually(lambda: not bench.gateway.view.core_alive(_now_ns()))
        assert (await call(node, bench, EXECUTE, "Hold"))["status"] == "BadNoCommunication"
        core.alive = True
        # the Reset it did not hear it hears now, and not in the next scene
        await eventually(lambda: core.machine["state"] == State.IDLE)
        await node("disconnect")

    play(stage, scene)


def _now_ns() -> int:
    import time

    return time.monotonic_ns()


def test_an_alarm_is_confirmed_once_and_a_refresh_needs_its_own_item(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OPERATOR)
        condition = bench.node("Alarms.station 1.WEB_BREAK")
        fields = ["EventId", "ConditionName", "AckedState.Id", "ActiveState.Id"]
        made = await node(
            "subscribeEvents", node=bench.node("")[:-1], fields=fields, ofType="i=2915"
        )
        no_words = {"type": "LocalizedText", "value": {"text": ""}}

        async def act(method: str) -> str:
            (event_id,) = await node("read", nodes=[f"{condition}.EventId"])
            inputs = [{"type": "ByteString", "value": event_id["value"], "base64": True}, no_words]
            done = await node(
                "call", object=condition, method=f"{condition}.{method}", inputs=inputs
            )
            return str(done["status"])

        async def active() -> Any:
            (value,) = await node("read", nodes=[f"{condition}.ActiveState.Id"])
            return value["value"]

        bench.core.raise_alarm(AlarmId.WEB_BREAK)
        await eventually(active)
        assert await act("Acknowledge") == "Good"
        assert await act("Confirm") == "Good"
        assert await act("Confirm") == "BadConditionBranchAlreadyConfirmed"
        bench.core.clear_alarm(AlarmId.WEB_BREAK)
        for item, subscription, status in (
            (77_777, made["id"], "BadMonitoredItemIdInvalid"),
            (1, 77_777, "BadSubscriptionIdInvalid"),
        ):
            inputs = [{"type": "UInt32", "value": number} for number in (subscription, item)]
            refreshed = await node("call", object="i=2782", method="i=12912", inputs=inputs)
            assert refreshed["status"] == status
        await node("disconnect")

    play(stage, scene)


def test_values_say_how_far_they_can_be_trusted(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OBSERVER)
        station = bench.core.stations[0]
        place = "Stations.station 1"
        values = {
            f"{place}.Axes.TABLE_X.ActualPosition": "UncertainSensorNotAccurate",
            f"{place}.Web.WebEdge": "UncertainLastUsableValue",
        }

        async def statuses() -> list[str]:
            read = await node("read", nodes=[bench.node(each) for each in values])
            return [each["status"] for each in read]

        async def are(wanted: list[str]) -> None:
            async def reached() -> bool:
                return await statuses() == wanted

            await eventually(reached)

        await are(["Good", "Good"])
        station["axes"]["homed"][AxisId.TABLE_X] = 0
        station["conditions"][ConditionId.READINGS_FRESH] = 0
        await are(list(values.values()))
        station["axes"]["homed"][AxisId.TABLE_X] = 1
        station["conditions"][ConditionId.READINGS_FRESH] = 1
        await are(["Good", "Good"])
        await node("disconnect")

    play(stage, scene)


SUMMARY = "Server_ServerDiagnostics_ServerDiagnosticsSummary"


def test_the_server_counts_its_sessions_subscriptions_and_refusals(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OBSERVER)
        counts = bench.gateway.server.summary.counts

        async def count(name: str) -> int:
            number = getattr(ua.ObjectIds, f"{SUMMARY}_{name}")
            (read,) = await node("read", nodes=[f"i={number}"])
            return int(read["value"])

        async def grows(name: str, by: int, before: dict[str, int]) -> None:
            async def grown() -> bool:
                return await count(name) == before[name] + by

            await eventually(grown)

        fields = [each.name for each in dataclasses.fields(ua.ServerDiagnosticsSummaryDataType)]
        await grows("CumulatedSessionCount", 0, dataclasses.asdict(counts))
        before = {name: await count(name) for name in fields}
        await node.login(Role.OPERATOR, name="other")
        await node("subscribe", name="other", nodes=[bench.node("PackML.Status.StateNumber")])
        with pytest.raises(NodeError):
            await node.login(Role.OPERATOR, name="guest", password="guess-guess")
        await grows("CumulatedSessionCount", 2, before)
        await grows("CumulatedSubscriptionCount", 1, before)
        await grows("CurrentSubscriptionCount", 1, before)
        await grows("SecurityRejectedSessionCount", 1, before)
        await grows("RejectedSessionCount", 1, before)
        for name in ("SecurityRejectedRequestsCount", "RejectedRequestsCount"):
            assert await count(name) > before[name]  # its leave-taking is refused too
        await node("disconnect", name="other")
        await grows("CurrentSubscriptionCount", 0, before)
        whole, enabled, arrays = await node("read", nodes=["i=2275", "i=2294", "i=2290"])
        assert whole["value"]["cumulatedSessionCount"] == before["CumulatedSessionCount"] + 2
        assert (enabled["value"], arrays["status"]) == (True, "BadNotSupported")
        await node("disconnect")

    play(stage, scene)


def test_a_write_of_more_than_a_value_is_refused(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        async with bench.asyncua(Role.MAINTENANCE) as client:
            asset = client.get_node(bench.node_id("Identification.AssetId"))
            value = ua.Variant("line 9", ua.VariantType.String)
            questionable = ua.DataValue(value, ua.StatusCode(ua.StatusCodes.Uncertain))
            with pytest.raises(ua.UaStatusCodeError) as refused:
                await asset.write_value(questionable)
            assert ua.StatusCode(refused.value.code).name == "BadWriteNotSupported"

    play(stage, scene)


def test_before_the_cores_first_word_values_wait(tmp_path: Path) -> None:
    async def scene() -> None:
        bench = Bench(tmp_path)
        bench.core.alive = False
        bench.core.memory["machine"]["newest"] = 0
        await bench.start()
        number = bench.gateway.server.space.value(bench.node_id("PackML.Status.StateNumber"))
        assert number.value.StatusCode.name == "BadWaitingForInitialData"
        bench.core.alive = True
        bench.core.set_state(State.IDLE)
        await eventually(lambda: number.value.Value.Value == State.IDLE)
        await bench.stop()

    asyncio.run(scene())


def test_every_code_the_documentation_names_is_seen_by_a_test() -> None:
    named = set(re.findall(r"`\.*((?:Bad|Uncertain)_\w+)", (ROOT / "docs/opcua.md").read_text()))
    files = [
        *(ROOT / "tests/wire").glob("test_opcua_*.py"),
        ROOT / "tests/unit/test_gateway_words.py",
    ]
    tested = "".join(path.read_text() for path in files)
    unseen = {code for code in named if f'"{code.replace("_", "")}"' not in tested}
    assert len(named) > 20
    assert not unseen
