"""A hostile network gets nothing: one test for each item of hardening.py, by its number."""

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import struct_to_binary

from controller.gateway.opcua import hardening, limits
from controller.gateway.opcua.certificates import create_identity
from controller.gateway.opcua.users import Role
from controller.settings.opcua import OpcUaSettings
from tests.wire.opcua_bench import CLIENT_URI, PASSWORDS, eventually
from tests.wire.raw_channel import Closed, status_of
from tests.wire.siege import Attack, Siege, attack, is_closed, read_request


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            limits, "UNAUTHENTICATED_S", 600.0
        )  # a busy machine's client is slow, not idle
        siege = Siege(tmp_path_factory.mktemp("siege"))
        yield siege
        siege.close()


def test_01_policy_none_serves_discovery_only(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        channel = await each.plain()
        assert status_of(await channel.ask(ua.GetEndpointsRequest())) == "Good"
        assert status_of(await channel.ask(ua.FindServersRequest())) == "Good"
        for request in (each.session_request(), ua.ActivateSessionRequest(), read_request()):
            assert status_of(await channel.ask(request)) == "BadSecurityPolicyRejected"

    attack(siege, scene)


def test_02_a_certificate_is_checked_before_there_is_a_channel(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        expired = create_identity(CLIENT_URI, [], days=0.01)
        each.bench.trust(expired, "expired")
        for identity, status in (
            (create_identity(CLIENT_URI, []), "BadSecurityChecksFailed"),
            (expired, "BadCertificateTimeInvalid"),
        ):
            channel = await each.dial()
            await channel.hello()
            with pytest.raises(Closed) as closed:
                await channel.open(identity, each.server.identity.der)
            assert closed.value.status == status

    attack(siege, scene)


def test_03_a_sessions_certificate_and_uri_are_the_channels(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        channel = await each.secure()
        wrong_uri = each.session_request(uri="urn:somebody:else")
        assert status_of(await channel.ask(wrong_uri)) == "BadCertificateUriInvalid"
        other = create_identity(CLIENT_URI, [])
        each.bench.trust(other, "other")
        wrong_certificate = each.session_request(certificate=other.der)
        assert status_of(await channel.ask(wrong_certificate)) == "BadCertificateInvalid"
        short_nonce = each.session_request()
        short_nonce.Parameters.ClientNonce = b"short"
        assert status_of(await channel.ask(short_nonce)) == "BadNonceInvalid"

    attack(siege, scene)


def test_04_a_session_belongs_to_its_token_and_its_channel(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        victim = await each.secure()
        token, activated = await each.login(victim, Role.SUPERVISOR)
        assert status_of(activated) == "Good"
        assert len(token.Identifier) == 32
        guess = ua.NodeId(bytes(32), 0)
        thief = await each.secure()
        for stolen in (token, guess, ua.NodeId(), ua.NodeId(1000)):
            assert status_of(await thief.ask(read_request(), stolen)) == "BadSessionIdInvalid"
        assert status_of(await victim.ask(read_request(), guess)) == "BadSessionIdInvalid"
        assert status_of(await victim.ask(read_request(), token)) == "Good"
        # A client trusted by another certificate cannot take the session over either.
        other = create_identity(CLIENT_URI, [])
        each.bench.trust(other, "thief")
        channel = await each.dial()
        await channel.hello()
        await channel.open(other, each.server.identity.der)
        taken = await channel.ask(ua.ActivateSessionRequest(), token)
        assert status_of(taken) == "BadSecurityChecksFailed"

    attack(siege, scene)


def test_05_what_is_not_served_is_not_served(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        nodes = len(each.server.space.nodes._nodes)
        requests = (
            ua.RegisterServerRequest, ua.RegisterServer2Request, ua.AddNodesRequest,
            ua.DeleteNodesRequest, ua.AddReferencesRequest, ua.DeleteReferencesRequest,
            ua.HistoryUpdateRequest, ua.QueryFirstRequest,
        )  # fmt: skip
        plain = await each.plain()
        channel = await each.secure()
        for kind in requests:
            assert status_of(await plain.ask(kind())) == "BadSecurityPolicyRejected"
            assert status_of(await channel.ask(kind())) == "BadSessionIdInvalid"
        token, _ = await each.login(channel, Role.SECURITY_ADMIN)
        for kind in requests:
            assert status_of(await channel.ask(kind(), token)) == "BadServiceUnsupported"
        assert len(each.server.space.nodes._nodes) == nodes

    attack(siege, scene)


def test_06_declared_sizes_are_believed_only_when_allowed(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        for kind, size in (
            (b"HEL", 1 << 30),
            (b"OPN", 1 << 20),
            (b"MSG", 1 << 20),
            (b"MSG", 0),
            (b"XXX", 100),
        ):
            channel = await each.dial()
            if kind == b"MSG":
                await channel.hello()
            await channel.send(kind + b"F" + struct.pack("<I", size))
            assert await is_closed(channel) == "BadTcpMessageTooLarge"
        # Many messages at once wait outside: reading pauses instead of filling the memory.
        channel = await each.plain()
        request = struct_to_binary(ua.GetEndpointsRequest())
        await channel.send(b"".join(channel.encoded(request) for _ in range(400)))
        for _ in range(400):
            assert status_of(await channel.response()) == "Good"
        # A message in more chunks than allowed ends the connection.
        channel = await each.secure()
        big = struct_to_binary(read_request()) + bytes(limits.MESSAGE_SIZE_MAX + 70_000)
        await channel.send(channel.encoded(big))
        assert await is_closed(channel) == "BadRequestTooLarge"

    attack(siege, scene)


def test_06_reading_pauses_while_messages_wait(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        channel = await each.plain()
        protocol = each.server.listener.clients[-1]
        paused: list[int] = []
        stop = protocol.transport.pause_reading

        def pause() -> None:
            paused.append(protocol.messages.qsize())
            stop()

        protocol.transport.pause_reading = pause
        request = struct_to_binary(ua.GetEndpointsRequest())
        await channel.send(b"".join(channel.encoded(request) for _ in range(200)))
        for _ in range(200):
            await channel.response()
        assert paused

    attack(siege, scene)


def test_07_a_parsers_exception_ends_its_connection_alone(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        frames = [
            b"HELF" + struct.pack("<I", 20) + b"\xff" * 12,
            b"OPNF" + struct.pack("<I", 50) + b"\x80" * 42,
            b"CLOF" + struct.pack("<I", 16) + bytes(8),
        ]
        for frame in frames:
            channel = await each.dial()
            await channel.send(frame)
            await is_closed(channel)
        channel = await each.plain()
        await channel.send(channel.encoded(b"\xff" * 300))
        await is_closed(channel)
        channel = await each.secure()
        frame = bytearray(channel.encoded(struct_to_binary(read_request())))
        frame[-1] ^= 1
        await channel.send(bytes(frame))
        assert await is_closed(channel) == "BadSecurityChecksFailed"

    attack(siege, scene)


def token_request(variant: bytes) -> bytes:
    """An ActivateSession request whose identity token is an operand with this variant."""
    literal = struct.pack("<BBH", 1, 0, ua.ObjectIds.LiteralOperand_Encoding_DefaultBinary)
    request = ua.ActivateSessionRequest()
    body = struct_to_binary(request)
    token = literal + b"\x01" + struct.pack("<I", len(variant)) + variant
    # The identity token is an empty extension object, three zero bytes, before the signature.
    tail = struct_to_binary(request.Parameters.UserTokenSignature)
    return body[: -len(tail) - 3] + token + tail


def nulls(count: int) -> bytes:
    return bytes([0x80]) + struct.pack("<i", count)  # an array of Null: no size at all


def matrix(width: int, height: int) -> bytes:
    return bytes([0xC6]) + struct.pack("<ii", 1, 0) + struct.pack("<iii", 2, width, height)


TOO_MUCH = (nulls(hardening.READS_MAX + 1), matrix(300, 300))


def test_08_a_length_field_cannot_keep_the_decoder_busy(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        for variant in (nulls(0x7FFFFFFF), matrix(65535, 65535), *TOO_MUCH):
            channel = await each.secure()
            await channel.send(channel.encoded(token_request(variant)))
            await is_closed(channel)

    attack(siege, scene)


def test_08_without_its_counts_the_decoder_believes_every_length(
    siege: Siege, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardening, "READS_MAX", 1 << 62)
    monkeypatch.setattr(ua_binary, "MAX_RESHAPE_ELEMENTS", 1_000_000)  # as it comes

    async def scene(each: Attack) -> None:
        for variant in TOO_MUCH:
            channel = await each.secure()
            await channel.send(channel.encoded(token_request(variant)))
            assert status_of(await channel.response()) == "BadSessionIdInvalid"

    attack(siege, scene)


def test_09_channels_expire_and_are_issued_once(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        channel = await each.secure(lifetime_ms=0xFFFFFFFF)
        renewed = await channel.open(lifetime_ms=1, issue=False)
        assert renewed.SecurityToken.RevisedLifetime == limits.CHANNEL_LIFETIME_S_MIN * 1000
        assert status_of(await channel.ask(ua.GetEndpointsRequest())) == "Good"
        with pytest.raises(Closed) as closed:
            await channel.open(issue=True)
        assert closed.value.status == "BadRequestTypeInvalid"
        channel = await each.secure(lifetime_ms=0xFFFFFFFF)
        newest = each.server.listener.clients[-1].processor
        newest.connection.expires_s = 0.0
        with pytest.raises(Closed) as closed:
            await channel.ask(ua.GetEndpointsRequest())
        assert closed.value.status == "BadSecureChannelTokenUnknown"

    attack(siege, scene)


def test_10_idle_connections_give_way_to_those_that_log_in(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        channel = await each.secure()
        token, _ = await each.login(channel, Role.OPERATOR)
        flood = [await each.dial() for _ in range(each.server.connections_max + 10)]
        assert len(each.server.listener.clients) <= each.server.connections_max
        assert status_of(await channel.ask(read_request(), token)) == "Good"
        await each.friend_works()
        await eventually(lambda: any(one.reader.at_eof() for one in flood))
        assert not flood[-1].reader.at_eof()

    attack(siege, scene)


def test_11_a_client_that_does_not_read_is_dropped(
    siege: Siege, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WRITE_BUFFER_MAX", 1 << 18)

    async def scene(each: Attack) -> None:
        channel = await each.secure()
        token, _ = await each.login(channel, Role.OBSERVER)
        request = ua.BrowseRequest()
        wanted = ua.BrowseDescription()
        wanted.NodeId, wanted.ResultMask = each.bench.node_id("Alarms"), 63
        request.Parameters.NodesToBrowse = [wanted] * 100
        request.RequestHeader.AuthenticationToken = token
        body = struct_to_binary(request)
        before = len(each.server.listener.clients)

        async def push() -> bool:
            channel.writer.write(channel.encoded(body))
            return len(each.server.listener.clients) < before

        await eventually(push)

    attack(siege, scene)


def test_12_hello_comes_once_and_with_sense(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        for changes in ({"ReceiveBufferSize": 0}, {"SendBufferSize": 100}):
            channel = await each.dial()
            with pytest.raises(Closed) as closed:
                await channel.hello(**changes)
            assert closed.value.status == "BadConnectionRejected"
        channel = await each.plain()
        with pytest.raises(Closed) as closed:
            await channel.hello()
        assert closed.value.status == "BadTcpMessageTypeInvalid"
        channel = await each.dial()
        with pytest.raises(Closed):
            await channel.hello(EndpointUrl="x" * 5000)

    attack(siege, scene)


def test_13_a_password_is_bound_to_its_nonce_and_policy(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        channel = await each.secure()

        async def activated(change: Callable[[Any, Any], None]) -> str:
            created = await channel.ask(each.session_request())
            name, password = Role.OPERATOR.value, PASSWORDS[Role.OPERATOR]
            request = each.activation(channel, created, name, password)
            change(request.Parameters.UserIdentityToken, channel.connection.security_policy)
            return status_of(await channel.ask(request, created.Parameters.AuthenticationToken))

        def replayed(token: Any, policy: Any) -> None:
            secret = PASSWORDS[Role.OPERATOR].encode()
            plain = struct.pack("<I", len(secret) + 32) + secret + bytes(32)
            token.Password = policy.asymmetric_cryptography.Encryptor.encrypt(plain)

        def in_the_clear(token: Any, policy: Any) -> None:
            token.EncryptionAlgorithm, token.Password = None, PASSWORDS[Role.OPERATOR].encode()

        def weak(token: Any, policy: Any) -> None:
            token.EncryptionAlgorithm = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"

        def garbage(token: Any, policy: Any) -> None:
            token.Password = b"x" * 256

        for change in (replayed, in_the_clear, weak, garbage):
            assert await activated(change) == "BadIdentityTokenInvalid"
        assert await activated(lambda token, policy: None) == "Good"

    attack(siege, scene)


def test_sessions_are_limited_for_a_user_and_in_all(siege: Siege) -> None:
    settings = OpcUaSettings()
    assert (settings.sessions_max, settings.sessions_per_user_max) == (50, 10)

    async def scene(each: Attack) -> None:
        for _ in range(3):
            _, done = await each.login(await each.secure(), Role.OPERATOR)
            assert status_of(done) == "Good"
        _, done = await each.login(await each.secure(), Role.OPERATOR)
        assert status_of(done) == "BadTooManySessions"
        for role in (Role.MES, Role.OBSERVER, Role.MAINTENANCE):
            _, done = await each.login(await each.secure(), role)
            assert status_of(done) == "Good"
        _, done = await each.login(await each.secure(), Role.SUPERVISOR)
        assert status_of(done) == "BadTooManySessions"

    attack(siege, scene)


def test_guessing_locks_the_account_at_that_source_even_for_the_right_password(
    siege: Siege,
) -> None:
    async def scene(each: Attack) -> None:
        channel = await each.secure()
        for _ in range(5):
            _, done = await each.login(channel, Role.MAINTENANCE, "guessed wrong")
            assert status_of(done) == "BadUserAccessDenied"
        _, done = await each.login(channel, Role.MAINTENANCE)
        assert status_of(done) == "BadUserAccessDenied"
        _, done = await each.login(channel, Role.OPERATOR)
        assert status_of(done) == "Good"
        each.server.login.lockout.succeeded(Role.MAINTENANCE.value, "127.0.0.1")
        lines = (each.bench.state / "audit.log").read_text().splitlines()
        logins = [row for row in map(json.loads, lines) if row["action"] == "login"]
        assert sum(row["user"] == "Maintenance" and row["status"] == "Bad" for row in logins) == 6
        assert not any("guessed wrong" in line for line in lines)

    attack(siege, scene)


def test_a_removed_users_session_ends_with_its_next_request(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        users = each.server.users
        users.add("leaver", "his own password", frozenset({Role.OBSERVER}))
        channel = await each.secure()
        created = await channel.ask(each.session_request())
        token = created.Parameters.AuthenticationToken
        request = each.activation(channel, created, "leaver", "his own password")
        assert status_of(await channel.ask(request, token)) == "Good"
        assert status_of(await channel.ask(read_request(), token)) == "Good"
        users.remove("leaver")
        assert status_of(await channel.ask(read_request(), token)) == "BadSessionClosed"

    attack(siege, scene)


def test_another_users_subscription_does_not_exist(siege: Siege) -> None:
    async def scene(each: Attack) -> None:
        owner, thief = await each.secure(), await each.secure()
        token, _ = await each.login(owner, Role.OPERATOR)
        other, _ = await each.login(thief, Role.OBSERVER)
        made = await owner.ask(ua.CreateSubscriptionRequest(), token)
        number = made.Parameters.SubscriptionId
        transfer = ua.TransferSubscriptionsRequest()
        transfer.Parameters.SubscriptionIds = [number]
        answer = await thief.ask(transfer, other)
        assert answer.Parameters.Results[0].StatusCode.name == "BadSubscriptionIdInvalid"
        delete = ua.DeleteSubscriptionsRequest()
        delete.Parameters.SubscriptionIds = [number]
        assert (await thief.ask(delete, other)).Results[0].name == "BadSubscriptionIdInvalid"
        republish = ua.RepublishRequest()
        republish.Parameters.SubscriptionId = number
        assert status_of(await thief.ask(republish, other)) == "BadSubscriptionIdInvalid"
        mode = ua.SetPublishingModeRequest()
        mode.Parameters.SubscriptionIds = [number]
        answer = await thief.ask(mode, other)
        assert answer.Parameters.Results[0].name == "BadSubscriptionIdInvalid"
        assert (await owner.ask(delete, token)).Results[0].is_good()

    attack(siege, scene)


def test_every_item_of_the_hardening_has_its_test() -> None:
    items = [line.split(".")[0].strip() for line in (hardening.__doc__ or "").splitlines()]
    numbers = {int(item) for item in items if item.isdigit()}
    tested = {int(name[5:7]) for name in globals() if name[:5] == "test_" and name[5:7].isdigit()}
    assert numbers == tested
