"""The plant's side, seen by node-opcua: alarms, jobs, results, recipes, material, history."""

import datetime
import json
from typing import Any

from asyncua import ua

from controller.gateway.opcua.users import Role
from controller.shared.alarms import ALARMS, AlarmId
from controller.shared.commands import CommandCode
from controller.shared.packml import State
from controller.shared.records import Verdict
from tests.wire.opcua_bench import Bench, NodeClient, eventually
from tests.wire.test_opcua_interoperability import Stage, call, play, shows, stage, value

__all__ = ["stage"]
ORDER = "ns=7;i=3008"
FIELDS = [
    "EventId", "EventType", "SourceName", "Message", "Severity", "ConditionName", "Retain",
    "ActiveState.Id", "AckedState.Id", "ConfirmedState.Id", "Comment", "ClientUserId",
]  # fmt: skip


async def named(node: NodeClient, key: str, wanted: Any, seen: list[Any]) -> Any:
    """Wait for an event that fits and return it."""

    async def find() -> Any:
        seen.extend(each["event"] for each in await node("notifications") if each["key"] == key)
        return next((each for each in seen if wanted(each)), None)

    return await eventually(find)


def test_an_alarm_is_raised_acknowledged_confirmed_and_refreshed(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OPERATOR)
        await node.login(Role.OBSERVER, name="observer")
        machine = bench.node("")[:-1]
        made = await node("subscribeEvents", node=machine, fields=FIELDS, ofType="i=2915")
        assert made["status"] == "Good"
        seen: list[Any] = []
        bench.core.raise_alarm(AlarmId.DOOR_OPEN)
        text = ALARMS[AlarmId.DOOR_OPEN].text
        event = await named(node, "events", lambda e: e["ConditionName"] == text, seen)
        assert (event["Severity"], event["ActiveState.Id"], event["AckedState.Id"]) == (
            1000,
            True,
            False,
        )
        condition = bench.node("Alarms.station 1.DOOR_OPEN")
        comment = {"type": "LocalizedText", "value": {"text": "seen it"}}

        async def act(method: str, event_id: str, **more: Any) -> str:
            inputs = [{"type": "ByteString", "value": event_id, "base64": True}, comment]
            done = await node(
                "call", object=condition, method=f"{condition}.{method}", inputs=inputs, **more
            )
            return str(done["status"])

        assert await act("Acknowledge", event["EventId"], name="observer") == "BadUserAccessDenied"
        assert await act("Acknowledge", "AAAA") == "BadEventIdUnknown"
        assert await act("Confirm", event["EventId"]) == "BadInvalidState"
        assert await act("Acknowledge", event["EventId"]) == "Good"
        event = await named(node, "events", lambda e: e["AckedState.Id"], seen)
        assert (event["Comment"], event["ClientUserId"]) == ("seen it", "Operator")
        assert await act("Acknowledge", event["EventId"]) == "BadConditionBranchAlreadyAcked"
        assert await node("refresh") == "Good"
        seen.clear()
        again = await named(node, "events", lambda e: e["ConditionName"] == text, seen)
        assert again["EventId"] == event["EventId"]

        async def listed() -> bool:
            alarms = await value(node, bench, "PackML.Admin.Alarm")
            return [each["ID"] for each in alarms] == [ALARMS[AlarmId.DOOR_OPEN].code]

        await eventually(listed)
        bench.core.clear_alarm(AlarmId.DOOR_OPEN)
        gone = await named(node, "events", lambda e: not e["ActiveState.Id"], seen)
        assert gone["Retain"] is True
        assert await act("Confirm", gone["EventId"]) == "Good"
        done = await named(node, "events", lambda e: e["ConfirmedState.Id"], seen)
        assert done["Retain"] is False
        await shows(node, bench, "PackML.Admin.AlarmExtent", 0)
        await node("disconnect")
        await node("disconnect", name="observer")

    play(stage, scene)


def order(job: str, recipe: str = "reference", quantity: int = 2, **parameters: float) -> Any:
    """Return a job order as an MES sends it."""
    rows = [
        {"ID": key, "value": {"dataType": "Double", "value": number}}
        for key, number in {"quantity": float(quantity), **parameters}.items()
    ]
    return {
        "type": "ExtensionObject",
        "dataType": ORDER,
        "value": {"jobOrderID": job, "workMasterID": [{"ID": recipe}], "jobOrderParameters": rows},
    }


COMMENT = {"type": "LocalizedText", "array": True, "value": []}
CONTROL = "JobManagement.JobOrderControl"


def job_call(node: NodeClient, bench: Bench, method: str, what: Any) -> Any:
    first = what if isinstance(what, dict) else {"type": "String", "value": what}
    return call(node, bench, CONTROL, method, first, COMMENT)


def test_a_job_is_stored_started_followed_and_ends_with_its_cells(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.MES)
        core = bench.core
        bench.gateway.outbox.name_plan("00" * 32, "reference")
        stored = await job_call(node, bench, "StoreAndStart", order("J1"))
        assert (stored["status"], stored["outputs"]) == ("Good", [1])
        core.set_state(State.IDLE)
        await eventually(lambda: core.machine["state"] == State.EXECUTE)
        assert (CommandCode.SET_CELLS, 2.0) in core.commands
        (entry,) = await value(node, bench, f"{CONTROL}.JobOrderList")
        assert entry["state"][0]["stateText"] == "Running"
        for _ in range(2):
            core.finish_cell()
        core.set_state(State.COMPLETE)

        async def ended() -> Any:
            (response,) = await value(
                node, bench, "JobManagement.JobOrderResults.JobOrderResponseList"
            )
            return response["jobState"][0]["stateText"] == "Ended" and response

        response = await eventually(ended)
        made = {each["ID"]: each["value"] for each in response["jobResponseData"]}
        assert made["GoodCells"] in (2, [0, 2])
        await eventually(lambda: core.acknowledged == int(core.memory["records"]["newest"]))
        results = bench.gateway.outbox.of_job("J1")
        assert len(results) == 2
        cleared = await job_call(node, bench, "Clear", "J1")
        assert cleared["outputs"] == [1]
        assert await value(node, bench, f"{CONTROL}.JobOrderList") == []
        await node("disconnect")

    play(stage, scene)


def test_a_job_is_paused_stopped_and_aborted_and_brings_its_lots(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.MES)
        core = bench.core
        bench.gateway.outbox.name_plan("00" * 32, "reference")
        states = {each.id: each for each in bench.gateway.jobs.all()}
        assert "P1" not in states
        with_lot = order("P1", quantity=3)
        with_lot["value"]["materialRequirements"] = [
            {
                "materialClassID": "cathode",
                "materialLotID": "C-9",
                "materialUse": "Material consumed",
            }
        ]
        fields = ["EventType", "Message", "SourceName"]
        await node("subscribeEvents", node=bench.node("")[:-1], fields=fields)

        async def asked(method: str, what: Any) -> Any:
            return (await job_call(node, bench, method, what))["outputs"]

        def is_in(job: str, state: str) -> bool:
            found = bench.gateway.jobs.find(job)
            return found is not None and found.state == state

        assert await asked("StoreAndStart", with_lot) == [1]
        assert await asked("StoreAndStart", order("P2", quantity=1)) == [1]
        core.set_state(State.IDLE)
        await eventually(lambda: core.machine["state"] == State.EXECUTE)
        assert await value(node, bench, "Material.CathodeLot") == "C-9"
        seen: list[Any] = []
        await named(node, "events", lambda e: e["Message"] == "cathode: lot C-9", seen)
        await named(node, "events", lambda e: e["Message"] == "job P1: Running", seen)
        assert await asked("Pause", "P1") == [1]
        await eventually(lambda: core.machine["state"] == State.SUSPENDED)
        assert is_in("P1", "Interrupted")
        assert await asked("Resume", "P1") == [1]
        await eventually(lambda: core.machine["state"] == State.EXECUTE)
        assert await asked("Stop", "P1") == [1]
        assert is_in("P1", "Ended")
        await eventually(lambda: is_in("P2", "Running"))
        assert await asked("Abort", "P2") == [1]
        assert is_in("P2", "Aborted")
        await eventually(lambda: core.machine["state"] == State.STOPPED)
        core.set_state(State.COMPLETE)
        await eventually(lambda: core.machine["cells_requested"] == 0)
        for job in ("P1", "P2"):
            assert await asked("Clear", job) == [1]
        await node("disconnect")

    play(stage, scene)


def test_a_job_is_refused_with_its_reasons(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.MES)
        await node.login(Role.OPERATOR, name="operator")

        async def refused(method: str, what: Any, name: str = "main") -> Any:
            answer = await call(node, bench, CONTROL, method, what, COMMENT, name=name)
            return answer["status"], answer["outputs"]

        text = {"type": "String", "value": "nobody"}
        assert await refused("Store", order("X", recipe="none")) == ("Uncertain", [(1 << 33) + 16])
        assert await refused("Store", order("X", quantity=0)) == ("Uncertain", [(1 << 34) + 16])
        wrong = order("X", tension_n=1e6)
        assert await refused("Store", wrong) == ("Uncertain", [(1 << 35) + 16])
        assert await refused("Start", text) == ("Uncertain", [2])
        assert (await refused("Store", order("X"), "operator"))[0] == "BadUserAccessDenied"
        assert (await job_call(node, bench, "Store", order("X")))["outputs"] == [1]
        assert await refused("Store", order("X")) == ("Uncertain", [1 << 36])
        job = {"type": "String", "value": "X"}
        assert await refused("Pause", job) == ("Uncertain", [8])
        for method in ("Start", "RevokeStart", "Cancel"):
            assert (await job_call(node, bench, method, "X"))["outputs"] == [1]
        await node("disconnect")
        await node("disconnect", name="operator")

    play(stage, scene)


def test_results_are_offered_in_order_until_acknowledged(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.MES)
        await node.login(Role.OBSERVER, name="observer")
        management = bench.node("ResultManagement")
        fields = ["EventType", "Message", "SourceName"]
        await node("subscribeEvents", node=management, fields=fields)
        bench.gateway.outbox.acknowledge(
            each.result_id for each in bench.gateway.outbox.open_records(1000)
        )
        await call(
            node, bench, "Material", "AddSerialNumbers",
            {"type": "String", "array": True, "value": ["SN1", "SN2"]},
        )  # fmt: skip
        lot = [{"type": "String", "value": "Anode"}, {"type": "String", "value": "A-17"}]
        assert (await call(node, bench, "Material", "LoadMaterial", *lot))["status"] == "Good"
        counters = [bench.core.finish_cell(verdict) for verdict in (Verdict.GOOD, Verdict.REJECTED)]
        seen: list[Any] = []
        await named(node, "events", lambda e: "rejected" in e["Message"], seen)
        assert ["good" in each["Message"] for each in seen] == [True, False]
        listed = await call(
            node, bench, "ResultManagement", "GetResultIdListFiltered",
            {"type": "ExtensionObject", "dataType": "ContentFilter", "value": {}},
            {"type": "ExtensionObject", "dataType": "RelativePath", "array": True, "value": []},
            {"type": "UInt32", "value": 10}, {"type": "Int32", "value": 0},
        )  # fmt: skip
        ids = listed["outputs"][1]
        run = bench.core.view().run.hex
        assert ids == [f"{run}:{counter}" for counter in counters]
        by_id = [{"type": "String", "value": ids[0]}, {"type": "Int32", "value": 0}]
        for _ in range(2):  # the same record offered twice is the same result
            got = await call(node, bench, "ResultManagement", "GetResultById", *by_id)
            meta = got["outputs"][1]["resultMetaData"]
            assert (meta["resultId"], meta["partId"], meta["resultEvaluation"]) == (
                ids[0],
                "SN1",
                1,
            )
        content = json.loads(got["outputs"][1]["resultContent"][0])
        assert content["lots"]["anode"] == "A-17"
        assert len(content["layers"]) == 3
        latest = await call(
            node, bench, "ResultManagement", "GetLatestResult", {"type": "Int32", "value": 0}
        )
        assert latest["outputs"][1]["resultMetaData"]["partId"] == "SN2"
        both = {"type": "String", "array": True, "value": [*ids, "none:1"]}
        denied = await call(
            node, bench, "ResultManagement", "AcknowledgeResults", both, name="observer"
        )
        assert denied["status"] == "BadUserAccessDenied"
        done = await call(node, bench, "ResultManagement", "AcknowledgeResults", both)
        assert done["outputs"] == [[0, 0, 1], 1]
        assert await value(node, bench, "ResultManagement.OpenResults") == 0
        await node("disconnect")
        await node("disconnect", name="observer")

    play(stage, scene)


def test_recipes_are_listed_and_validated_with_a_reason(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.SUPERVISOR)
        names = await value(node, bench, "Recipes.List")
        assert "reference" in names
        assert await value(node, bench, "Recipes.reference.tension_n") == 3.0

        async def validate(name: str, key: str, number: float) -> Any:
            inputs = [
                {"type": "String", "value": name},
                {"type": "String", "array": True, "value": [key]},
                {"type": "Double", "array": True, "value": [number]},
            ]
            return (await call(node, bench, "Recipes", "Validate", *inputs))["outputs"][0]

        assert await validate("reference", "tension_n", 3.5) == ""
        assert "tension_n" in await validate("reference", "tension_n", 99.0)
        assert "unknown" in await validate("reference", "no.such", 1.0)
        assert "unknown" in await validate("../machine", "tension_n", 3.0)
        await node("disconnect")

    play(stage, scene)


def test_history_of_values_can_be_read_page_by_page(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OBSERVER)
        text = "Stations.station 1.Web.Tension"
        station, live = (
            bench.core.stations[0],
            bench.gateway.server.space.value(bench.node_id(text)),
        )
        steps = [4.0 + 0.125 * n for n in range(8)]
        for step in steps:
            station["tension_n"] = step
            await eventually(lambda s=step: live.value.Value.Value == s)
        start = "2020-01-01T00:00:00Z"

        async def complete() -> Any:
            read = await node(
                "history", node=bench.node(text), start=start, end="2100-01-01T00:00:00Z"
            )
            values = [each["value"] for each in read["values"]]
            return values[-8:] == steps and values

        everything = await eventually(complete)
        paged = await node(
            "history", node=bench.node(text), start=start, end="2100-01-01T00:00:00Z", count=3
        )
        assert [each["value"] for each in paged["values"]] == everything
        none = await node("history", node=bench.node("Material.AnodeLot"), start=start, count=1)
        assert none["status"] == "BadHistoryOperationUnsupported"
        await node("disconnect")

    play(stage, scene)


def test_what_is_audited_is_told_to_security_administrators_alone(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.SECURITY_ADMIN)
        await node.login(Role.SUPERVISOR, name="supervisor")
        fields = ["EventType", "Status", "ClientUserId", "SourceName"]
        for name in ("main", "supervisor"):
            audit = {"node": "i=2253", "fields": fields, "ofType": "i=2052"}
            await node("subscribeEvents", name=name, **audit)
        asset = bench.node("Identification.AssetId")
        text = {"type": "String", "value": "line 8"}
        refused = await node("write", node=asset, value=text, name="supervisor")
        assert refused == "BadUserAccessDenied"
        seen: list[Any] = []
        told = await named(node, "events", lambda e: e["SourceName"] == "write", seen)
        assert (told["ClientUserId"], told["Status"]) == ("Supervisor", False)
        assert told["EventType"].endswith("i=2100")
        assert await node("write", node=asset, value=text) == "Good"
        await named(node, "events", lambda e: e["SourceName"] == "write" and e["Status"], seen)
        assert await node("notifications", name="supervisor") == []
        await node("disconnect")
        await node("disconnect", name="supervisor")

    play(stage, scene)


def test_history_of_events_can_be_read(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
        bench.core.raise_alarm(AlarmId.WEB_BREAK)
        bench.core.set_state(State.STOPPED)
        bench.core.clear_alarm(AlarmId.WEB_BREAK)
        async with bench.asyncua(Role.OBSERVER) as client:
            machine = client.get_node(ua.NodeId("Machine", bench.gateway.server.space.own))
            end = start + datetime.timedelta(hours=1)

            async def found() -> bool:
                read = await machine.read_event_history(start, end, 0)
                texts = [event.Message.Text for event in read]
                return any("state changed" in text for text in texts)

            await eventually(found)

    play(stage, scene)
