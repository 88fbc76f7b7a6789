"""The instance as a generic client finds it: what the types promise is there, and what the tables say."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua
from asyncua.server.address_space import NodeData

from controller.gateway.opcua import companions
from controller.gateway.opcua.companions import DI, JOBS, MACHINERY, PACKML, RESULT
from controller.gateway.opcua.model.material import flat
from controller.gateway.opcua.server import OWN_NAMESPACE
from controller.gateway.opcua.space import (
    ANALOG,
    HAS_ADD_IN,
    HAS_SUBTYPE,
    HAS_TYPE,
    MANDATORY,
    Space,
)
from controller.settings.loader import load_recipe
from controller.shared.alarms import ALARMS, AlarmId
from controller.shared.conditions import INTERLOCKS, ConditionId
from controller.shared.packml import State
from drivers.image import AxisId
from tests.wire.opcua_bench import ROOT, Bench, eventually

STATIONS = 2


class Found:
    """A gateway of two stations, and its address space as it is."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.bench = Bench(folder, stations=STATIONS)
        self.runner.run(self.bench.start())
        self.space: Space = self.bench.gateway.server.space
        self.nodes: dict[ua.NodeId, NodeData] = self.space.nodes._nodes

    def close(self) -> None:
        self.runner.run(self.bench.stop())
        self.runner.close()

    def children(self, node_id: ua.NodeId) -> dict[str, ua.ReferenceDescription]:
        """What lies below a node, by name."""
        return {
            each.BrowseName.Name: each for each in self.nodes[node_id].references if each.IsForward
        }

    def below(self, *path: str) -> ua.ReferenceDescription:
        """Follow names from the machine."""
        found = None
        node_id = self.space.id("Machine")
        for name in path:
            found = self.children(node_id)[name]
            node_id = found.NodeId
        assert found is not None
        return found

    def type_of(self, node: NodeData) -> ua.NodeId | None:
        return next((r.NodeId for r in node.references if r.ReferenceTypeId == HAS_TYPE), None)

    def value(self, *path: str) -> Any:
        return self.space.value(self.below(*path).NodeId).value.Value.Value

    def own(self) -> Iterator[NodeData]:
        """Every node of ours."""
        return (node for key, node in self.nodes.items() if key.NamespaceIndex == self.space.own)

    def mandatory(self, type_id: ua.NodeId) -> set[tuple[int, str]]:
        """Return what a type and those above it declare mandatory, by qualified name."""
        names, kind = set(), type_id
        while kind is not None:
            for each in self.nodes[kind].references:
                target = self.nodes[each.NodeId]
                rules = (r.NodeId for r in target.references if r.NodeId == MANDATORY)
                if each.IsForward and each.NodeClass in (1, 2, 4) and any(rules):
                    names.add((each.BrowseName.NamespaceIndex, each.BrowseName.Name))
            above = (r for r in self.nodes[kind].references if r.ReferenceTypeId == HAS_SUBTYPE)
            kind = next((r.NodeId for r in above if not r.IsForward), None)
        return names


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    found = Found(tmp_path_factory.mktemp("model"))
    yield found
    found.close()


def test_a_generic_machinery_client_finds_the_machine(found: Found) -> None:
    machines = ua.NodeId(1001, found.space.namespaces[MACHINERY])
    assert found.space.id("Machine") in {r.NodeId for r in found.nodes[machines].references}
    identification = found.below("Identification")
    assert identification.BrowseName.NamespaceIndex == found.space.namespaces[DI]
    assert identification.ReferenceTypeId == HAS_ADD_IN
    assert found.value("Identification", "SerialNumber")
    blocks = ("MachineryItemState", "MachineryOperationMode", "OperationCounters")
    for name in (*blocks, "LifetimeCounters", "Notifications", "Components", "Monitoring"):
        block = found.below("MachineryBuildingBlocks", name)
        assert block.ReferenceTypeId == HAS_ADD_IN
    for name, namespace in (
        ("PackML", PACKML),
        ("JobManagement", JOBS),
        ("ResultManagement", RESULT),
    ):
        kind = found.type_of(found.nodes[found.below(name).NodeId])
        assert kind is not None and kind.NamespaceIndex == found.space.namespaces[namespace]


def test_every_instance_has_what_its_type_declares_mandatory(found: Found) -> None:
    checked = 0
    for node in found.own():
        type_id = found.type_of(node)
        if type_id is None:
            continue
        names = {
            (r.BrowseName.NamespaceIndex, r.BrowseName.Name) for r in node.references if r.IsForward
        }
        missing = found.mandatory(type_id) - names
        assert not missing, f"{node.nodeid.Identifier}: {missing}"
        checked += 1
    assert checked > 2000


def test_nothing_is_a_placeholder_and_every_reference_leads_somewhere(found: Found) -> None:
    for node in found.own():
        assert "<" not in str(node.nodeid.Identifier)
        for each in node.references:
            target = found.nodes[each.NodeId]
            back = {(r.NodeId, r.ReferenceTypeId, r.IsForward) for r in target.references}
            one_way = each.ReferenceTypeId == HAS_TYPE
            wanted = (node.nodeid, each.ReferenceTypeId, not each.IsForward)
            assert one_way or wanted in back, f"{node.nodeid.Identifier} -> {each.NodeId}"


def test_axes_alarms_states_and_recipe_fields_are_those_of_the_tables(found: Found) -> None:
    for station in range(1, STATIONS + 1):
        axes = found.children(found.below("Stations", f"station {station}", "Axes").NodeId)
        assert {axis.name for axis in AxisId} <= set(axes)
        for alarm in set(AlarmId) - {AlarmId.NONE}:
            path = ("Alarms", f"station {station}.{alarm.name}")
            assert found.value(*path, "ConditionName") == ALARMS[alarm].text
            assert found.value(*path, "Cause") == ALARMS[alarm].cause
            assert found.value(*path, "Remedy") == ALARMS[alarm].remedy
    machine = found.below("PackML", "BaseStateMachine", "MachineState").NodeId
    kinds = [found.below("PackML", "BaseStateMachine").NodeId, machine]
    kinds.append(found.children(machine)["ExecuteState"].NodeId)
    shown = set()
    for kind in kinds:
        type_id = found.type_of(found.nodes[kind])
        assert type_id is not None
        shown |= set(found.children(type_id))
    assert {state.name.title() for state in State} <= shown
    recipe = load_recipe(ROOT / "config/recipes/reference.yaml")
    for key, value in flat(recipe):
        assert found.value("Recipes", "reference", key) == value


def test_start_inhibits_say_cause_and_remedy(found: Found) -> None:
    row = next(each for each in INTERLOCKS if each.condition == ConditionId.DOOR_CLOSED)

    async def scene() -> None:
        found.bench.core.machine["start_inhibits"] = 1 << ConditionId.DOOR_CLOSED
        names = [row.condition.name]
        await eventually(lambda: found.value("StartInhibits", "Conditions") == names)

    found.runner.run(scene())
    assert found.value("StartInhibits", "Causes") == [row.cause]
    assert found.value("StartInhibits", "Remedies") == [row.remedy]


def test_every_analogue_value_has_a_range_and_a_unit(found: Found) -> None:
    analogues = [node for node in found.own() if found.type_of(node) == ANALOG]
    assert len(analogues) > 100
    for node in analogues:
        parts = found.children(node.nodeid)
        unit = found.space.value(parts["EngineeringUnits"].NodeId).value.Value.Value
        range_ = found.space.value(parts["EURange"].NodeId).value.Value.Value
        assert unit.UnitId > 0
        assert unit.NamespaceUri.endswith("/un/cefact")
        assert range_.Low < range_.High, node.nodeid.Identifier


def test_the_own_namespace_describes_itself(found: Found) -> None:
    described = {}
    for each in found.nodes[ua.NodeId(ua.ObjectIds.Server_Namespaces)].references:
        parts = found.children(each.NodeId)
        if each.IsForward and "NamespaceUri" in parts:
            uri = found.space.value(parts["NamespaceUri"].NodeId).value.Value.Value
            described[uri] = parts
    parts = described[OWN_NAMESPACE]
    assert {"NamespaceVersion", "NamespacePublicationDate", "StaticNodeIdTypes"} <= set(parts)


@pytest.mark.parametrize("model", ["di", "machinery"])
def test_a_partial_import_of_a_model_is_refused(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One node of a model hangs in the air, and nothing starts."""
    whole = companions._prepared

    def damaged(name: str) -> Any:
        root = whole(name)
        if name == model:
            node = [each for each in root if each.get("ParentNodeId")][-1]
            node.attrib.pop("ParentNodeId")
            for references in root.iter(f"{companions.NODESET}References"):
                for each in list(references):
                    if references in list(node) or each.text == node.get("NodeId"):
                        references.remove(each)
        return root

    monkeypatch.setattr(companions, "_prepared", damaged)

    async def load() -> None:
        server = Server()
        await server.init()
        await companions.load_companions(server)

    with pytest.raises((RuntimeError, ua.UaError)):
        asyncio.run(load())
