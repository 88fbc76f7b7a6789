"""Mutated messages by the thousand: no crash, no leak, no effect without a login."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import struct_to_binary

from controller.gateway.opcua.hardening import Channel, ShutProtocol
from controller.gateway.opcua.sessions import Session
from controller.gateway.opcua.users import Role, User
from tests.wire.opcua_bench import Bench

PAGE_BYTES = 4096
LEAK_BYTES_MAX = 1 << 20
BODY_SECONDS_MAX = 2.0


class Wire(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4840)})
        self.closed = False
        self.sent = 0

    def write(self, data: Any) -> None:
        self.sent += len(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def requests(bench: Bench) -> list[bytes]:
    """One well-formed message of each service."""
    state = bench.node_id("PackML.Status.StateNumber")
    item = ua.ReadValueId(NodeId=state, AttributeId=ua.AttributeIds.Value)
    read = ua.ReadRequest()
    read.Parameters.NodesToRead = [item] * 3
    write = ua.WriteRequest()
    value = ua.DataValue(ua.Variant("text", ua.VariantType.String))
    asset = bench.node_id("Identification.AssetId")
    write.Parameters.NodesToWrite = [
        ua.WriteValue(NodeId=asset, AttributeId=ua.AttributeIds.Value, Value=value)
    ]
    call = ua.CallRequest()
    machine = "PackML.BaseStateMachine.MachineState"
    method = ua.CallMethodRequest()
    method.ObjectId, method.MethodId = bench.node_id(machine), bench.node_id(f"{machine}.Reset")
    method.InputArguments = [ua.Variant([1.0, 2.0]), ua.Variant(ua.Argument())]
    call.Parameters.MethodsToCall = [method]
    browse = ua.BrowseRequest()
    wanted = ua.BrowseDescription()
    wanted.NodeId, wanted.ResultMask = bench.node_id("PackML"), 63
    browse.Parameters.NodesToBrowse = [wanted]
    translate = ua.TranslateBrowsePathsToNodeIdsRequest()
    path = ua.BrowsePath()
    path.StartingNode = bench.node_id("PackML")
    element = ua.RelativePathElement(TargetName=ua.QualifiedName("Status", 5))
    path.RelativePath.Elements = [element]
    translate.Parameters.BrowsePaths = [path]
    items = ua.CreateMonitoredItemsRequest()
    made = ua.MonitoredItemCreateRequest()
    made.ItemToMonitor = item
    event_filter = ua.EventFilter()
    clause = ua.SimpleAttributeOperand()
    clause.BrowsePath, clause.AttributeId = [ua.QualifiedName("Message", 0)], ua.AttributeIds.Value
    event_filter.SelectClauses = [clause]
    made.RequestedParameters.Filter = event_filter
    items.Parameters.ItemsToCreate = [made]
    history = ua.HistoryReadRequest()
    history.Parameters.HistoryReadDetails = ua.ReadRawModifiedDetails()
    history.Parameters.NodesToRead = [ua.HistoryReadValueId(NodeId=state)]
    session = ua.CreateSessionRequest()
    session.Parameters.ClientCertificate = bench.identity.der
    session.Parameters.ClientNonce = bytes(32)
    others = (
        ua.ActivateSessionRequest, ua.GetEndpointsRequest, ua.FindServersRequest,
        ua.CreateSubscriptionRequest, ua.PublishRequest, ua.RepublishRequest, ua.BrowseNextRequest,
        ua.DeleteSubscriptionsRequest, ua.SetPublishingModeRequest, ua.RegisterNodesRequest,
        ua.ModifySubscriptionRequest, ua.AddNodesRequest, ua.TransferSubscriptionsRequest,
        ua.SetTriggeringRequest,
    )  # fmt: skip
    whole = [read, write, call, browse, translate, items, history, session]
    return [struct_to_binary(each) for each in [*whole, *(kind() for kind in others)]]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change a message as noise and spite would."""
    message = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(message)) if message else 0
        what = chance.randrange(6)
        if what == 0 and message:
            message[at] = chance.randrange(256)
        elif what == 1 and message:
            message[at] ^= 1 << chance.randrange(8)
        elif what == 2:
            message[at : at + 4] = chance.choice(
                (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0")
            )
        elif what == 3:
            del message[at : at + chance.randrange(1, 9)]
        elif what == 4:
            message[at:at] = chance.randbytes(chance.randrange(1, 9))
        else:
            message = message[: max(1, at)]
    return bytes(message)


class Listener:
    """What a connection needs of asyncua's own server object: nothing but a queue length."""

    max_pending_messages_per_connection = 1


def connection(bench: Bench) -> tuple[ShutProtocol, Wire]:
    protocol = ShutProtocol(Listener(), [], [], [], None)
    protocol.application = bench.gateway.server
    wire = Wire()
    protocol.connection_made(wire)
    return protocol, wire


async def send_frames(bench: Bench, count: int, chance: random.Random) -> None:
    """Mutated frames on fresh connections, as anybody on the network can send them."""
    hello = ua_binary.uatcp_to_binary(ua.MessageType.Hello, ua.Hello(0, 65536, 65536, 0, 0, "opc"))
    opening = struct_to_binary(ua.OpenSecureChannelRequest())
    policy = b"http://opcfoundation.org/UA/SecurityPolicy#"
    names = [policy + name for name in (b"None", b"Basic256Sha256", b"Aes256_Sha256_RsaPss")]
    certificate = bench.identity.der
    for _ in range(count):
        name = chance.choice(names)
        header = len(name).to_bytes(4, "little") + name
        sender = len(certificate).to_bytes(4, "little") + certificate
        header += chance.choice((b"\xff" * 8, sender + b"\xff" * 4))
        body = bytes(4) + header + (1).to_bytes(4, "little") * 2 + opening
        frame = b"OPNF" + (len(body) + 8).to_bytes(4, "little") + body
        protocol, wire = connection(bench)
        first = hello if chance.random() < 0.8 else mutated(hello, chance)
        protocol.data_received(first + (mutated(frame, chance) if chance.random() < 0.9 else frame))
        await drained(protocol, wire)
        protocol.connection_lost(None)


async def drained(protocol: ShutProtocol, wire: Wire) -> None:
    for _ in range(4):
        await asyncio.sleep(0)
        if wire.closed:
            return


async def send_bodies(
    bench: Bench, count: int, chance: random.Random, user: User | None
) -> dict[str, int]:
    """Mutated requests inside a channel, past the cryptography, with or without a session."""
    whole = requests(bench)
    answers: dict[str, int] = {}
    channel, session = make_channel(bench, user)
    for _ in range(count):
        body = mutated(chance.choice(whole), chance)
        if user is not None and chance.random() < 0.8:
            body = with_token(chance.choice(whole), session, chance)
        start = time.thread_time()
        try:
            await channel._serve(ua.SequenceHeader(1, 1), channel_body(body))
            outcome = "answered"
        except Exception as error:
            outcome = type(error).__name__
        assert time.thread_time() - start < BODY_SECONDS_MAX
        answers[outcome] = answers.get(outcome, 0) + 1
        if user is not None and session.token not in {
            each.token for each in bench.gateway.server.sessions
        }:
            channel, session = make_channel(bench, user)
    bench.gateway.server.sessions.close(session)
    return answers


def with_token(data: bytes, session: Session, chance: random.Random) -> bytes:
    """Put a session's token into a message, then mutate what follows the request header."""
    kind_size = 4
    body = data[kind_size + 2 :]  # an empty NodeId stands where the token belongs
    token = ua_binary.nodeid_to_binary(session.token)
    header = 8 + 4 + 4 + 4 + 4 + 3
    return data[:kind_size] + token + body[:header] + mutated(body[header:] or b"\0", chance)


def channel_body(body: bytes) -> Any:
    from controller.gateway.opcua.hardening import BoundedBuffer

    return BoundedBuffer(body)


class OpenedConnection:
    """A channel's cryptography that is already past: everything is encrypted and trusted."""

    is_secure = True
    expires_s = float("inf")

    def __init__(self, bench: Bench) -> None:
        self.security_policy: Any = type("Policy", (), {})()
        self.security_policy.peer_certificate = bench.identity.der
        self.security_policy.host_certificate = bench.gateway.server.identity.der
        self.security_policy.AsymmetricSignatureURI = ""
        self.security_policy.AsymmetricEncryptionURI = "rsa"
        self.security_policy.asymmetric_cryptography = self

    def signature(self, data: bytes) -> bytes:
        return b""

    def verify(self, data: bytes, signature: Any) -> None: ...

    def is_open(self) -> bool:
        return True

    def message_to_binary(self, data: bytes, **more: Any) -> bytes:
        return data


def make_channel(bench: Bench, user: User | None) -> tuple[Channel, Session]:
    server = bench.gateway.server
    channel = Channel(server, Wire(), [])
    channel.connection = OpenedConnection(bench)  # type: ignore[assignment]
    session = server.sessions.create(channel, ua.CreateSessionParameters(), "192.0.2.1")
    session.user = user
    channel.session_count = 1 if user else 0
    return channel, session


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def campaign(folder: Path, messages: int, seed: int) -> None:
    """A third of the messages as frames, a third as requests of nobody, a third of a user."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    third = messages // 3

    async def run() -> None:
        bench = Bench(folder)
        await bench.start()
        server = bench.gateway.server
        server.login.lockout.is_locked = lambda account, source: True  # no argon2 in this loop
        server.users.add("fuzz", "a fuzzy password", frozenset({Role.OBSERVER}))
        user = User("fuzz", frozenset({Role.OBSERVER}))
        nodes = len(server.space.nodes._nodes)
        commands = list(bench.core.commands)
        sizes = []
        for _ in range(3):
            await send_frames(bench, third // 3, chance)
            nobody = await send_bodies(bench, third // 3, chance, None)
            await send_bodies(bench, third // 3, chance, user)
            sizes.append(resident_bytes())
        assert nobody["answered"] > 100  # the messages are not all too broken to be looked at
        assert bench.core.commands == commands
        assert len(server.space.nodes._nodes) == nodes
        assert not [each for each in server.sessions if each.is_alive and each.user != user]
        asset = server.space.value(bench.node_id("Identification.AssetId"))
        assert asset.value.Value.Value == ""
        assert sizes[-1] - sizes[-2] < LEAK_BYTES_MAX
        server.login.lockout.is_locked = lambda account, source: False
        async with bench.asyncua(Role.OBSERVER) as client:
            await client.get_node(bench.node_id("PackML.Status.StateNumber")).read_value()
        await bench.stop()

    runner: Callable[[Any], None] = asyncio.run
    runner(run())


def test_thirty_thousand_mutated_messages_do_no_harm(tmp_path: Path) -> None:
    campaign(tmp_path, 30_000, seed=random.randrange(10**9))


@pytest.mark.long
def test_a_million_mutated_messages_do_no_harm(tmp_path: Path) -> None:
    campaign(tmp_path, 1_000_000, seed=random.randrange(10**9))
