"""The OPC UA server: asyncua's address space and cryptography behind our own transport and services."""

import asyncio
import datetime
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import structlog
from asyncua import Server, ua
from asyncua.crypto.security_policies import (
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
    SecurityPolicyFactory,
    SecurityPolicyNone,
)
from cryptography.hazmat.primitives import serialization

from controller.gateway.opcua.attributes import Attributes
from controller.gateway.opcua.audit import AuditLog
from controller.gateway.opcua.browsing import Browsing
from controller.gateway.opcua.certificates import (
    WARNING_DAYS,
    TrustList,
    own_identity,
)
from controller.gateway.opcua.companions import load_companions
from controller.gateway.opcua.events import make_event
from controller.gateway.opcua.hardening import Channel, Request, ShutBinaryServer
from controller.gateway.opcua.history import HistoryService
from controller.gateway.opcua.login import Login
from controller.gateway.opcua.registry import Registry
from controller.gateway.opcua.services import Services
from controller.gateway.opcua.sessions import Session, Sessions
from controller.gateway.opcua.space import Space
from controller.gateway.opcua.subscriptions import Item, Subscriptions
from controller.gateway.opcua.summary import Summary
from controller.gateway.opcua.users import UsersFile
from controller.settings.opcua import OpcUaSettings

OWN_NAMESPACE = "urn:foldline:machine"
TRANSPORT = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
POLICIES = ((SecurityPolicyBasic256Sha256, 70), (SecurityPolicyAes256Sha256RsaPss, 80))
AUDIT_TYPES = {
    "login": ua.ObjectIds.AuditActivateSessionEventType,
    "logout": ua.ObjectIds.AuditSessionEventType,
    "connection": ua.ObjectIds.AuditChannelEventType,
    "write": ua.ObjectIds.AuditWriteUpdateEventType,
    "call": ua.ObjectIds.AuditUpdateMethodEventType,
}
AUDIT_SEVERITY = 200
SWEEP_S = 1.0
CERTIFICATE_CHECK_S = 3600.0
log = structlog.get_logger("opcua")


class GatewayServer:
    """One OPC UA server with everything it serves; `start` listens, `stop` ends every connection."""

    def __init__(
        self, settings: OpcUaSettings, machine_name: str, state: Path, version: str
    ) -> None:
        self.settings = settings
        self.version = version
        self.machine_name = machine_name
        self.application_uri = (
            f"urn:{socket.gethostname()}:foldline:{machine_name.replace(' ', '-')}"
        )
        self.connections_max = settings.sessions_max + 20
        self.audit = AuditLog(state / "audit.log")
        self.users = UsersFile(state / "users.yaml")
        self.first_password = self.users.create_first()
        self.identity = own_identity(state / "pki", self.application_uri, _own_names(settings.host))
        self.trust = TrustList(state / "pki")
        self.registry = Registry()
        self.summary = Summary()
        self.sessions = Sessions(settings, time.monotonic, self.summary)
        self.subscriptions = Subscriptions(self._watch, self.summary)
        self.sessions.on_close = self._session_closed
        self._certificate_check_s = 0.0
        self.listener: ShutBinaryServer | None = None
        self._handles: dict[Item, int] = {}

    async def init(self) -> None:
        """Load the standard and companion models; the instance is built on `space` afterwards."""
        self.server = Server()
        self.server._application_uri = self.application_uri  # noqa: SLF001 (set before init only)
        self.server.product_uri = "urn:foldline:product"
        self.server.manufacturer_name = "Foldline"
        self.server.name = f"Foldline {self.machine_name}"
        await self.server.init()
        iserver = self.server.iserver
        namespaces = await load_companions(self.server)
        own = await self.server.register_namespace(OWN_NAMESPACE)
        self.space = Space(iserver, namespaces, own)
        self.attributes = Attributes(iserver.aspace, self.registry, self.audit)
        self.browsing = Browsing(iserver.aspace)
        self.history = HistoryService(self.registry, self.browsing)
        self.login = Login(self.users, self.identity, self.audit)
        self.audit.on_write = self._tell_audit
        self.services = Services(
            self.settings,
            self.endpoints,
            self.sessions,
            self.login,
            self.attributes,
            self.browsing,
            self.subscriptions,
            self.history,
            self.summary,
        )

    async def start(self) -> None:
        """Listen."""
        host, port = self.settings.host, self.settings.port
        await self.server.set_build_info(
            "urn:foldline:product",
            "Foldline",
            "Foldline",
            self.version,
            "0",
            datetime.datetime.now(),
        )
        await self.server.iserver.start()
        listener = ShutBinaryServer(self.server.iserver, host, port, self.server.limits)
        listener.application = self
        key = self.identity.key
        listener.set_policies(
            [
                SecurityPolicyFactory(
                    policy, ua.MessageSecurityMode.SignAndEncrypt, self.identity.certificate, key
                )
                for policy, _ in POLICIES
            ]
        )
        await listener.start()
        self.listener, self.port = listener, listener.port
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        log.info("opcua server listens", host=host, port=self.port, uri=self.application_uri)

    async def stop(self) -> None:
        """End every connection and stop listening."""
        if self.listener is not None:
            self._sweeper.cancel()
            for session in self.sessions:
                self.sessions.close(session)
            await self.listener.stop()
            await self.server.iserver.stop()
        self.audit.close()

    # -- what the transport asks ----------------------------------------------------------------

    def check_certificate(self, blob: bytes, source: str) -> bytes:
        """Return the DER of a trusted client certificate; CertificateError otherwise."""
        certificate = self.trust.check(blob, datetime.datetime.now(datetime.UTC))
        return certificate.public_bytes(serialization.Encoding.DER)

    async def serve(self, channel: Channel, request: Request) -> Any:
        """Serve one request."""
        return await self.services.serve(channel, request)

    def channel_closed(self, channel: Channel) -> None:
        """A connection is gone: sessions nobody logged in to go with it, others may come back."""
        for session in self.sessions:
            if session.channel is channel and not session.is_activated:
                self.sessions.abort(session)

    def refused(self, source: str, reason: str, status: str) -> None:
        """Audit a refused connection."""
        if self.audit.write_limited("connection", source=source, status=status, reason=reason):
            log.warning("connection refused", source=source, status=status)

    # -- housekeeping ---------------------------------------------------------------------------

    def _watch(self, item: Item, on: bool) -> None:
        if item.is_event:
            return
        space = self.server.iserver.aspace
        if on:
            _, self._handles[item] = space.add_datachange_callback(
                item.node_id, item.attribute, item
            )
        else:
            space.delete_datachange_callback(self._handles.pop(item))

    def _session_closed(self, session: Session, delete: bool) -> None:
        self.subscriptions.close_session(session, delete)
        if session.user is not None:
            self.audit.write("logout", user=session.user.name, source=session.source)

    def _tell_audit(self, row: dict[str, Any]) -> None:
        """The audit log's lines as events, for security administrators (part 5, 6.4.3)."""
        server = ua.NodeId(ua.ObjectIds.Server)
        now = datetime.datetime.now(datetime.UTC)
        text = {
            key: ua.Variant(row.get(key) or "", ua.VariantType.String) for key in ("user", "source")
        }
        event = make_event(
            ua.NodeId(AUDIT_TYPES.get(row["action"], ua.ObjectIds.AuditSecurityEventType)),
            (server,),
            server,
            str(row["action"]),
            ", ".join(
                f"{key} {value}" for key, value in row.items() if key not in ("time", "action")
            ),
            AUDIT_SEVERITY,
            now,
            {
                ("ActionTimeStamp",): ua.Variant(now, ua.VariantType.DateTime),
                ("Status",): ua.Variant(row.get("status") == "Good", ua.VariantType.Boolean),
                ("ServerId",): ua.Variant(self.application_uri, ua.VariantType.String),
                ("ClientAuditEntryId",): text["source"],
                ("ClientUserId",): text["user"],
            },
        )
        event.audit = True
        self.subscriptions.tell(event)

    async def _sweep(self) -> None:
        while True:
            self.sessions.sweep()
            if time.monotonic() >= self._certificate_check_s:
                self._certificate_check_s = time.monotonic() + CERTIFICATE_CHECK_S
                self._warn_of_expiry()
            await asyncio.sleep(SWEEP_S)

    def _warn_of_expiry(self) -> None:
        days = self.identity.days_left(datetime.datetime.now(datetime.UTC))
        if days < WARNING_DAYS:
            log.warning("own certificate expires", days=round(days, 1))
            self.audit.write("certificate", status="expires", days=round(days, 1))

    # -- endpoints ------------------------------------------------------------------------------

    def endpoints(self, url: str) -> list[ua.EndpointDescription]:
        """Return what may be connected to: SignAndEncrypt with a user name, nothing else."""
        address = f"opc.tcp://{self._host_for(url)}:{self.port}/"
        return [self._endpoint(policy, level, address) for policy, level in POLICIES]

    def _host_for(self, url: str) -> str:
        host = self.settings.host
        if host not in ("0.0.0.0", "::"):  # noqa: S104
            return host
        try:
            return urlparse(url).hostname or socket.gethostname()
        except ValueError:
            return socket.gethostname()

    def _endpoint(self, policy: Any, level: int, address: str) -> ua.EndpointDescription:
        token = ua.UserTokenPolicy()
        token.PolicyId = "username"
        token.TokenType = ua.UserTokenType.UserName
        token.SecurityPolicyUri = policy.URI
        server = ua.ApplicationDescription()
        server.ApplicationName = ua.LocalizedText(f"Foldline {self.machine_name}")
        server.ApplicationUri = self.application_uri
        server.ApplicationType = ua.ApplicationType.Server
        server.ProductUri = "urn:foldline:product"
        server.DiscoveryUrls = [address]
        endpoint = ua.EndpointDescription()
        endpoint.EndpointUrl = address
        endpoint.Server = server
        endpoint.ServerCertificate = self.identity.der
        endpoint.SecurityMode = ua.MessageSecurityMode.SignAndEncrypt
        endpoint.SecurityPolicyUri = policy.URI
        endpoint.UserIdentityTokens = [token]
        endpoint.TransportProfileUri = TRANSPORT
        endpoint.SecurityLevel = level
        return endpoint


def _own_names(host: str) -> list[str]:
    names = ["localhost", socket.gethostname(), "127.0.0.1"]
    if host not in ("0.0.0.0", "::", *names):  # noqa: S104
        names.append(host)
    return names


assert SecurityPolicyNone.URI not in [policy.URI for policy, _ in POLICIES]
