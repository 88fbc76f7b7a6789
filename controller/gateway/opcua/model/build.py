"""The whole instance, part by part; what each part needs is handed to it here."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncua import ua

from controller.gateway.job_engine import JobEngine
from controller.gateway.opcua import limits
from controller.gateway.opcua.commands import Commands
from controller.gateway.opcua.model.alarms import Alarms
from controller.gateway.opcua.model.diagnostics import (
    build_diagnostics,
    build_safety,
    build_server_diagnostics,
)
from controller.gateway.opcua.model.historian import Historian
from controller.gateway.opcua.model.jobs import JobManagement
from controller.gateway.opcua.model.machinery import Machinery
from controller.gateway.opcua.model.manual import ManualPart
from controller.gateway.opcua.model.material import Material, RecipeFolder
from controller.gateway.opcua.model.model import Kind, Model
from controller.gateway.opcua.model.packml_part import PackMl
from controller.gateway.opcua.model.parameters import Parameters
from controller.gateway.opcua.model.results import Results
from controller.gateway.opcua.model.stations import build_start_inhibits, build_stations
from controller.gateway.opcua.server import OWN_NAMESPACE, GatewayServer
from controller.gateway.records.history_store import HistoryFile
from controller.gateway.records.jobs import Jobs
from controller.gateway.records.outbox import Outbox
from controller.gateway.records.recipes import Recipes
from controller.settings.machine import MachineSettings
from controller.shared.view import SharedView

Ids = ua.ObjectIds


@dataclass
class Plant:
    """What the instance stands on, besides the server."""

    view: SharedView
    outbox: Outbox
    jobs: Jobs
    recipes: Recipes
    history: HistoryFile
    state: Path


@dataclass
class Built:
    """The parts of the instance that the gateway turns."""

    model: Model
    alarms: Alarms
    results: Results
    engine: JobEngine
    historian: Historian


def build_model(server: GatewayServer, settings: MachineSettings, plant: Plant) -> Built:
    """Build the machine's instance on a server whose models are loaded."""
    model = Model(server, settings)
    commands = Commands(plant.view)
    _namespace_metadata(model)
    _server_capabilities(model)
    Machinery(model, plant.state)
    packml = PackMl(model, commands)
    Parameters(model, packml.node, commands)
    build_start_inhibits(model)
    for station in build_stations(model):
        ManualPart(model, station.node, station.index, commands)
    build_diagnostics(model)
    build_server_diagnostics(model)
    build_safety(model)
    historian = Historian(model, plant.history)
    alarms = Alarms(model, historian, packml.admin)
    material = Material(model, plant.outbox)
    folder = RecipeFolder(model, plant.outbox, plant.recipes)
    engine = JobEngine(
        plant.jobs,
        commands,
        lambda job: folder.activate(job.recipe, job.parameters),
        folder.coming,
        material.set_lots,
    )
    JobManagement(model, plant.outbox, plant.jobs, plant.recipes, engine)
    results = Results(model, plant.outbox, settings.hal == "simulator")
    return Built(model, alarms, results, engine, historian)


def _server_capabilities(model: Model) -> None:
    """Say what the server can; what it cannot is not advertised."""
    settings = model.settings.opcua
    numbers = (
        (Ids.Server_ServerCapabilities_MaxBrowseContinuationPoints,
         limits.CONTINUATION_POINTS_MAX, Kind.UInt16),
        (Ids.Server_ServerCapabilities_MaxQueryContinuationPoints, 0, Kind.UInt16),
        (Ids.Server_ServerCapabilities_MaxHistoryContinuationPoints,
         limits.CONTINUATION_POINTS_MAX, Kind.UInt16),
        (Ids.Server_ServerCapabilities_MaxSessions, settings.sessions_max, Kind.UInt32),
        (Ids.Server_ServerCapabilities_MaxSubscriptions, settings.subscriptions_max, Kind.UInt32),
        (Ids.Server_ServerCapabilities_MaxMonitoredItems, settings.items_max, Kind.UInt32),
        (Ids.Server_ServerCapabilities_MaxSubscriptionsPerSession,
         limits.SUBSCRIPTIONS_PER_SESSION_MAX, Kind.UInt32),
        (Ids.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription,
         settings.items_per_subscription_max, Kind.UInt32),
        (Ids.Server_ServerCapabilities_MaxMonitoredItemsQueueSize,
         limits.QUEUE_SIZE_MAX, Kind.UInt32),
        (Ids.Server_ServerCapabilities_MinSupportedSampleRate, 0.0, Kind.Double),
        (Ids.Server_ServerCapabilities_OperationLimits_MaxNodesPerMethodCall,
         limits.METHODS_MAX, Kind.UInt32),
    )  # fmt: skip
    for identifier, value, kind in numbers:
        if model.is_part(ua.NodeId(identifier)):
            model.fixed(ua.NodeId(identifier), value, kind)
    per_call = ("Read", "Write", "Browse", "RegisterNodes", "TranslateBrowsePathsToNodeIds")
    for name in per_call:
        identifier = getattr(Ids, f"Server_ServerCapabilities_OperationLimits_MaxNodesPer{name}")
        model.fixed(ua.NodeId(identifier), limits.OPERATIONS_MAX, Kind.UInt32)
    items = Ids.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall
    model.fixed(ua.NodeId(items), limits.OPERATIONS_MAX, Kind.UInt32)
    for name in ("HistoryReadData", "HistoryReadEvents"):
        identifier = getattr(Ids, f"Server_ServerCapabilities_OperationLimits_MaxNodesPer{name}")
        model.fixed(ua.NodeId(identifier), limits.CONTINUATION_POINTS_MAX * 20, Kind.UInt32)
    for name in ("HistoryUpdateData", "HistoryUpdateEvents", "NodeManagement"):
        identifier = getattr(Ids, f"Server_ServerCapabilities_OperationLimits_MaxNodesPer{name}")
        model.fixed(ua.NodeId(identifier), 0, Kind.UInt32)
    model.fixed(ua.NodeId(Ids.Server_Auditing), True, Kind.Boolean)


def _namespace_metadata(model: Model) -> None:
    space = model.space
    parent = ua.NodeId(ua.ObjectIds.Server_Namespaces)
    kind = ua.NodeId(ua.ObjectIds.NamespaceMetadataType)
    node = space.instantiate(parent, OWN_NAMESPACE, OWN_NAMESPACE, kind)
    text = str(node.Identifier)
    values: tuple[tuple[str, Any, Kind, bool], ...] = (
        ("NamespaceUri", OWN_NAMESPACE, Kind.String, False),
        ("NamespaceVersion", model.server.version, Kind.String, False),
        ("NamespacePublicationDate", datetime.datetime(2026, 1, 1), Kind.DateTime, False),
        ("IsNamespaceSubset", False, Kind.Boolean, False),
        ("StaticNodeIdTypes", [ua.IdType.String.value], Kind.Int32, True),
        ("StaticNumericNodeIdRange", [], Kind.String, True),
        ("StaticStringNodeIdPattern", ".*", Kind.String, False),
    )
    for name, value, kind_, is_array in values:
        model.fixed(space.id(f"{text}.{name}"), value, kind_, is_array)
