"""Material and recipes: lots by position, serial numbers for the cells to come, recipes and their fields."""

import asyncio
import datetime
import sqlite3
from typing import Any

from asyncua import ua

from controller.gateway.opcua.events import make_event
from controller.gateway.opcua.model.model import (
    METRE,
    NEWTON,
    PASCAL,
    Kind,
    Model,
    Unit,
    argument,
)
from controller.gateway.opcua.registry import FEEDING, PLANNING, Call, Refused
from controller.gateway.opcua.space import HAS_SUBTYPE
from controller.gateway.records.outbox import Outbox
from controller.gateway.records.recipes import RecipeRefused, Recipes
from controller.gateway.snapshot import Snapshot
from controller.settings.recipe import RecipeSettings

POSITIONS = ("anode", "cathode", "separator", "tape")
TEXT_LENGTH_MAX = 64
SERIALS_PER_CALL_MAX = 10_000
UNITS: dict[str, Unit] = {
    "m": METRE,
    "n": NEWTON,
    "pa": PASCAL,
    "kg": Unit("KGM", "kg", "kilogram"),
    "ohm": Unit("OHM", "Ω", "ohm"),
}
Status = ua.StatusCodes


class Material:
    """Lots and serial numbers."""

    def __init__(self, model: Model, outbox: Outbox) -> None:
        self.model = model
        self.outbox = outbox
        self.node = model.folder(model.machine, "Material")
        self.event_type = _event_type(model, "MaterialLoadedEventType", ("Position", "Lot"))
        text, texts = Kind.String, {"is_array": True}
        self._lots = {
            position: model.variable(self.node, ("Material", f"{position.title()}Lot"), text, None)
            for position in POSITIONS
        }
        self._left = model.variable(self.node, ("Material", "SerialNumbersLeft"), Kind.Int32, None)
        model.add_method(
            self.node, ("Material", "LoadMaterial"),
            [argument("Position", text, ", ".join(POSITIONS)), argument("Lot", text)], [],
            self._load, FEEDING, "Tell the machine which lot is now at a position",
        )  # fmt: skip
        model.add_method(
            self.node, ("Material", "AddSerialNumbers"),
            [argument("SerialNumbers", text, "one a finished cell, in order", **texts)], [],
            self._add_serials, FEEDING, "Give serial numbers for the cells to come",
        )  # fmt: skip
        self.show()

    def show(self) -> None:
        """Write what holds now."""
        now = datetime.datetime.now(datetime.UTC)
        lots = self.outbox.material()
        for position, value in self._lots.items():
            value.set(lots.get(position, ""), now)
        self._left.set(self.outbox.serials_left(), now)

    def set_lot(self, position: str, lot: str) -> None:
        """Note a lot and tell it; Refused where position or lot are unfit."""
        if position not in POSITIONS:
            raise Refused(Status.BadOutOfRange, f"no position {position!r}: {', '.join(POSITIONS)}")
        if not 1 <= len(lot) <= TEXT_LENGTH_MAX:
            raise Refused(Status.BadOutOfRange, f"lot: 1 to {TEXT_LENGTH_MAX} characters")
        self.outbox.set_material(position, lot)
        fields = {
            ("Position",): ua.Variant(position, Kind.String),
            ("Lot",): ua.Variant(lot, Kind.String),
        }
        notifiers = (ua.NodeId(ua.ObjectIds.Server), self.model.machine)
        now = datetime.datetime.now(datetime.UTC)
        words = f"{position}: lot {lot}"
        event = make_event(
            self.event_type, notifiers, self.node, "Material", words, 100, now, fields
        )
        self.model.tell(event)
        self.show()

    def set_lots(self, lots: dict[str, str]) -> None:
        """Note the lots that a job says are loaded."""
        for position, lot in lots.items():
            self.set_lot(position, lot)

    async def _load(self, call: Call) -> list[ua.Variant]:
        position, lot = call.arguments
        self.set_lot((position or "").lower(), lot or "")
        return []

    async def _add_serials(self, call: Call) -> list[ua.Variant]:
        serials = [each or "" for each in call.arguments[0] or []]
        if not 1 <= len(serials) <= SERIALS_PER_CALL_MAX:
            raise Refused(Status.BadOutOfRange, f"1 to {SERIALS_PER_CALL_MAX} serial numbers")
        if any(not 1 <= len(each) <= TEXT_LENGTH_MAX for each in serials):
            raise Refused(Status.BadOutOfRange, f"1 to {TEXT_LENGTH_MAX} characters each")
        try:
            self.outbox.add_serials(serials)
        except sqlite3.IntegrityError as error:
            raise Refused(Status.BadEntryExists, "a serial number was given before") from error
        self.show()
        return []


class RecipeFolder:
    """The recipes there are, with every field of each; validate and activate."""

    def __init__(self, model: Model, outbox: Outbox, recipes: Recipes) -> None:
        self.model = model
        self.outbox = outbox
        self.recipes = recipes
        self._task: asyncio.Task[str] | None = None
        self.node = model.folder(model.machine, "Recipes")
        names = ("Recipes", "List")
        self._list = model.variable(self.node, names, Kind.String, None, is_array=True)
        model.variable(self.node, ("Recipes", "Active"), Kind.String, self._active, 0)
        model.variable(self.node, ("Recipes", "Next"), Kind.String, lambda s: self.coming()[0], 0)
        self._progress = model.variable(self.node, ("Recipes", "Activation"), Kind.String, None)
        self.tell("")
        inputs = [
            argument("Recipe", Kind.String),
            argument("ParameterNames", Kind.String, "dotted keys of the recipe", is_array=True),
            argument("ParameterValues", Kind.Double, is_array=True),
        ]
        reason = [argument("Reason", Kind.String, "empty where the recipe is valid")]
        model.add_method(
            self.node, ("Recipes", "Validate"), inputs, reason, self._validate, PLANNING
        )
        model.add_method(
            self.node, ("Recipes", "Activate"), inputs, reason, self._activate, PLANNING,
            "Plan a recipe and activate it at the next cell; follow Activation",
        )  # fmt: skip
        for name in recipes.names():
            self._fields(name)
        self.show()

    def show(self) -> None:
        """Write which recipes there are."""
        self._list.set(self.recipes.names(), datetime.datetime.now(datetime.UTC))

    def tell(self, words: str) -> None:
        """Write how an activation goes."""
        self._progress.set(words, datetime.datetime.now(datetime.UTC))

    def coming(self) -> tuple[str, dict[str, float]]:
        """Return recipe and changed parameters of the next cell, an empty name where it is not known."""
        plan = self.recipes.next_plan()
        return self.outbox.recipe_of(plan) or "", self.outbox.parameters_of(plan)

    def _active(self, snapshot: Snapshot) -> str:
        plan = snapshot.stations[0]["plan_identity"].tobytes().hex()
        return self.outbox.recipe_of(plan) or ""

    def _fields(self, name: str) -> None:
        try:
            recipe = self.recipes.load(name)
        except RecipeRefused:
            return  # it is listed; Validate says what is wrong with it
        folder = self.model.folder(self.node, "Recipes", name)
        for key, value in flat(recipe):
            text = self.model.text("Recipes", name, key)
            kind = _kind_of(value)
            node = self.model.space.add_variable(folder, text, key, ua.Variant(value, kind))
            unit = UNITS.get(key.rsplit("_", 1)[-1])
            if unit is not None and kind == Kind.Double:
                self.model.add_unit(node, text, unit)

    def _parameters(self, call: Call) -> tuple[str, dict[str, float]]:
        name, keys, values = call.arguments
        if len(keys or []) != len(values or []):
            raise Refused(Status.BadInvalidArgument, "as many values as names")
        return name or "", dict(zip(keys or [], values or [], strict=True))

    async def _validate(self, call: Call) -> list[ua.Variant]:
        name, parameters = self._parameters(call)
        return [ua.Variant(self._reason(name, parameters), Kind.String)]

    def _reason(self, name: str, parameters: dict[str, float]) -> str:
        try:
            self.recipes.validate(name, parameters)
        except RecipeRefused as refused:
            return str(refused)
        return ""

    async def _activate(self, call: Call) -> list[ua.Variant]:
        name, parameters = self._parameters(call)
        reason = self._reason(name, parameters)
        if not reason:
            if self._task is not None and not self._task.done():
                raise Refused(Status.BadInvalidState, "another recipe is being planned")
            self._task = asyncio.get_running_loop().create_task(self.activate(name, parameters))
        return [ua.Variant(reason, Kind.String)]

    async def activate(self, name: str, parameters: dict[str, float]) -> str:
        """Plan and activate; return the reason of a refusal, empty where it went well."""
        self.tell(f"{name}: planning")
        try:
            plans = await self.recipes.activate(name, parameters)
        except RecipeRefused as refused:
            self.tell(f"{name}: refused: {refused}")
            return str(refused)
        for plan in plans:
            self.outbox.name_plan(plan, name, parameters)
        self.tell(f"{name}: activated")
        return ""


def flat(recipe: RecipeSettings) -> list[tuple[str, Any]]:
    """Return a recipe's fields by dotted key, in the order of its model."""

    def walk(prefix: str, tree: dict[str, Any]) -> list[tuple[str, Any]]:
        rows: list[tuple[str, Any]] = []
        for key, value in tree.items():
            below = isinstance(value, dict)
            rows += walk(f"{prefix}{key}.", value) if below else [(f"{prefix}{key}", value)]
        return rows

    return walk("", recipe.model_dump())


def _kind_of(value: Any) -> Kind:
    if isinstance(value, bool):
        return Kind.Boolean
    if isinstance(value, int):
        return Kind.Int32
    return Kind.Double if isinstance(value, float) else Kind.String


def _event_type(model: Model, name: str, properties: tuple[str, ...]) -> ua.NodeId:
    space = model.space
    item = ua.AddNodesItem()
    item.NodeClass = ua.NodeClass.ObjectType
    item.ParentNodeId = ua.NodeId(ua.ObjectIds.BaseEventType)
    item.ReferenceTypeId = HAS_SUBTYPE
    item.RequestedNewNodeId = space.id(name)
    item.BrowseName = ua.QualifiedName(name, space.own)
    attributes = ua.ObjectTypeAttributes()
    attributes.DisplayName = ua.LocalizedText(name)
    item.NodeAttributes = attributes
    node = space.add(item)
    for each in properties:
        space.add_property(node, f"{name}.{each}", each, ua.Variant("", Kind.String))
    return node
