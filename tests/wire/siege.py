"""The stage of the hostile tests: a gateway under siege, an attacker by hand, and a friend."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from asyncua import ua

from controller.gateway.opcua.users import Role
from tests.wire.opcua_bench import CLIENT_URI, PASSWORDS, Bench
from tests.wire.raw_channel import Closed, RawChannel
from tests.wire.raw_session import activation, session_request


class Siege:
    """A gateway that is attacked in every test of this file."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.bench = Bench(folder, sessions_max=6, sessions_per_user_max=3)
        self.runner.run(self.bench.start())

    def close(self) -> None:
        self.runner.run(self.bench.stop())
        self.runner.close()


Scene = Callable[["Attack"], Awaitable[None]]


class Attack:
    """What one attacker does, and what a friend still can."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.server = bench.gateway.server
        self.channels: list[RawChannel] = []

    async def dial(self) -> RawChannel:
        channel = await RawChannel(self.server.port).dial()
        self.channels.append(channel)
        return channel

    async def plain(self) -> RawChannel:
        channel = await self.dial()
        await channel.hello()
        await channel.open()
        return channel

    async def secure(self, **more: Any) -> RawChannel:
        channel = await self.dial()
        await channel.hello()
        await channel.open(self.bench.identity, self.server.identity.der, **more)
        return channel

    def session_request(self, uri: str = CLIENT_URI, certificate: bytes = b"") -> Any:
        request = session_request(self.bench.identity, uri, self.bench.url)
        request.Parameters.ClientCertificate = certificate or self.bench.identity.der
        return request

    async def login(self, channel: RawChannel, role: Role, password: str = "") -> Any:
        """Create and activate a session; return (token, response)."""
        created = await channel.ask(self.session_request())
        if not created.ResponseHeader.ServiceResult.is_good():
            return None, created
        token = created.Parameters.AuthenticationToken
        response = await channel.ask(
            self.activation(channel, created, role.value, password or PASSWORDS[role]), token
        )
        return token, response

    def activation(self, channel: RawChannel, created: Any, user: str, password: str) -> Any:
        return activation(channel, created, self.server.identity.der, user, password)

    async def friend_works(self) -> None:
        """A decent client logs in and reads."""
        async with self.bench.asyncua(Role.SUPERVISOR) as client:
            node = client.get_node(self.bench.node_id("PackML.Status.StateNumber"))
            assert await node.read_value() == self.bench.core.machine["state"]


def attack(siege: Siege, scene: Scene) -> None:
    async def run() -> None:
        each = Attack(siege.bench)
        before = list(siege.bench.core.commands)
        await scene(each)
        for channel in each.channels:
            channel.hang_up()
        for session in siege.bench.gateway.server.sessions:
            siege.bench.gateway.server.sessions.close(session)
        await each.friend_works()
        assert siege.bench.core.commands == before  # nothing reached the machine

    siege.runner.run(run())


async def is_closed(channel: RawChannel) -> str:
    """Wait for the end of a connection and return the status that was told."""
    try:
        while True:
            await channel.frame()
    except Closed as closed:
        return closed.status


def read_request(node: ua.NodeId | None = None) -> Any:
    request = ua.ReadRequest()
    item = ua.ReadValueId()
    item.NodeId, item.AttributeId = node or ua.NodeId(2256), ua.AttributeIds.Value
    request.Parameters.NodesToRead = [item]
    return request
