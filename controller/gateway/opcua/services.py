"""The service table: each request type, what decodes it and what serves it.

What is not in the table is answered BadServiceUnsupported: AddNodes, DeleteNodes, AddReferences,
DeleteReferences, RegisterServer, Query and HistoryUpdate among them.
"""

import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import uacrypto
from asyncua.ua.ua_binary import struct_from_binary

from controller.gateway.opcua import limits, samples
from controller.gateway.opcua.attributes import Attributes
from controller.gateway.opcua.browsing import Browsing
from controller.gateway.opcua.certificates import application_uri, split_chain
from controller.gateway.opcua.hardening import Channel, Request
from controller.gateway.opcua.item_service import ItemService
from controller.gateway.opcua.login import Login
from controller.gateway.opcua.sessions import Session, Sessions
from controller.gateway.opcua.subscriptions import PublishRequest, Subscriptions
from controller.gateway.opcua.summary import Summary
from controller.settings.opcua import OpcUaSettings

Status = ua.StatusCodes
Ids = ua.ObjectIds
Handler = Callable[[Channel, Any, Any, Request], Awaitable[Any]]


class Services:
    """Serves requests; sessions are found by their token, and only on their own channel."""

    def __init__(
        self,
        settings: OpcUaSettings,
        endpoints: Callable[[str], list[ua.EndpointDescription]],
        sessions: Sessions,
        login: Login,
        attributes: Attributes,
        browsing: Browsing,
        subscriptions: Subscriptions,
        history: Any,
        summary: Summary,
    ) -> None:
        self.settings = settings
        self.endpoints = endpoints
        self.sessions = sessions
        self.login = login
        self.attributes = attributes
        self.browsing = browsing
        self.subscriptions = subscriptions
        self.history = history
        self.summary = summary
        items = ItemService(settings, attributes, browsing, subscriptions)
        # Request type: (parameters, handler), in the order of what a client must have before it may ask.
        self._open: dict[int, tuple[Any, Handler]] = {
            Ids.GetEndpointsRequest_Encoding_DefaultBinary: (
                ua.GetEndpointsParameters, self._get_endpoints),
            Ids.FindServersRequest_Encoding_DefaultBinary: (
                ua.FindServersParameters, self._find_servers),
        }  # fmt: skip
        self._joining: dict[int, tuple[Any, Handler]] = {
            Ids.CreateSessionRequest_Encoding_DefaultBinary: (
                ua.CreateSessionParameters, self._create_session),
            Ids.ActivateSessionRequest_Encoding_DefaultBinary: (
                ua.ActivateSessionParameters, self._activate_session),
        }  # fmt: skip
        self._table = self._of_session(items)

    def _of_session(self, items: ItemService) -> dict[int, tuple[Any, Handler]]:
        """What an activated session may ask for."""
        return {
            Ids.CloseSessionRequest_Encoding_DefaultBinary: (None, self._close_session),
            Ids.ReadRequest_Encoding_DefaultBinary: (ua.ReadParameters, self._read),
            Ids.WriteRequest_Encoding_DefaultBinary: (ua.WriteParameters, self._write),
            Ids.CallRequest_Encoding_DefaultBinary: (ua.CallParameters, self._call),
            Ids.BrowseRequest_Encoding_DefaultBinary: (ua.BrowseParameters, self._browse),
            Ids.BrowseNextRequest_Encoding_DefaultBinary: (
                ua.BrowseNextParameters, self._browse_next),
            Ids.TranslateBrowsePathsToNodeIdsRequest_Encoding_DefaultBinary: (
                ua.TranslateBrowsePathsToNodeIdsParameters, self._translate),
            Ids.RegisterNodesRequest_Encoding_DefaultBinary: (
                ua.RegisterNodesParameters, self._register_nodes),
            Ids.UnregisterNodesRequest_Encoding_DefaultBinary: (
                ua.UnregisterNodesParameters, self._unregister_nodes),
            Ids.HistoryReadRequest_Encoding_DefaultBinary: (
                ua.HistoryReadParameters, self._history_read),
            Ids.CreateSubscriptionRequest_Encoding_DefaultBinary: (
                ua.CreateSubscriptionParameters, items.create_subscription),
            Ids.ModifySubscriptionRequest_Encoding_DefaultBinary: (
                ua.ModifySubscriptionParameters, items.modify_subscription),
            Ids.SetPublishingModeRequest_Encoding_DefaultBinary: (
                ua.SetPublishingModeParameters, items.set_publishing_mode),
            Ids.DeleteSubscriptionsRequest_Encoding_DefaultBinary: (
                ua.DeleteSubscriptionsParameters, items.delete_subscriptions),
            Ids.TransferSubscriptionsRequest_Encoding_DefaultBinary: (
                ua.TransferSubscriptionsParameters, items.transfer_subscriptions),
            Ids.CreateMonitoredItemsRequest_Encoding_DefaultBinary: (
                ua.CreateMonitoredItemsParameters, items.create_items),
            Ids.ModifyMonitoredItemsRequest_Encoding_DefaultBinary: (
                ua.ModifyMonitoredItemsParameters, items.modify_items),
            Ids.SetMonitoringModeRequest_Encoding_DefaultBinary: (
                ua.SetMonitoringModeParameters, items.set_monitoring_mode),
            Ids.SetTriggeringRequest_Encoding_DefaultBinary: (
                ua.SetTriggeringParameters, items.set_triggering),
            Ids.DeleteMonitoredItemsRequest_Encoding_DefaultBinary: (
                ua.DeleteMonitoredItemsParameters, items.delete_items),
            Ids.PublishRequest_Encoding_DefaultBinary: (ua.PublishParameters, self._publish),
            Ids.RepublishRequest_Encoding_DefaultBinary: (
                ua.RepublishParameters, self._republish),
        }  # fmt: skip

    async def serve(self, channel: Channel, request: Request) -> Any:
        """Return the response to a request, None when it is answered later."""
        kind = request.type_id.Identifier if request.type_id.NamespaceIndex == 0 else -1
        try:
            return await self._serve(channel, request, kind)
        except ua.UaStatusCodeError as error:
            self.summary.refused(int(error.code), kind in self._joining)
            raise

    async def _serve(self, channel: Channel, request: Request, kind: int) -> Any:
        session: Session | None = None
        entry = self._open.get(kind)
        if entry is None:
            if not channel.connection.is_secure:
                raise ua.UaStatusCodeError(Status.BadSecurityPolicyRejected)
            if (entry := self._joining.get(kind)) is None:
                session = self._session_of(channel, request, kind)
                entry = self._table.get(kind)
        if entry is None:
            raise ua.UaStatusCodeError(Status.BadServiceUnsupported)
        parameters_type, handler = entry
        parameters = _decoded(parameters_type, request, session)
        try:
            return await handler(channel, session, parameters, request)
        except ServiceError as error:
            raise ua.UaStatusCodeError(error.code) from error

    def _session_of(self, channel: Channel, request: Request, kind: int) -> Session:
        session = self.sessions.find(request.header.AuthenticationToken)
        if session is None or session.channel is not channel:
            raise ua.UaStatusCodeError(Status.BadSessionIdInvalid)
        if session.user is None:
            self.sessions.abort(session)
            raise ua.UaStatusCodeError(Status.BadSessionNotActivated)
        user = self.login.refresh(session.user)
        if user is None:  # removed since he logged in
            self.sessions.abort(session)
            raise ua.UaStatusCodeError(Status.BadSessionClosed)
        session.user = user
        return session

    # -- discovery ------------------------------------------------------------------------------

    async def _get_endpoints(self, channel: Any, session: Any, sent: Any, request: Any) -> Any:
        response = ua.GetEndpointsResponse()
        response.Endpoints = self.endpoints(sent.EndpointUrl or "")
        return response

    async def _find_servers(self, channel: Any, session: Any, sent: Any, request: Any) -> Any:
        response = ua.FindServersResponse()
        server = self.endpoints(sent.EndpointUrl or "")[0].Server
        wanted = sent.ServerUris or []
        response.Servers = [server] if not wanted or server.ApplicationUri in wanted else []
        return response

    # -- sessions -------------------------------------------------------------------------------

    async def _create_session(self, channel: Channel, _: Any, sent: Any, request: Any) -> Any:
        policy = channel.connection.security_policy
        certificate = split_chain(sent.ClientCertificate or b"")[0]
        if not (sent.ClientCertificate or b"").startswith(policy.peer_certificate):
            raise ua.UaStatusCodeError(Status.BadCertificateInvalid)
        if application_uri(certificate) != sent.ClientDescription.ApplicationUri:
            raise ua.UaStatusCodeError(Status.BadCertificateUriInvalid)
        if not 32 <= len(sent.ClientNonce or b"") <= 128:
            raise ua.UaStatusCodeError(Status.BadNonceInvalid)
        session = self.sessions.create(channel, sent, channel.source)
        session.client_certificate = policy.peer_certificate
        result = ua.CreateSessionResult()
        result.SessionId = session.session_id
        result.AuthenticationToken = session.token
        result.RevisedSessionTimeout = session.timeout_s * 1000.0
        result.MaxRequestMessageSize = limits.MESSAGE_SIZE_MAX
        result.ServerNonce = session.nonce
        result.ServerCertificate = policy.host_certificate
        result.ServerEndpoints = self.endpoints(sent.EndpointUrl or "")
        signed = sent.ClientCertificate + sent.ClientNonce
        result.ServerSignature.Signature = policy.asymmetric_cryptography.signature(signed)
        result.ServerSignature.Algorithm = policy.AsymmetricSignatureURI
        response = ua.CreateSessionResponse()
        response.Parameters = result
        return response

    async def _activate_session(self, channel: Channel, _: Any, sent: Any, request: Any) -> Any:
        session = self.sessions.find(request.header.AuthenticationToken)
        policy = channel.connection.security_policy
        if session is None:
            raise ua.UaStatusCodeError(Status.BadSessionIdInvalid)
        if not hmac.compare_digest(session.client_certificate, policy.peer_certificate):
            raise ua.UaStatusCodeError(Status.BadSecurityChecksFailed)
        if session.channel is not channel and session.user is None:
            raise ua.UaStatusCodeError(Status.BadSecureChannelIdInvalid)
        try:
            signed = policy.host_certificate + session.nonce
            policy.asymmetric_cryptography.verify(signed, sent.ClientSignature.Signature)
        except (uacrypto.InvalidSignature, TypeError) as error:
            raise ua.UaStatusCodeError(Status.BadApplicationSignatureInvalid) from error
        user = await self.login.authenticate(channel, session, sent.UserIdentityToken)
        if session.user is not None and session.user.name != user.name:
            # Another user on a living session could inherit what he may not see.
            raise ua.UaStatusCodeError(Status.BadIdentityChangeNotSupported)
        self.sessions.check_room(session, user)
        self._bind(session, channel)
        session.user = user
        session.nonce = secrets.token_bytes(32)
        response = ua.ActivateSessionResponse()
        response.Parameters.ServerNonce = session.nonce
        return response

    def _bind(self, session: Session, channel: Channel) -> None:
        if session.channel is not channel or session.user is None:
            if session.user is not None:
                session.channel.session_count -= 1
            session.channel = channel
            session.publish_requests.clear()
            channel.session_count += 1

    async def _close_session(self, channel: Any, session: Session, sent: Any, request: Any) -> Any:
        delete = bool(request.body.read(1)[0])
        self.sessions.close(session, delete)
        return ua.CloseSessionResponse()

    # -- attributes, methods, view --------------------------------------------------------------

    async def _read(self, channel: Any, session: Session, sent: Any, request: Any) -> Any:
        _check_count(sent.NodesToRead)
        if sent.MaxAge < 0:
            raise ua.UaStatusCodeError(Status.BadMaxAgeInvalid)
        check_timestamps(sent.TimestampsToReturn)
        response = ua.ReadResponse()
        response.Results = [
            self.attributes.read(session, item, sent.TimestampsToReturn)
            for item in sent.NodesToRead
        ]
        return response

    async def _write(self, channel: Any, session: Session, sent: Any, request: Any) -> Any:
        _check_count(sent.NodesToWrite)
        response = ua.WriteResponse()
        response.Results = [self.attributes.write(session, item) for item in sent.NodesToWrite]
        return response

    async def _call(self, channel: Any, session: Session, sent: Any, request: Any) -> Any:
        _check_count(sent.MethodsToCall, limits.METHODS_MAX)
        response = ua.CallResponse()
        response.Results = [
            await self.attributes.call(session, each) for each in sent.MethodsToCall
        ]
        return response

    async def _browse(self, channel: Any, session: Session, sent: Any, request: Any) -> Any:
        _check_count(sent.NodesToBrowse)
        if sent.View is not None and not sent.View.ViewId.is_null():
            raise ua.UaStatusCodeError(Status.BadViewIdUnknown)
        size = int(sent.RequestedMaxReferencesPerNode)
        response = ua.BrowseResponse()
        response.Results = [
            self.browsing.browse(session, each, size) for each in sent.NodesToBrowse
        ]
        return response

    async def _browse_next(self, channel: Any, session: Session, sent: Any, request: Any) -> Any:
        _check_count(sent.ContinuationPoints)
        release = bool(sent.ReleaseContinuationPoints)
        response = ua.BrowseNextResponse()
        response.Parameters.Results = [
            self.browsing.browse_next(session, point, release) for point in sent.ContinuationPoints
        ]
        return response

    async def _translate(self, channel: Any, session: Session, sent: Any, request: Any) -> Any:
        _check_count(sent.BrowsePaths)
        response = ua.TranslateBrowsePathsToNodeIdsResponse()
        response.Results = [self.browsing.translate(path) for path in sent.BrowsePaths]
        return response

    async def _register_nodes(self, channel: Any, session: Any, sent: Any, request: Any) -> Any:
        _check_count(sent.NodesToRegister)
        response = ua.RegisterNodesResponse()
        response.Parameters.RegisteredNodeIds = sent.NodesToRegister
        return response

    async def _unregister_nodes(self, channel: Any, session: Any, sent: Any, request: Any) -> Any:
        return ua.UnregisterNodesResponse()

    async def _history_read(self, channel: Any, session: Session, sent: Any, request: Any) -> Any:
        _check_count(sent.NodesToRead, limits.CONTINUATION_POINTS_MAX * 20)
        check_timestamps(sent.TimestampsToReturn)
        response = ua.HistoryReadResponse()
        response.Results = await self.history.read(session, sent)
        return response

    # -- publishing -----------------------------------------------------------------------------

    async def _publish(
        self, channel: Channel, session: Session, sent: Any, request: Request
    ) -> None:
        if not self.subscriptions.of(session):
            raise ua.UaStatusCodeError(Status.BadNoSubscription)
        hint_s = request.header.TimeoutHint / 1000.0
        results = [
            self._acknowledge(session, each) for each in sent.SubscriptionAcknowledgements or []
        ]
        waiting = PublishRequest(
            channel=channel,
            request_id=request.request_id,
            handle=request.header.RequestHandle,
            results=results,
            expires_s=time.monotonic() + hint_s if hint_s > 0 else float("inf"),
        )
        self.subscriptions.request(session, waiting)

    def _acknowledge(self, session: Session, sent: Any) -> int:
        try:
            subscription = self.subscriptions.find(session, sent.SubscriptionId)
        except ua.UaStatusCodeError as error:
            return int(error.code)
        if subscription.unacknowledged.pop(sent.SequenceNumber, None) is None:
            return int(Status.BadSequenceNumberUnknown)
        return 0

    async def _republish(
        self, channel: Channel, session: Session, sent: Any, request: Request
    ) -> None:
        subscription = self.subscriptions.find(session, sent.SubscriptionId)
        message = subscription.unacknowledged.get(sent.RetransmitSequenceNumber)
        if message is None:
            raise ua.UaStatusCodeError(Status.BadMessageNotAvailable)
        handle = request.header.RequestHandle
        data = samples.republish_response(handle, request.header.Timestamp, message)
        channel.respond_encoded(request.request_id, data, handle=handle)


def _decoded(parameters_type: Any, request: Request, session: Session | None) -> Any:
    """Decode a request's parameters; a user is told what is wrong, a stranger's connection ends."""
    if parameters_type is None:
        return None
    try:
        return struct_from_binary(parameters_type, request.body)
    except Exception as error:
        if session is None:
            raise
        raise ua.UaStatusCodeError(Status.BadDecodingError) from error


def _check_count(operations: Any, count_max: int = limits.OPERATIONS_MAX) -> None:
    if not operations:
        raise ua.UaStatusCodeError(Status.BadNothingToDo)
    if len(operations) > count_max:
        raise ua.UaStatusCodeError(Status.BadTooManyOperations)


def check_timestamps(wanted: Any) -> None:
    """Raise BadTimestampsToReturnInvalid for anything but the four choices."""
    if wanted not in (0, 1, 2, 3):
        raise ua.UaStatusCodeError(Status.BadTimestampsToReturnInvalid)
