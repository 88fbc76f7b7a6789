"""Session requests by hand, for a client that speaks the protocol itself."""

import struct
from typing import Any

from asyncua import ua

from controller.gateway.opcua.certificates import Identity
from tests.wire.raw_channel import RawChannel


def session_request(identity: Identity, uri: str, url: str = "") -> Any:
    """The request for a session; `identity` is the client's."""
    request = ua.CreateSessionRequest()
    parameters = request.Parameters
    parameters.ClientDescription.ApplicationUri = uri
    parameters.ClientCertificate = identity.der
    parameters.ClientNonce = b"n" * 32
    parameters.EndpointUrl = url
    parameters.RequestedSessionTimeout = 60_000.0
    return request


def activation(channel: RawChannel, created: Any, server: bytes, user: str, password: str) -> Any:
    """The request that activates a created session; `server` is the server's certificate."""
    policy = channel.connection.security_policy
    nonce = created.Parameters.ServerNonce
    request = ua.ActivateSessionRequest()
    signature = policy.asymmetric_cryptography.signature(server + nonce)
    request.Parameters.ClientSignature.Signature = signature
    request.Parameters.ClientSignature.Algorithm = policy.AsymmetricSignatureURI
    token = ua.UserNameIdentityToken()
    token.PolicyId, token.UserName = "username", user
    token.EncryptionAlgorithm = policy.AsymmetricEncryptionURI
    secret = password.encode()
    plain = struct.pack("<I", len(secret) + len(nonce)) + secret + nonce
    token.Password = policy.asymmetric_cryptography.Encryptor.encrypt(plain)
    request.Parameters.UserIdentityToken = token
    return request
