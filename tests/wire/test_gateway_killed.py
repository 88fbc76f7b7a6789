"""The whole gateway is killed while the machine works: what it stored and told outlives it, once."""

import asyncio
import contextlib
import datetime
import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from controller.gateway.records.outbox import Outbox
from controller.shared.alarms import ALARMS, AlarmId
from tests.wire.gateway_plant import Plant
from tests.wire.opcua_bench import eventually


async def campaign(plant: Plant, kills: int, chance: random.Random) -> None:
    async def live() -> None:
        while True:
            plant.live(chance)
            await asyncio.sleep(0.01)

    life = asyncio.create_task(live())
    plant.start()
    within_write = 0
    for number in range(kills):
        before = plant.core.acknowledged
        # It works again: it acknowledges what finished meanwhile.
        await eventually(lambda b=before: plant.core.acknowledged > b)
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        # Every second time at any instant, else while a cell is being stored.
        within_write += plant.kill(partial(plant.live, chance) if number % 2 == 0 else None)
        plant.start()
    newest = int(plant.core.memory["records"]["newest"])
    await eventually(lambda: plant.core.acknowledged > newest)
    life.cancel()
    produced = int(plant.core.memory["records"]["newest"])
    async with living(plant), working(plant) as client:
        shown = {
            "MachineryBuildingBlocks.OperationCounters.OperationCycleCounter": produced,
            "ResultManagement.OpenResults": produced,
        }
        for text, wanted in shown.items():
            await eventually(lambda t=text, w=wanted: is_shown(client, t, w))
        await eventually(lambda: plant.core.acknowledged == produced)
    assert plant.end() == 0
    stored = [
        each.counter for each in Outbox(plant.state / "records.sqlite").after(0, produced + 10)
    ]
    assert stored == list(range(1, produced + 1))
    print(f"{produced} cells, {kills} kills, {within_write} of them within a write")
    assert within_write >= kills // 2


@contextlib.asynccontextmanager
async def living(plant: Plant) -> Any:
    """Let the core live, without finishing cells."""
    pulse = asyncio.create_task(plant.core.run())
    try:
        yield
    finally:
        pulse.cancel()


@contextlib.asynccontextmanager
async def working(plant: Plant) -> Any:
    """Log in, as soon as the gateway works."""
    async with contextlib.AsyncExitStack() as stack:

        async def logged_in() -> Client | None:
            try:
                return await stack.enter_async_context(plant.client())
            except (OSError, TimeoutError, ua.UaError):
                return None

        yield await eventually(logged_in)


async def value(client: Client, text: str) -> Any:
    """Return a value, None while it is not good."""
    space = await client.get_namespace_index("urn:foldline:machine")
    node = client.get_node(ua.NodeId(f"Machine.{text}", space))
    read = await node.read_data_value(raise_on_bad_status=False)
    return read.Value.Value if read.StatusCode.is_good() else None


async def is_shown(client: Client, text: str, wanted: Any) -> bool:
    return bool(await value(client, text) == wanted)


def run(folder: Path, scene: Callable[[Plant], Awaitable[None]]) -> None:
    plant = Plant(folder)
    try:
        asyncio.run(scene(plant))  # type: ignore[arg-type]
    finally:
        plant.close()


def run_campaign(folder: Path, kills: int) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    run(folder, lambda plant: campaign(plant, kills, random.Random(seed)))


def test_a_killed_gateway_loses_no_cell_and_comes_back_with_the_counts(tmp_path: Path) -> None:
    run_campaign(tmp_path, 5)


@pytest.mark.long
def test_a_gateway_killed_a_hundred_times_loses_no_cell(tmp_path: Path) -> None:
    run_campaign(tmp_path, 100)


CONDITION = "Alarms.station 1.WEB_BREAK"


async def alarm_history(client: Client) -> list[tuple[int, bool]]:
    """Return the code of each alarm that came or went, newest first, and whether it came."""
    rows = await value(client, "PackML.Admin.AlarmHistory") or []
    return [(int(each.ID), bool(each.Trigger)) for each in rows]


async def event_history(client: Client) -> list[tuple[str, bool, str]]:
    """Return message, acknowledged and comment of each event of the condition, oldest first."""
    space = await client.get_namespace_index("urn:foldline:machine")
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    paths = ("SourceName", "Message", "ConditionName", "AckedState/Id", "Comment")
    filter_ = ua.EventFilter()
    for path in paths:
        clause = ua.SimpleAttributeOperand(AttributeId=ua.AttributeIds.Value)
        clause.BrowsePath = [ua.QualifiedName(name, 0) for name in path.split("/")]
        filter_.SelectClauses.append(clause)
    details = ua.ReadEventDetails()
    details.StartTime, details.EndTime = end - datetime.timedelta(hours=2), end
    details.Filter = filter_
    read = await client.get_node(ua.NodeId("Machine", space)).history_read_events(details)
    rows = [[field.Value for field in each.EventFields] for each in read.HistoryData.Events]
    name = ALARMS[AlarmId.WEB_BREAK].text
    return [
        (message.Text, acked, comment.Text or "")
        for _, message, condition, acked, comment in rows
        if condition == name
    ]


def test_alarms_and_their_history_outlive_a_killed_gateway(tmp_path: Path) -> None:
    """What is shown when the gateway dies is told after it, no alarm is told twice, nothing is undone."""
    row = ALARMS[AlarmId.WEB_BREAK]

    async def scene(plant: Plant) -> None:
        plant.start()
        async with living(plant):
            async with working(plant) as client:
                await client.load_data_type_definitions()
                await eventually(lambda: is_shown(client, f"{CONDITION}.ActiveState.Id", False))
                plant.core.raise_alarm(AlarmId.WEB_BREAK)
                await eventually(lambda: is_shown(client, f"{CONDITION}.ActiveState.Id", True))
                plant.kill()  # perhaps before a word of it is on the disk
            plant.start()
            async with working(plant) as client:
                await eventually(lambda: is_history(client, [(row.code, True)]))
                space = await client.get_namespace_index("urn:foldline:machine")
                condition = client.get_node(ua.NodeId(f"Machine.{CONDITION}", space))
                event_id = await value(client, f"{CONDITION}.EventId")
                acknowledge = ua.NodeId(f"Machine.{CONDITION}.Acknowledge", space)
                comment = ua.LocalizedText("seen it")
                event_id = ua.Variant(event_id, ua.VariantType.ByteString)
                await condition.call_method(acknowledge, event_id, comment)
                plant.kill()  # what was answered is kept
            plant.core.clear_alarm(AlarmId.WEB_BREAK)
            plant.start()
            async with working(plant) as client:
                await eventually(lambda: is_history(client, [(row.code, False), (row.code, True)]))
                assert await value(client, f"{CONDITION}.AckedState.Id") is True
                assert await value(client, f"{CONDITION}.Comment") == ua.LocalizedText("seen it")
                told = [
                    (row.text, False, ""),
                    (row.text, True, "seen it"),
                    (f"{row.text}: gone", True, "seen it"),
                ]

                async def complete() -> bool:
                    return len(await event_history(client)) >= len(told)

                await eventually(complete)
                assert await event_history(client) == told
        assert plant.end() == 0

    async def is_history(client: Client, wanted: list[tuple[int, bool]]) -> bool:
        return await alarm_history(client) == wanted

    run(tmp_path, scene)
