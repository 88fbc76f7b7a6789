"""What asyncua 2.1.0 leaves open, closed over its own classes: each item with its reason.

The classes here replace asyncua's transport and channel handling; what a message asks for is served by
`services.py`. Every item numbered below has a hostile test of the same number.

 1. Anybody could speak in plain text over policy None: only discovery may.
 2. The channel's certificate was never validated: it is checked before any key is derived.
 3. CreateSession's certificate and ApplicationUri were not compared with the channel's.
 4. Authentication tokens were counted up and never checked: they are random, and every request's is.
 5. RegisterServer and NodeManagement were served without a session: they are not served at all.
 6. A connection could buffer 500 frames and 100 MB before log-in: declared sizes are checked first,
    reading pauses while messages wait, and what is allowed grows only with the channel.
 7. A parser's exception left the connection in an undefined state: it ends the connection.
 8. A length field could make the decoder loop over elements of no size, or fill a matrix: counted.
 9. Channels never expired, and an open channel could be issued anew: clamped, watched, refused.
10. Connections had no fair limit: when full, the oldest without a session goes.
11. A client that does not read filled the server's memory: it is dropped.
12. Hello's sizes were taken as they came, even zero, and as often as wanted: checked, once.
13. A decrypted password was not bound to the session's nonce, and any algorithm was taken: both are.
"""

import asyncio
import secrets
import struct
import time
from dataclasses import dataclass
from typing import Any, Protocol

from asyncua import ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto import uacrypto
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, struct_to_binary

from controller.gateway.opcua import limits
from controller.gateway.opcua.certificates import CertificateError

READS_MAX = 200_000  # primitive elements in one message
ua_binary.MAX_RESHAPE_ELEMENTS = 65_536  # item 8

_FRAME_HEADER = struct.Struct("<3scI")
_SIZES = {b"HEL": 8 + 20 + 4096 + 4, b"OPN": limits.OPENING_SIZE_MAX, b"MSG": limits.FRAME_SIZE_MAX}
_SIZES[b"CLO"] = limits.OPENING_SIZE_MAX


class Application(Protocol):
    """What the transport needs of the server behind it."""

    connections_max: int

    def check_certificate(self, blob: bytes, source: str) -> bytes:
        """Return the client's own DER of a chain; CertificateError if it may not open a channel."""

    async def serve(self, channel: "Channel", request: "Request") -> Any:
        """Return the response to one request, None when it is answered later."""

    def channel_closed(self, channel: "Channel") -> None:
        """Unbind what belongs to a channel that is gone."""

    def refused(self, source: str, reason: str, status: str) -> None:
        """Audit a refused connection."""


@dataclass(slots=True)
class Request:
    """One request as it came: its type, header, number on the channel, and undecoded body."""

    type_id: ua.NodeId
    header: ua.RequestHeader
    request_id: int
    body: Any


class BoundedBuffer(Buffer):
    """A message body that counts what is read from it (item 8)."""

    def __init__(self, data: bytes, start_pos: int = 0, size: int = -1) -> None:
        super().__init__(data, start_pos, size)
        self._reads = [0]

    def read(self, size: int) -> bytes:
        """Read like Buffer; UaError when a message asks for too many elements or negative ones."""
        self._reads[0] += 1
        if size < 0 or self._reads[0] > READS_MAX:
            raise ua.UaError("message: too many elements")
        return super().read(size)

    def copy(self, size: int = -1) -> "BoundedBuffer":
        """Return a shallow copy that counts together with this one."""
        if size == -1 or size > self._size:
            size = self._size
        clone = BoundedBuffer(self._data, self._cur_pos, size)
        clone._reads = self._reads
        return clone


class _CountedNull:  # item 8: an array of Null has no size
    @staticmethod
    def pack(data: Any) -> bytes:
        return b""

    @staticmethod
    def unpack(data: Any) -> None:
        data.read(0)


ua_binary.Primitives.Null = _CountedNull()


class ShutConnection(SecureConnection):
    """The channel's cryptography with its life bounded (items 2 and 9)."""

    def __init__(self, application: Application, source: str) -> None:
        self.bounds = _transport_limits()
        super().__init__(SecurityPolicyNone(), self.bounds)
        self._application = application
        self._source = source
        self.expires_s = float("inf")

    @property
    def is_secure(self) -> bool:
        """Whether the channel signs and encrypts."""
        return self.security_policy.Mode == ua.MessageSecurityMode.SignAndEncrypt

    def select_policy(self, uri: str, peer_certificate: bytes | None, mode: Any = None) -> None:
        """Choose a policy; a certificate is checked before it is used for anything (item 2)."""
        if uri != SecurityPolicyNone.URI:
            peer_certificate = self._application.check_certificate(
                peer_certificate or b"", self._source
            )
        super().select_policy(uri, peer_certificate, mode)

    def open(self, params: Any, server: Any) -> ua.OpenSecureChannelResult:
        """Open or renew; an open channel is only renewed, lives at most an hour (item 9)."""
        if self._open == (params.RequestType == ua.SecurityTokenRequestType.Issue):
            raise ua.UaStatusCodeError(ua.StatusCodes.BadRequestTypeInvalid)
        if self.is_secure and len(params.ClientNonce or b"") != 32:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadNonceInvalid)
        lifetime_s = max(params.RequestedLifetime / 1000.0, limits.CHANNEL_LIFETIME_S_MIN)
        lifetime_s = min(lifetime_s, limits.CHANNEL_LIFETIME_S_MAX)
        params.RequestedLifetime = int(lifetime_s * 1000.0)
        self.expires_s = time.monotonic() + 1.25 * lifetime_s
        return super().open(params, server)


class Channel:
    """One connection's conversation: Hello, OpenSecureChannel, messages, close."""

    def __init__(
        self, application: Application, transport: asyncio.Transport, policies: Any
    ) -> None:
        self.application = application
        self.transport = transport
        self.source = str((transport.get_extra_info("peername") or ("?",))[0])
        self.connection = ShutConnection(application, self.source)
        self.connection.set_policy_factories(policies)
        self.greeted = False
        self.session_count = 0  # activated sessions on this channel
        self.message_size_max = limits.MESSAGE_SIZE_MAX

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent on it."""
        return self.connection.is_open() and not self.transport.is_closing()

    async def process(self, header: ua.Header, body: Buffer) -> bool:
        """Handle one frame; False ends the connection."""
        if header.MessageType == ua.MessageType.Hello:
            return self._hello(struct_from_binary(ua.Hello, body))
        if not self.greeted:
            return self._refuse(ua.StatusCodes.BadTcpMessageTypeInvalid, "Hello comes first")
        if time.monotonic() > self.connection.expires_s:
            return self._refuse(ua.StatusCodes.BadSecureChannelTokenUnknown, "channel expired")
        if header.MessageType != ua.MessageType.SecureOpen and not self.connection.is_open():
            return self._refuse(ua.StatusCodes.BadTcpSecureChannelUnknown, "no channel is open")
        message = self._receive(header, body)
        if message is None:
            return True  # a chunk of more to come
        if header.MessageType == ua.MessageType.SecureOpen:
            return self._open(message)
        if header.MessageType == ua.MessageType.SecureClose:
            return False
        return await self._serve(message.SequenceHeader(), _body(message))

    def _receive(self, header: ua.Header, body: Buffer) -> ua.Message | None:
        if header.MessageType == ua.MessageType.SecureOpen and self.connection.is_open():
            self._check_renewal(body)
        return self.connection.receive_from_header_and_body(header, body)

    def _check_renewal(self, body: Buffer) -> None:
        """A renewal comes with the certificate and policy the channel was opened with."""
        policy = self.connection.security_policy
        security = struct_from_binary(ua.AsymmetricAlgorithmHeader, body.copy())
        sent = security.SenderCertificate or b""
        if security.SecurityPolicyURI != policy.URI or not sent.startswith(
            policy.peer_certificate or b""
        ):
            raise ua.UaError("renewal with another certificate or policy")

    def _hello(self, hello: ua.Hello) -> bool:
        if self.greeted or len(hello.EndpointUrl or "") > 4096:
            return self._refuse(ua.StatusCodes.BadTcpMessageTypeInvalid, "Hello once, 4096 at most")
        if min(hello.ReceiveBufferSize, hello.SendBufferSize) < limits.FRAME_SIZE_MIN:
            return self._refuse(
                ua.StatusCodes.BadConnectionRejected, "8192 bytes of buffer at least"
            )
        bounds = self.connection.bounds
        bounds.max_send_buffer = min(hello.ReceiveBufferSize, limits.FRAME_SIZE_MAX)
        acknowledge = ua.Acknowledge(
            ReceiveBufferSize=min(hello.SendBufferSize, limits.FRAME_SIZE_MAX),
            SendBufferSize=bounds.max_send_buffer,
            MaxMessageSize=limits.MESSAGE_SIZE_MAX,
            MaxChunkCount=limits.CHUNKS_MAX,
        )
        self.message_size_max = hello.MaxMessageSize or 1 << 31
        self.greeted = True
        self._write(ua_binary.uatcp_to_binary(ua.MessageType.Acknowledge, acknowledge))
        return True

    def _open(self, message: ua.Message) -> bool:
        security = message.SecurityHeader()
        request = struct_from_binary(ua.OpenSecureChannelRequest, _body(message))
        if not self.connection.is_open():
            mode = request.Parameters.SecurityMode
            self.connection.select_policy(
                security.SecurityPolicyURI, security.SenderCertificate, mode
            )
        response = ua.OpenSecureChannelResponse()
        response.Parameters = self.connection.open(request.Parameters, _ChannelIds)
        handle = request.RequestHeader.RequestHandle
        self.respond(
            handle, message.SequenceHeader().RequestId, response, ua.MessageType.SecureOpen
        )
        return True

    async def _serve(self, sequence: ua.SequenceHeader, body: BoundedBuffer) -> bool:
        type_id = nodeid_from_binary(body)
        header = struct_from_binary(ua.RequestHeader, body)
        request = Request(type_id, header, sequence.RequestId, body)
        try:
            response = await self.application.serve(self, request)
        except ua.UaStatusCodeError as error:
            response = ua.ServiceFault()
            response.ResponseHeader.ServiceResult = ua.StatusCode(error.code)
        if response is not None:
            self.respond(header.RequestHandle, sequence.RequestId, response)
        return True

    def respond(
        self, handle: int, request_id: int, response: Any, kind: Any = ua.MessageType.SecureMessage
    ) -> None:
        """Send a response; too large a one becomes a fault."""
        response.ResponseHeader.RequestHandle = handle
        self.respond_encoded(request_id, struct_to_binary(response), kind, handle)

    def respond_encoded(
        self,
        request_id: int,
        data: bytes,
        kind: Any = ua.MessageType.SecureMessage,
        handle: int = 0,
    ) -> None:
        """Send a response that is already encoded."""
        if len(data) > self.message_size_max:
            fault = ua.ServiceFault()
            fault.ResponseHeader.ServiceResult = ua.StatusCode(ua.StatusCodes.BadResponseTooLarge)
            fault.ResponseHeader.RequestHandle = handle
            data = struct_to_binary(fault)
        self._write(
            self.connection.message_to_binary(data, message_type=kind, request_id=request_id)
        )

    def _write(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > limits.WRITE_BUFFER_MAX:  # item 11
            self.transport.abort()

    def _refuse(self, status: int, reason: str) -> bool:
        error = ua.ErrorMessage(ua.StatusCode(status), reason)
        self._write(ua_binary.uatcp_to_binary(ua.MessageType.Error, error))
        return False

    def refuse(self, error: Exception) -> None:
        """Tell the client in one line that the connection ends; never why its certificate failed."""
        status = ua.StatusCodes.BadSecurityChecksFailed
        if isinstance(error, CertificateError) and error.status == "BadCertificateTimeInvalid":
            status = ua.StatusCodes.BadCertificateTimeInvalid
        elif isinstance(error, ua.UaStatusCodeError):
            status = error.code
        self._refuse(status, "refused")


class ShutProtocol(OPCUAProtocol):
    """One TCP connection with everything bounded before it is believed (items 6, 7 and 10)."""

    application: Application

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make room by dropping the oldest connection without a session, else refuse."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if len(self.clients) >= self.application.connections_max:
            idle = next((each for each in self.clients if not each.processor.session_count), None)
            if idle is None:
                transport.abort()
                return
            self.clients.remove(idle)
            idle.transport.abort()
        self._pending = bytearray()
        self._paused = False
        self.processor = Channel(self.application, transport, self.policies)
        self.clients.append(self)
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._converse())
        self._watch = asyncio.get_running_loop().call_later(limits.UNAUTHENTICATED_S, self._look)

    def _look(self) -> None:
        if not self.processor.session_count:
            self.transport.abort()
        self._watch = asyncio.get_running_loop().call_later(limits.UNAUTHENTICATED_S, self._look)

    def connection_lost(self, ex: BaseException | None) -> None:
        """Forget the connection; sessions with subscriptions live on until they time out."""
        if self._task is None:
            return  # was refused at once
        self._task.cancel()
        self._watch.cancel()
        if self in self.clients:
            self.clients.remove(self)
        self.application.channel_closed(self.processor)

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames whose declared size is allowed."""
        if self._task is None or self.transport.is_closing():
            return
        self._pending += data
        while len(self._pending) >= 8:
            kind, _, size = _FRAME_HEADER.unpack_from(self._pending)
            if not 8 < size <= _SIZES.get(kind, 0) or (
                kind == b"MSG" and not self.processor.greeted
            ):
                self._drop(ua.UaStatusCodeError(ua.StatusCodes.BadTcpMessageTooLarge))
                return
            if len(self._pending) < size:
                break
            self.messages.put_nowait(bytes(self._pending[:size]))
            del self._pending[:size]
        if self.messages.qsize() > limits.PENDING_MESSAGES_MAX and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    async def _converse(self) -> None:
        try:
            while True:
                frame = Buffer(await self.messages.get())
                if self._paused and self.messages.qsize() <= limits.PENDING_MESSAGES_MAX // 2:
                    self._paused = False
                    self.transport.resume_reading()
                if not await self.processor.process(ua_binary.header_from_binary(frame), frame):
                    break
        except asyncio.CancelledError:
            raise
        except Exception as error:  # item 7: whatever a parser says, it is this connection's end
            self._drop(error)
        self.transport.close()

    def _drop(self, error: Exception) -> None:
        status = getattr(error, "status", type(error).__name__)
        self.application.refused(self.processor.source, str(error)[:200], status)
        self.processor.refuse(error)
        self.transport.close()


class ShutBinaryServer(BinaryServer):
    """asyncua's listener, making hardened connections."""

    application: Application

    def _make_protocol(self) -> OPCUAProtocol:
        protocol = ShutProtocol(
            self.iserver, self._policies, self.clients, self.closing_tasks, self.limits
        )
        protocol.application = self.application
        return protocol

    async def stop(self) -> None:
        """Close the listener and every connection."""
        for protocol in list(self.clients):
            protocol.transport.abort()
        await super().stop()


def decrypt_password(token: ua.UserNameIdentityToken, policy: Any, key: Any, nonce: bytes) -> str:
    """Return the password of a token made for this policy and this nonce (item 13)."""
    if token.EncryptionAlgorithm != policy.AsymmetricEncryptionURI:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadIdentityTokenInvalid)
    decrypt = policy.asymmetric_cryptography.Decryptor.decryptor
    size = key.key_size // 8
    try:
        blocks = [token.Password[at : at + size] for at in range(0, len(token.Password), size)]
        plain = b"".join(decrypt(key, block) for block in blocks[:4])
        (length,) = struct.unpack_from("<I", plain)
        secret, sent_nonce = (
            plain[4 : 4 + length - len(nonce)],
            plain[4 + length - len(nonce) : 4 + length],
        )
        if sent_nonce != nonce:
            raise ValueError("nonce")
        return secret.decode()
    except (ValueError, struct.error, uacrypto.InvalidSignature, TypeError) as error:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadIdentityTokenInvalid) from error


class _ChannelIds:
    """Channel numbers that do not tell how many there were."""

    @staticmethod
    def get_new_channel_id() -> int:
        """Return a new number."""
        return 1 + secrets.randbelow(0xFFFFFFFE)


def _body(message: ua.Message) -> BoundedBuffer:
    return BoundedBuffer(bytes(message.body()))


def _transport_limits() -> TransportLimits:
    return TransportLimits(
        max_recv_buffer=limits.FRAME_SIZE_MAX,
        max_send_buffer=limits.FRAME_SIZE_MAX,
        max_chunk_count=limits.CHUNKS_MAX,
        max_message_size=limits.MESSAGE_SIZE_MAX,
    )
