"""The whole instance, part by part; what each part needs is handed to it here."""

import datetime
from pathlib import Path

from asyncua import ua

from controller.gateway.opcua.commands import Commands
from controller.gateway.opcua.model.diagnostics import build_diagnostics, build_safety
from controller.gateway.opcua.model.machinery import Machinery
from controller.gateway.opcua.model.model import Kind, Model
from controller.gateway.opcua.model.packml_part import PackMl
from controller.gateway.opcua.model.stations import build_start_inhibits, build_stations
from controller.gateway.opcua.server import OWN_NAMESPACE, GatewayServer
from controller.settings.machine import MachineSettings
from controller.shared.view import SharedView


def build_model(
    server: GatewayServer, settings: MachineSettings, view: SharedView, state: Path
) -> Model:
    """Build the machine's instance on a server whose models are loaded."""
    model = Model(server, settings)
    _namespace_metadata(model)
    Machinery(model, state)
    PackMl(model, Commands(view))
    build_start_inhibits(model)
    build_stations(model)
    build_diagnostics(model)
    build_safety(model)
    return model


def _namespace_metadata(model: Model) -> None:
    space = model.space
    parent = ua.NodeId(ua.ObjectIds.Server_Namespaces)
    kind = ua.NodeId(ua.ObjectIds.NamespaceMetadataType)
    node = space.instantiate(parent, OWN_NAMESPACE, OWN_NAMESPACE, kind)
    text = str(node.Identifier)
    values = (
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
