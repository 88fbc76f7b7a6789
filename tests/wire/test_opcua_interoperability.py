"""node-opcua, a stack with no common code, works with the machine like with any other."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.gateway.opcua.users import Role
from controller.shared.conditions import ConditionId
from controller.shared.packml import State
from tests.wire.opcua_bench import Bench, NodeClient, NodeError, eventually

MACHINE = "PackML.BaseStateMachine.MachineState"
EXECUTE = f"{MACHINE}.ExecuteState"


class Stage:
    """One gateway and one node process for all tests of this file, on one event loop."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.bench = Bench(folder)
        self.runner.run(self.bench.start())
        self.node = NodeClient(self.bench)
        self.runner.run(self.node.start())

    def close(self) -> None:
        self.runner.run(self.node.stop())
        self.runner.run(self.bench.stop())
        self.runner.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("opcua"))
    yield stage
    stage.close()


Scene = Callable[[Bench, NodeClient], Awaitable[None]]


def play(stage: Stage, scene: Scene) -> None:
    """Run a scene with a fresh machine, and log out after it."""

    async def run() -> None:
        core = stage.bench.core
        core.alive = True
        core.machine["start_inhibits"] = 0
        core.set_state(State.STOPPED)
        state = stage.bench.node_id("PackML.Status.StateNumber")
        shown = stage.bench.gateway.server.space.value(state)
        await eventually(lambda: shown.value.Value.Value == State.STOPPED)
        await scene(stage.bench, stage.node)

    stage.runner.run(run())


async def value(node: NodeClient, bench: Bench, text: str, name: str = "main") -> Any:
    (read,) = await node("read", name=name, nodes=[bench.node(text)])
    return read["value"]


async def shows(node: NodeClient, bench: Bench, text: str, wanted: Any) -> None:
    """Wait until a value is shown."""

    async def there() -> bool:
        return bool(await value(node, bench, text) == wanted)

    await eventually(there)


async def call(
    node: NodeClient, bench: Bench, owner: str, method: str, *inputs: Any, **more: Any
) -> Any:
    """Call a machine's method."""
    return await node(
        "call",
        object=bench.node(owner),
        method=bench.node(f"{owner}.{method}"),
        inputs=list(inputs),
        **more,
    )


NO_PARAMETERS = {"type": "ExtensionObject", "array": True, "value": [], "dataType": "ns=5;i=3"}


def test_only_encrypted_endpoints_with_a_user_are_offered(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        endpoints = await node("endpoints", url=bench.url)
        assert {each["mode"] for each in endpoints} == {"SignAndEncrypt"}
        assert {each["policy"].split("#")[1] for each in endpoints} == {
            "Basic256Sha256",
            "Aes256_Sha256_RsaPss",
        }
        assert all(each["tokens"] == ["UserName"] for each in endpoints)

    play(stage, scene)


@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes256_Sha256_RsaPss"])
def test_a_client_logs_in_and_sees_the_machine_obey(stage: Stage, policy: str) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OPERATOR, policy=policy)
        assert await value(node, bench, f"{MACHINE}.CurrentState") == "Stopped"
        assert (await call(node, bench, MACHINE, "Reset"))["status"] == "Good"
        await eventually(lambda: bench.core.machine["state"] == State.IDLE)
        assert (await call(node, bench, EXECUTE, "Start", NO_PARAMETERS))["status"] == "Good"
        await eventually(lambda: bench.core.machine["state"] == State.EXECUTE)
        assert (await call(node, bench, EXECUTE, "Hold"))["status"] == "Good"
        await shows(node, bench, f"{EXECUTE}.CurrentState", "Held")
        assert (await call(node, bench, EXECUTE, "Unhold"))["status"] == "Good"
        await eventually(lambda: bench.core.machine["state"] == State.EXECUTE)
        await node("disconnect")

    play(stage, scene)


def test_every_answer_has_its_status_code(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OPERATOR)
        await node.login(Role.OBSERVER, name="observer")
        assert (await call(node, bench, EXECUTE, "Hold"))["status"] == "BadInvalidState"
        assert (await call(node, bench, MACHINE, "Reset", name="observer"))[
            "status"
        ] == "BadUserAccessDenied"
        await call(node, bench, MACHINE, "Reset")
        await eventually(lambda: bench.core.machine["state"] == State.IDLE)
        bench.core.machine["start_inhibits"] = 1 << ConditionId.DOOR_CLOSED
        start = await call(node, bench, EXECUTE, "Start", NO_PARAMETERS)
        assert start["status"] == "BadRequestNotAllowed"
        assert (await call(node, bench, EXECUTE, "Start"))["status"] == "BadArgumentsMissing"
        many = await call(node, bench, EXECUTE, "Hold", {"type": "Int32", "value": 1})
        assert many["status"] == "BadTooManyArguments"
        wrong = await call(node, bench, EXECUTE, "Start", {"type": "Int32", "value": 1})
        assert (wrong["status"], wrong["inputs"]) == ("BadInvalidArgument", ["BadTypeMismatch"])
        elsewhere = await node(
            "call", object=bench.node("PackML"), method=bench.node(f"{EXECUTE}.Hold")
        )
        assert elsewhere["status"] == "BadMethodInvalid"
        nowhere = await node("call", object="ns=9;s=none", method=bench.node(f"{EXECUTE}.Hold"))
        assert nowhere["status"] == "BadNodeIdUnknown"
        product = {**NO_PARAMETERS, "dataType": "ns=5;i=1"}
        product = await call(node, bench, "PackML", "SetProduct", product)
        assert product["status"] == "BadNotSupported"
        await node("disconnect")
        await node("disconnect", name="observer")

    play(stage, scene)


def test_the_whole_tree_can_be_browsed_in_small_pages(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OBSERVER)
        tree = await node("browseTree", root=bench.node("")[:-1], max=7)
        names = set(tree.values())
        own = f"{bench.gateway.server.space.own}:"
        assert {"5:Status", "5:Admin", "2:Identification", "4:MachineryItemState"} <= names
        assert {f"{own}TABLE_X", f"{own}Tension", f"{own}EmergencyStopOk"} <= names
        assert len(tree) > 700
        everything = await node("browseTree", root="i=84")
        assert len(everything) > 5000
        await node("disconnect")

    play(stage, scene)


def test_values_turn_bad_when_the_core_is_silent(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OBSERVER)
        texts = ("PackML.Status.StateNumber", f"{MACHINE}.CurrentState", "Diagnostics.Cycles")
        nodes = [bench.node(text) for text in texts]
        good = await node("read", nodes=nodes)
        assert [each["status"] for each in good] == ["Good"] * 3
        bench.core.alive = False

        async def silent() -> bool:
            read = await node("read", nodes=nodes)
            return all(each["status"] == "BadNoCommunication" for each in read)

        await eventually(silent)
        bench.core.alive = True

        async def back() -> bool:
            return all(each["status"] == "Good" for each in await node("read", nodes=nodes))

        await eventually(back)
        await node("disconnect")

    play(stage, scene)


def test_roles_decide_who_may_write(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.MAINTENANCE)
        await node.login(Role.OPERATOR, name="operator")
        asset = bench.node("Identification.AssetId")
        text = {"type": "String", "value": "line 7"}
        assert await node("write", node=asset, value=text, name="operator") == "BadUserAccessDenied"
        assert await node("write", node=asset, value=text) == "Good"
        assert await value(node, bench, "Identification.AssetId") == "line 7"
        number = {"type": "Int32", "value": 1}
        state = bench.node("PackML.Status.StateNumber")
        many = [
            {"node": asset, "value": text},
            {"node": asset, "value": number},
            {"node": state, "value": number},
            {"node": "ns=9;s=none", "value": text},
        ]
        statuses = ["Good", "BadTypeMismatch", "BadNotWritable", "BadNodeIdUnknown"]
        assert await node("writeMany", items=many) == statuses
        (level,) = await node("read", nodes=[asset], attribute="UserAccessLevel", name="operator")
        assert level["value"] == 1
        await node("disconnect")
        await node("disconnect", name="operator")

    play(stage, scene)


def test_a_subscription_survives_a_broken_connection_without_a_gap(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OBSERVER, retry=50)
        item = bench.node("Stations.station 1.CellInWork.Cell")
        cell = bench.core.stations[0]
        cell["cell"] = 0
        made = await node("subscribe", nodes=[item], queue=1000, samplingMs=0)
        assert made["statuses"] == ["Good"]
        seen: list[int] = []

        async def gather(until: int) -> None:
            async def complete() -> bool:
                seen.extend(each["value"] for each in await node("notifications"))
                return until in seen

            await eventually(complete)

        await gather(0)
        for number in range(1, 31):
            cell["cell"] = number
            live = bench.node_id("Stations.station 1.CellInWork.Cell")
            read = bench.gateway.server.space.value(live)
            if number in (8, 20):
                bench.break_connections()
            await eventually(lambda n=number, r=read: r.value.Value.Value == n)
        await gather(30)
        # A client that reconnects may be told twice what it asks for again, but it misses nothing.
        assert list(dict.fromkeys(seen)) == list(range(31))
        assert await node("reconnects") >= 1
        await node("disconnect")

    play(stage, scene)


def test_subscriptions_honour_filter_interval_and_owner(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OBSERVER)
        await node.login(Role.OPERATOR, name="other")
        station = bench.core.stations[0]
        station["tension_n"] = 3.0
        tension = bench.node("Stations.station 1.Web.Tension")
        live = bench.gateway.server.space.value(bench.node_id("Stations.station 1.Web.Tension"))
        await eventually(lambda: live.value.Value.Value == 3.0)
        band = {"trigger": 1, "deadbandType": 1, "deadbandValue": 0.5}
        made = await node("subscribe", nodes=[tension], filter=band, intervalMs=1, samplingMs=0)
        assert (made["statuses"], made["intervalMs"]) == (["Good"], 100)
        for step in (3.2, 3.4, 3.6, 3.7):
            station["tension_n"] = step
            await eventually(lambda s=step: live.value.Value.Value == s)
        seen: list[float] = []

        async def changed() -> bool:
            seen.extend(each["value"] for each in await node("notifications"))
            return 3.6 in seen

        await eventually(changed)
        assert seen == [3.0, 3.6]
        foreign = await node(
            "raw",
            name="other",
            request="DeleteSubscriptionsRequest",
            fields={"subscriptionIds": [made["id"]]},
        )
        assert foreign["results"] == ["BadSubscriptionIdInvalid"]
        assert (await node("modifySubscription", intervalMs=400))["intervalMs"] == 400
        await node("disconnect")
        await node("disconnect", name="other")

    play(stage, scene)


def test_a_deadband_in_percent_is_a_part_of_the_range(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OBSERVER)
        text = "Stations.station 1.Web.Tension"
        tension = bench.node(text)
        bench.core.stations[0]["tension_n"] = 3.0
        await shows(node, bench, text, 3.0)
        space = bench.gateway.server.space
        range_ = space.value(bench.node_id(f"{text}.EURange")).value.Value.Value
        percent = {"trigger": 1, "deadbandType": 2, "deadbandValue": 5.0}
        made = await node("subscribe", nodes=[tension], filter=percent, samplingMs=0)
        assert made["statuses"] == ["Good"]
        wide = 0.05 * (range_.High - range_.Low)
        steps = [3.0 + part * wide for part in (0.4, 0.9, 1.1, 1.6, 2.2)]
        for step in steps:
            bench.core.stations[0]["tension_n"] = step
            await shows(node, bench, text, step)
        seen: list[float] = []

        async def reported() -> bool:
            seen.extend(each["value"] for each in await node("notifications"))
            return steps[-1] in seen

        await eventually(reported)
        assert seen == [3.0, steps[2], steps[4]]
        state = bench.node("PackML.Status.StateNumber")  # a number without a range
        for refused, filter_, status in (
            (state, percent, "BadMonitoredItemFilterUnsupported"),
            (tension, {**percent, "deadbandValue": 101.0}, "BadDeadbandFilterInvalid"),
            (tension, {**percent, "deadbandValue": -1.0}, "BadDeadbandFilterInvalid"),
        ):
            made = await node("subscribe", key="refused", nodes=[refused], filter=filter_)
            assert made["statuses"] == [status]
        await node("disconnect")

    play(stage, scene)


def test_a_sampled_item_is_reported_when_another_triggers_it(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        await node.login(Role.OBSERVER)
        station = bench.core.stations[0]
        station["cell"], station["tension_n"] = 1, 2.0
        places = ("CellInWork.Cell", "Web.Tension")
        cell, tension = (f"Stations.station 1.{each}" for each in places)
        await shows(node, bench, cell, 1)
        await shows(node, bench, tension, 2.0)
        nodes = [bench.node(cell), bench.node(tension)]
        modes = ["Reporting", "Sampling"]
        made = await node("subscribe", nodes=nodes, modes=modes, queue=10, samplingMs=0)
        assert made["statuses"] == ["Good", "Good"]
        seen: dict[str, list[float]] = {each: [] for each in nodes}

        async def step(number: int, newton: float) -> None:
            """Let the tension change, then the cell, and wait until the cell is told."""
            station["tension_n"] = newton
            await shows(node, bench, tension, newton)
            station["cell"] = number

            async def told() -> bool:
                for each in await node("notifications"):
                    seen[each["node"]].append(each["value"])
                return number in seen[nodes[0]]

            await eventually(told)

        async def trigger(change: str) -> Any:
            answer = await node("trigger", **{"from": 0, change: [1]})
            return answer["added"] + answer["removed"]

        await step(2, 2.5)
        assert seen[nodes[1]] == []
        assert await trigger("add") == ["Good"]
        await step(3, 3.5)
        assert seen[nodes[1]] == [2.0, 2.5, 3.5]  # with all that its queue held
        assert await trigger("remove") == ["Good"]
        await step(4, 4.5)
        assert seen[nodes[1]] == [2.0, 2.5, 3.5]
        assert await trigger("remove") == ["BadMonitoredItemIdInvalid"]
        await node("disconnect")

    play(stage, scene)


def test_a_wrong_password_and_an_unknown_user_sound_alike(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        errors = []
        for user in (Role.OBSERVER.value, "nobody"):
            with pytest.raises(NodeError) as refused:
                await node("connect", name="x", url=bench.url, user=user, password="guess-guess")
            errors.append(str(refused.value))
        assert errors[0] == errors[1]
        assert "BadUserAccessDenied" in errors[0]

    play(stage, scene)


def test_anonymous_and_plain_sessions_are_refused(stage: Stage) -> None:
    async def scene(bench: Bench, node: NodeClient) -> None:
        before = len(bench.gateway.server.sessions)
        with pytest.raises(NodeError):
            await node("connect", name="anonymous", url=bench.url)
        for mode, policy in (("None", "None"), ("Sign", "Basic256Sha256")):
            with pytest.raises(NodeError):
                await node.login(Role.OBSERVER, name="plain", mode=mode, policy=policy)
        assert len(bench.gateway.server.sessions) <= before

    play(stage, scene)
