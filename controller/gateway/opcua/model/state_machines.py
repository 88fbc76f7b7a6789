"""Finite state machines shown, never run: the current state comes from the controller's table."""

import datetime
from collections.abc import Callable

from asyncua import ua

from controller.gateway.opcua.model.model import NO_CORE, NOT_YET, Kind, Model
from controller.gateway.opcua.space import HAS_COMPONENT, HAS_SUBTYPE
from controller.gateway.snapshot import Snapshot

_STATE_TYPES = (
    ua.NodeId(ua.ObjectIds.StateType),
    ua.NodeId(ua.ObjectIds.InitialStateType),
    ua.NodeId(ua.ObjectIds.ChoiceStateType),
)
INACTIVE = ua.StatusCodes.BadStateNotActive


def states_of(model: Model, type_id: ua.NodeId) -> dict[str, ua.NodeId]:
    """Return the states that a state machine type declares, by name."""
    found: dict[str, ua.NodeId] = {}
    space = model.space
    current: ua.NodeId | None = type_id
    while current is not None:
        above = None
        for each in space.nodes[current].references:
            is_part = each.IsForward and each.ReferenceTypeId == HAS_COMPONENT
            if is_part and each.TypeDefinition in _STATE_TYPES:
                found.setdefault(each.BrowseName.Name, each.NodeId)
            if each.ReferenceTypeId == HAS_SUBTYPE and not each.IsForward:
                above = each.NodeId
        current = above
    return found


class ShownStateMachine:
    """An instance of a FiniteStateMachineType whose state is told from outside."""

    def __init__(
        self,
        model: Model,
        node_id: ua.NodeId,
        type_id: ua.NodeId,
        name: Callable[[Snapshot], str | None],
    ) -> None:
        self.states = states_of(model, type_id)
        self._name = name
        text = str(node_id.Identifier)
        space = model.space
        self._state = model.bind(space.id(f"{text}.CurrentState"), None, Kind.LocalizedText)
        self._id = model.bind(space.id(f"{text}.CurrentState.Id"), None, Kind.NodeId)
        available = space.id(f"{text}.AvailableStates")
        if model.is_part(available):
            model.fixed(available, list(self.states.values()), Kind.NodeId, is_array=True)
        transitions = space.id(f"{text}.AvailableTransitions")
        if model.is_part(transitions):
            model.fixed(transitions, [], Kind.NodeId, is_array=True)
        model.on_snapshot.append(self.update)

    def update(self, snapshot: Snapshot) -> None:
        """Show the state; a machine within an inactive state has none."""
        if not snapshot.alive or snapshot.machine is None:
            silent = snapshot.machine is not None
            self._show(None, snapshot.now, NO_CORE if silent else NOT_YET)
            return
        since = snapshot.time_of(int(snapshot.machine["state_since_ns"]))
        name = self._name(snapshot)
        self._show(name, since, 0 if name is not None else INACTIVE)

    def _show(self, name: str | None, since: datetime.datetime, status: int) -> None:
        self._state.set(ua.LocalizedText(name) if name else None, since, status)
        self._id.set(self.states[name] if name else None, since, status)
