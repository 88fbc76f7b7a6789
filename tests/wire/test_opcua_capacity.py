"""What the server takes: fifty sessions, 225 subscriptions, 50 000 items, and fair limits beyond."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from controller.gateway.opcua import limits
from controller.gateway.opcua.users import Role
from tests.wire.opcua_bench import Bench
from tests.wire.raw_channel import RawChannel, status_of
from tests.wire.siege import Attack

SESSIONS, SUBSCRIPTIONS, ITEMS = 50, 225, 50_000
ITEMS_PER_CALL = 500


def items_request(bench: Bench, subscription: int, count: int) -> Any:
    """A request for items, all on one value."""
    request = ua.CreateMonitoredItemsRequest()
    request.Parameters.SubscriptionId = subscription
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
    item = ua.MonitoredItemCreateRequest()
    item.ItemToMonitor.NodeId = bench.node_id("PackML.Status.StateNumber")
    item.ItemToMonitor.AttributeId = ua.AttributeIds.Value
    item.MonitoringMode = ua.MonitoringMode.Reporting
    request.Parameters.ItemsToCreate = [item] * count
    return request


async def subscribe(channel: RawChannel, token: Any) -> Any:
    request = ua.CreateSubscriptionRequest()
    request.Parameters.RequestedPublishingInterval = 60_000.0
    request.Parameters.PublishingEnabled = True
    return await channel.ask(request, token)


Scene = Callable[[Attack], Awaitable[None]]


def play(folder: Path, scene: Scene, **settings: Any) -> None:
    async def run() -> None:
        bench = Bench(folder, **settings)
        await bench.start()
        each = Attack(bench)
        try:
            await scene(each)
        finally:
            for channel in each.channels:
                channel.hang_up()
            await bench.stop()

    asyncio.run(run())


def test_fifty_sessions_with_fifty_thousand_items_are_served(tmp_path: Path) -> None:
    async def scene(each: Attack) -> None:
        roles = list(Role)
        clients = []
        for number in range(SESSIONS):
            channel = await each.secure()
            token, done = await each.login(channel, roles[number % len(roles)])
            assert status_of(done) == "Good"
            clients.append((channel, token))
        extra, refused = await each.login(await each.secure(), Role.SUPERVISOR)
        assert (extra, status_of(refused)) == (None, "BadTooManySessions")
        made = 0
        for number in range(SUBSCRIPTIONS):
            channel, token = clients[number % SESSIONS]
            subscription = (await subscribe(channel, token)).Parameters.SubscriptionId
            while made < ITEMS * (number + 1) // SUBSCRIPTIONS:
                count = min(ITEMS_PER_CALL, ITEMS * (number + 1) // SUBSCRIPTIONS - made)
                request = items_request(each.bench, subscription, count)
                answer = await channel.ask(request, token)
                assert all(result.StatusCode.is_good() for result in answer.Results)
                made += count
        assert each.server.subscriptions.item_count == ITEMS
        browse = ua.BrowseRequest()
        wanted = ua.BrowseDescription()
        wanted.NodeId, wanted.ResultMask = each.bench.node_id("Alarms"), 63
        browse.Parameters.NodesToBrowse = [wanted] * (limits.CONTINUATION_POINTS_MAX + 1)
        browse.Parameters.RequestedMaxReferencesPerNode = 1
        channel, token = clients[0]
        results = (await channel.ask(browse, token)).Results
        points = [result for result in results if result.ContinuationPoint]
        assert len(points) == limits.CONTINUATION_POINTS_MAX
        assert results[-1].StatusCode.name == "BadNoContinuationPoints"
        following = ua.BrowseNextRequest()
        following.Parameters.ReleaseContinuationPoints = False
        following.Parameters.ContinuationPoints = [points[0].ContinuationPoint]
        (page,) = (await channel.ask(following, token)).Parameters.Results
        assert len(page.References) == 1
        for channel, token in clients:
            assert status_of(await channel.ask(ua.ReadRequest(), token)) == "BadNothingToDo"

    play(tmp_path, scene)


def test_what_one_client_takes_is_limited_not_what_others_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(each: Attack) -> None:
        greedy, modest = await each.secure(), await each.secure()
        token, _ = await each.login(greedy, Role.OBSERVER)
        other, _ = await each.login(modest, Role.OPERATOR)
        statuses = {status_of(await subscribe(greedy, token)) for _ in range(60)}
        assert statuses == {"Good", "BadTooManySubscriptions"}
        own = (await subscribe(modest, other)).Parameters.SubscriptionId
        answer = await modest.ask(items_request(each.bench, own, 120), other)
        names = [result.StatusCode.name for result in answer.Results]
        assert names == ["Good"] * 100 + ["BadTooManyMonitoredItems"] * 20
        first = answer.Results[0].MonitoredItemId
        trigger = ua.SetTriggeringRequest()
        trigger.Parameters.SubscriptionId, trigger.Parameters.TriggeringItemId = own, first
        trigger.Parameters.LinksToAdd = list(range(first, first + 100))
        monkeypatch.setattr(limits, "LINKS_PER_ITEM_MAX", 60)
        linked = (await modest.ask(trigger, other)).Parameters.AddResults
        names = [result.name for result in linked]
        assert names == ["Good"] * 60 + ["BadTooManyMonitoredItems"] * 40
        many = items_request(each.bench, own, limits.OPERATIONS_MAX + 1)
        assert status_of(await modest.ask(many, other)) == "BadTooManyOperations"

    play(tmp_path, scene, items_per_subscription_max=100)
