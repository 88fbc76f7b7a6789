"""An attacker's client: speaks the protocol by hand, so that nothing holds it back."""

import asyncio
from typing import Any

from asyncua import ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256, SecurityPolicyNone
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, struct_to_binary
from cryptography import x509

from controller.gateway.opcua.certificates import Identity

TIMEOUT_S = 120.0


class Closed(Exception):
    """The server ended the connection; `status` is what its error message said, if it sent one."""

    def __init__(self, status: str = "") -> None:
        super().__init__(status)
        self.status = status


class RawChannel:
    """One TCP connection to the server under attack."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection: Any = None
        self._request = 0

    async def dial(self) -> "RawChannel":
        """Connect, nothing more."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    def hang_up(self) -> None:
        """Cut the connection."""
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def frame(self) -> tuple[bytes, bytes]:
        """Return the next frame's kind and bytes; Closed at the end of the connection."""
        try:
            head = await asyncio.wait_for(self.reader.readexactly(8), TIMEOUT_S)
            body = await self.reader.readexactly(int.from_bytes(head[4:], "little") - 8)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Closed from error
        if head[:3] == b"ERR":
            error_message = struct_from_binary(ua.ErrorMessage, Buffer(body))
            raise Closed(error_message.Error.name)
        return head[:3], head + body

    async def hello(self, **changes: Any) -> None:
        """Say Hello and wait for the acknowledge."""
        sizes = dict.fromkeys(("ReceiveBufferSize", "SendBufferSize"), 65_536)
        message = ua.Hello(**{**sizes, "MaxMessageSize": 0, "MaxChunkCount": 0, **changes})
        await self.send(ua_binary.uatcp_to_binary(ua.MessageType.Hello, message))
        kind, _ = await self.frame()
        assert kind == b"ACK"

    async def open(
        self,
        identity: Identity | None = None,
        server: bytes = b"",
        lifetime_ms: int = 60_000,
        issue: bool = True,
    ) -> ua.OpenSecureChannelResult:
        """Open a channel: encrypted with an identity, plain without."""
        if self.connection is None:
            self.connection = SecureConnection(self._policy(identity, server), TransportLimits())
        policy = self.connection.security_policy
        request = ua.OpenSecureChannelRequest()
        parameters = request.Parameters
        parameters.SecurityMode = policy.Mode
        parameters.RequestedLifetime = lifetime_ms
        issued = ua.SecurityTokenRequestType.Issue
        parameters.RequestType = issued if issue else ua.SecurityTokenRequestType.Renew
        parameters.ClientNonce = ua.utils.create_nonce(policy.secure_channel_nonce_length)
        response = await self._exchange(request, ua.MessageType.SecureOpen)
        kind = parameters.RequestType
        self.connection.set_channel(response.Parameters, kind, parameters.ClientNonce)
        return response.Parameters

    def _policy(self, identity: Identity | None, server: bytes) -> Any:
        if identity is None:
            return SecurityPolicyNone()
        mode = ua.MessageSecurityMode.SignAndEncrypt
        certificate = x509.load_der_x509_certificate(server)
        return SecurityPolicyBasic256Sha256(certificate, identity.certificate, identity.key, mode)

    async def ask(self, request: Any, token: ua.NodeId | None = None) -> Any:
        """Send a request with any token and return the response."""
        request.RequestHeader.AuthenticationToken = token or ua.NodeId()
        request.RequestHeader.RequestHandle = 7
        return await self._exchange(request, ua.MessageType.SecureMessage)

    async def _exchange(self, request: Any, kind: Any) -> Any:
        await self.send(self.encoded(struct_to_binary(request), kind))
        return await self.response()

    def encoded(self, body: bytes, kind: Any = ua.MessageType.SecureMessage) -> bytes:
        """Return a message, encrypted as the channel is."""
        self._request += 1
        data = self.connection.message_to_binary(body, message_type=kind, request_id=self._request)
        return bytes(data)

    async def response(self) -> Any:
        """Return the next whole response."""
        while True:
            _, data = await self.frame()
            buffer = Buffer(data)
            header = ua_binary.header_from_binary(buffer)
            message = self.connection.receive_from_header_and_body(header, buffer)
            if message is not None:
                break
        body = message.body()
        kind = nodeid_from_binary(body.copy())
        return struct_from_binary(ua.extension_objects_by_typeid[kind], body)


def status_of(response: Any) -> str:
    """Return a response's service result by name."""
    return str(response.ResponseHeader.ServiceResult.name)
