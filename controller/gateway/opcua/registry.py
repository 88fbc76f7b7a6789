"""What of the model a client may change or call: rules beside the address space, by node."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from asyncua import ua

from controller.gateway.opcua.sessions import Session
from controller.gateway.opcua.users import Role

EVERYBODY = frozenset(Role)
OPERATING = frozenset({Role.OPERATOR, Role.SUPERVISOR, Role.MAINTENANCE})
STOPPING = OPERATING | {Role.MES}
PLANNING = frozenset({Role.SUPERVISOR, Role.MES})
SETTING_UP = frozenset({Role.SUPERVISOR, Role.MAINTENANCE})
FEEDING = OPERATING | {Role.MES}
COLLECTING = frozenset({Role.MES, Role.SUPERVISOR})


class Refused(Exception):
    """A method says no: a status code, and words for whoever reads the audit log.

    `outputs` go with a status that is not bad.
    """

    def __init__(
        self, status: int, reason: str = "", outputs: list[ua.Variant] | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.outputs = outputs or []


@dataclass(frozen=True)
class Call:
    """One call of a method: by whom, on which object, with what."""

    session: Session
    object_id: ua.NodeId
    method_id: ua.NodeId
    arguments: list[Any]  # values; types were checked


@dataclass(frozen=True)
class Method:
    """A method's rules; the handler returns its output values and may raise Refused."""

    handler: Callable[[Call], Awaitable[list[ua.Variant]]]
    inputs: tuple[ua.Argument, ...]
    roles: frozenset[Role]
    audited: bool = True


@dataclass(frozen=True)
class Writable:
    """A variable clients may write: who, and what happens then; the handler may raise Refused."""

    roles: frozenset[Role]
    handler: Callable[[Session, ua.Variant], None]


@dataclass
class Registry:
    """Methods by object and method, writable variables, and nodes with history."""

    methods: dict[tuple[ua.NodeId, ua.NodeId], Method] = field(default_factory=dict)
    writables: dict[ua.NodeId, Writable] = field(default_factory=dict)
    readers: dict[ua.NodeId, frozenset[Role]] = field(default_factory=dict)

    def callers(self, method_id: ua.NodeId) -> frozenset[Role]:
        """Return who may call a method on some object."""
        found = [rule.roles for (_, each), rule in self.methods.items() if each == method_id]
        return frozenset().union(*found)
