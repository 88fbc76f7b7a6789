"""The server's own certificate and the folders that say whose certificate it trusts.

Layout below the `pki` folder (as OPC UA part 12 names it): own/, trusted/certs, trusted/crl,
issuers/certs, issuers/crl, rejected/certs. Folders are read again whenever they change.
"""

import datetime
import ipaddress
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALIDITY_DAYS = 5 * 365
WARNING_DAYS = 30
REJECTED_MAX = 100
CHAIN_LENGTH_MAX = 4
CERTIFICATE_SIZE_MAX = 8192
FOLDERS = ("own", "trusted/certs", "trusted/crl", "issuers/certs", "issuers/crl", "rejected/certs")


class CertificateError(Exception):
    """A certificate is refused; `status` names the OPC UA status code."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Identity:
    """The server's own certificate and key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def der(self) -> bytes:
        """The certificate as sent to clients."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def days_left(self, now: datetime.datetime) -> float:
        """Return how many days the certificate is still valid."""
        return (self.certificate.not_valid_after_utc - now).total_seconds() / 86400.0


def thumbprint(certificate: x509.Certificate) -> str:
    """Return the SHA-1 thumbprint by which OPC UA tools name a certificate."""
    return certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303


def own_identity(pki: Path, application_uri: str, hosts: list[str]) -> Identity:
    """Load the server's identity, made at the first start (ApplicationUri, DNS and IP in its SAN)."""
    for folder in FOLDERS:
        (pki / folder).mkdir(parents=True, exist_ok=True)
    certificate_path, key_path = pki / "own/certificate.der", pki / "own/key.pem"
    if not certificate_path.exists() or not key_path.exists():
        _write_identity(create_identity(application_uri, hosts), certificate_path, key_path)
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return Identity(x509.load_der_x509_certificate(certificate_path.read_bytes()), key)


def create_identity(
    application_uri: str,
    hosts: list[str],
    *,
    name: str = "Foldline",
    days: float = VALIDITY_DAYS,
    start: datetime.datetime | None = None,
) -> Identity:
    """Create a self-signed application certificate (RSA 2048, SHA-256; OPC UA part 6, 6.2.2)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    begin = start or datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Foldline"),
        ]
    )
    names = [x509.UniformResourceIdentifier(application_uri), *map(_general_name, hosts)]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Identity(certificate, key)


class TrustList:
    """Decides whether a client's certificate may open a channel (OPC UA part 4, 6.1.3)."""

    def __init__(self, pki: Path) -> None:
        self.pki = pki
        self._stamps: dict[str, tuple[int, ...]] = {}
        self._certificates: dict[str, list[x509.Certificate]] = {}
        self._lists: dict[str, list[x509.CertificateRevocationList]] = {}

    def check(self, blob: bytes, now: datetime.datetime) -> x509.Certificate:
        """Return the client's certificate if it is trusted; CertificateError otherwise.

        blob: one DER certificate or a chain of them, the client's first.
        """
        chain = split_chain(blob)
        try:
            self._check(chain, now)
        except CertificateError:
            self._reject(chain[0])
            raise
        return chain[0]

    def _check(self, chain: list[x509.Certificate], now: datetime.datetime) -> None:
        leaf = chain[0]
        _check_use(leaf)
        path = self._path(leaf, chain[1:])
        trusted = {thumbprint(each) for each in self._load("trusted/certs")}
        if not any(thumbprint(each) in trusted for each in path):
            raise CertificateError("BadCertificateUntrusted", "not in the trust list")
        for each in path:
            if not each.not_valid_before_utc <= now <= each.not_valid_after_utc:
                raise CertificateError("BadCertificateTimeInvalid", f"expired: {each.subject}")
        for each, issuer in itertools.pairwise(path):
            self._check_revocation(each, issuer, now)

    def _path(self, leaf: x509.Certificate, sent: list[x509.Certificate]) -> list[x509.Certificate]:
        """Build the signature path from the leaf to a self-signed certificate."""
        known = [*self._load("trusted/certs"), *self._load("issuers/certs"), *sent]
        path = [leaf]
        while path[-1].issuer != path[-1].subject:
            issuer = next((each for each in known if _has_signed(each, path[-1])), None)
            if issuer is None or len(path) > CHAIN_LENGTH_MAX:
                raise CertificateError("BadCertificateChainIncomplete", "an issuer is missing")
            path.append(issuer)
        if not _verifies(path[-1], path[-1]):
            raise CertificateError("BadCertificateInvalid", "its signature is wrong")
        return path

    def _check_revocation(
        self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime.datetime
    ) -> None:
        lists = [
            each
            for folder in ("trusted/crl", "issuers/crl")
            for each in self._load_lists(folder)
            if each.issuer == issuer.subject and each.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
        ]
        if not lists:
            raise CertificateError("BadCertificateRevocationUnknown", f"no CRL of {issuer.subject}")
        for each in lists:
            if each.get_revoked_certificate_by_serial_number(certificate.serial_number):
                raise CertificateError("BadCertificateRevoked", "its issuer revoked it")
        if all(each.next_update_utc and each.next_update_utc < now for each in lists):
            raise CertificateError("BadCertificateRevocationUnknown", "the CRL is out of date")

    def _changed(self, folder: str) -> bool:
        # A file replaced in place changes no folder's stamp, so every file's is read.
        paths = sorted((self.pki / folder).glob("*"))
        stamp = tuple(
            value for path in paths for value in (path.stat().st_mtime_ns, path.stat().st_ino)
        )
        changed = self._stamps.get(folder) != stamp
        self._stamps[folder] = stamp
        return changed or not stamp

    def _load(self, folder: str) -> list[x509.Certificate]:
        if self._changed(folder) or folder not in self._certificates:
            self._certificates[folder] = [
                certificate
                for path in sorted((self.pki / folder).glob("*"))
                if (certificate := load_certificate(path)) is not None
            ]
        return self._certificates[folder]

    def _load_lists(self, folder: str) -> list[x509.CertificateRevocationList]:
        if self._changed(folder) or folder not in self._lists:
            self._lists[folder] = [
                each
                for path in sorted((self.pki / folder).glob("*"))
                if (each := _load_list(path)) is not None
            ]
        return self._lists[folder]

    def _reject(self, certificate: x509.Certificate) -> None:
        folder = self.pki / "rejected/certs"
        # Anybody can send a certificate: the folder must not grow without end.
        present = sorted(folder.glob("*.der"), key=lambda path: path.stat().st_mtime_ns)
        for path in present[: max(0, len(present) - REJECTED_MAX + 1)]:
            path.unlink(missing_ok=True)
        path = folder / f"{thumbprint(certificate)}.der"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.DER))


def split_chain(blob: bytes) -> list[x509.Certificate]:
    """Return the certificates of a concatenated DER chain; CertificateError if one is unreadable."""
    chain: list[x509.Certificate] = []
    while blob and len(chain) < CHAIN_LENGTH_MAX:
        size = _der_size(blob)
        try:
            chain.append(x509.load_der_x509_certificate(blob[:size]))
        except (ValueError, TypeError) as error:
            raise CertificateError("BadCertificateInvalid", "not a certificate") from error
        blob = blob[size:]
    if not chain:
        raise CertificateError("BadCertificateInvalid", "no certificate was sent")
    return chain


def application_uri(certificate: x509.Certificate) -> str | None:
    """Return the ApplicationUri of a certificate, its only URI."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if len(uris) == 1 else None


def load_certificate(path: Path) -> x509.Certificate | None:
    """Read a DER or PEM file; None if it is neither."""
    data = path.read_bytes()
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError:
        return None


def _load_list(path: Path) -> x509.CertificateRevocationList | None:
    data = path.read_bytes()
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_crl(data)
        return x509.load_der_x509_crl(data)
    except ValueError:
        return None


def _check_use(certificate: x509.Certificate) -> None:
    try:
        key = certificate.public_key()
        algorithm = certificate.signature_hash_algorithm
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise CertificateError("BadCertificateUseNotAllowed", "no key usage") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError("BadCertificateInvalid", "unreadable") from error
    if not isinstance(key, rsa.RSAPublicKey) or not 2048 <= key.key_size <= 4096:
        raise CertificateError("BadCertificatePolicyCheckFailed", "RSA of 2048 to 4096 bits")
    if not isinstance(algorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
        raise CertificateError("BadCertificatePolicyCheckFailed", "signed with a weak hash")
    if not (usage.digital_signature and usage.data_encipherment):
        raise CertificateError("BadCertificateUseNotAllowed", "its key usage lacks what is needed")


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.ca and _verifies(issuer, certificate)


def _verifies(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_identity(identity: Identity, certificate_path: Path, key_path: Path) -> None:
    pem = identity.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(pem)
    certificate_path.write_bytes(identity.der)


def _der_size(blob: bytes) -> int:
    """Return the length of the DER element that `blob` starts with."""
    if len(blob) < 4 or blob[0] != 0x30:
        raise CertificateError("BadCertificateInvalid", "not a certificate")
    if blob[1] < 0x80:
        return 2 + blob[1]
    count = blob[1] & 0x7F
    size = 2 + count + int.from_bytes(blob[2 : 2 + count], "big")
    if count > 3 or size > min(len(blob), CERTIFICATE_SIZE_MAX):
        raise CertificateError("BadCertificateInvalid", "not a certificate")
    return size
