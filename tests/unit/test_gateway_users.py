"""Users, passwords, lock-out and the trust list, without a server."""

import datetime
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from typer.testing import CliRunner

from controller.gateway.commands import trust_app, users_app
from controller.gateway.opcua.audit import ANYBODYS_LINES_A_MINUTE_MAX, AuditLog
from controller.gateway.opcua.certificates import (
    CertificateError,
    Identity,
    TrustList,
    application_uri,
    create_identity,
    own_identity,
    thumbprint,
)
from controller.gateway.opcua.lockout import (
    ACCOUNT_FAILURES_MAX,
    FORGET_S,
    LOCK_FIRST_S,
    LOCK_MAX_S,
    PAIR_FAILURES_MAX,
    SOURCE_FAILURES_MAX,
    Lockout,
)
from controller.gateway.opcua.users import FIRST_USER, Role, UsersError, UsersFile

PASSWORD = "a long password"
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def users(tmp_path: Path) -> UsersFile:
    return UsersFile(tmp_path / "users.yaml")


def test_the_first_start_makes_one_user_whose_password_is_told_once(users: UsersFile) -> None:
    password = users.create_first()
    assert password is not None
    assert len(password) >= 16
    assert users.create_first() is None
    first = users.verify(FIRST_USER, password)
    assert first is not None
    assert first.roles == frozenset(Role)
    assert password not in users.path.read_text()
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600


def test_the_first_password_expires(users: UsersFile, monkeypatch: pytest.MonkeyPatch) -> None:
    password = users.create_first()
    assert password is not None
    later = NOW.timestamp() + 25 * 3600
    monkeypatch.setattr("controller.gateway.opcua.users.time.time", lambda: later)
    assert users.verify(FIRST_USER, password) is None
    users.set_password(FIRST_USER, PASSWORD)
    assert users.verify(FIRST_USER, PASSWORD) is not None


def test_a_changed_file_counts_at_once(users: UsersFile) -> None:
    users.add("anna", PASSWORD, frozenset({Role.OPERATOR}))
    other = UsersFile(users.path)
    assert other.verify("anna", PASSWORD) is not None
    users.set_roles("anna", frozenset({Role.OBSERVER}))
    changed = other.verify("anna", PASSWORD)
    assert changed is not None
    assert changed.roles == {Role.OBSERVER}
    users.remove("anna")
    assert other.current("anna") is None


@pytest.mark.parametrize(
    ("name", "password"), [("", PASSWORD), (" x", PASSWORD), ("a\n", PASSWORD), ("b", "short")]
)
def test_unfit_names_and_passwords_are_refused(users: UsersFile, name: str, password: str) -> None:
    with pytest.raises(UsersError):
        users.add(name, password, frozenset({Role.OBSERVER}))


def test_guessing_is_locked_out_and_the_lock_grows() -> None:
    now = [0.0]
    lockout = Lockout(lambda: now[0])
    for _ in range(PAIR_FAILURES_MAX):
        assert not lockout.is_locked("anna", "10.0.0.1")
        lockout.failed("anna", "10.0.0.1")
    assert lockout.is_locked("anna", "10.0.0.1")
    assert not lockout.is_locked("anna", "10.0.0.2")
    assert not lockout.is_locked("bert", "10.0.0.1")
    now[0] += LOCK_FIRST_S + 1.0
    assert not lockout.is_locked("anna", "10.0.0.1")
    lockout.failed("anna", "10.0.0.1")
    now[0] += LOCK_FIRST_S + 1.0
    assert lockout.is_locked("anna", "10.0.0.1")
    now[0] += LOCK_MAX_S
    lockout.succeeded("anna", "10.0.0.1")
    assert not lockout.is_locked("anna", "10.0.0.1")


def test_failures_of_long_ago_are_forgotten() -> None:
    now = [0.0]
    lockout = Lockout(lambda: now[0])
    for _ in range(PAIR_FAILURES_MAX - 1):
        lockout.failed("anna", "10.0.0.1")
    now[0] += FORGET_S + 1.0
    lockout.failed("anna", "10.0.0.1")
    assert not lockout.is_locked("anna", "10.0.0.1")
    for _ in range(PAIR_FAILURES_MAX - 1):
        lockout.failed("anna", "10.0.0.1")
    assert lockout.is_locked("anna", "10.0.0.1")


def test_a_source_and_an_account_are_locked_too() -> None:
    lockout = Lockout(lambda: 0.0)
    for number in range(SOURCE_FAILURES_MAX):
        lockout.failed(f"user{number}", "10.0.0.1")
    assert lockout.is_locked("somebody", "10.0.0.1")
    lockout = Lockout(lambda: 0.0)
    for number in range(ACCOUNT_FAILURES_MAX):
        lockout.failed("anna", f"10.0.1.{number}")
    assert lockout.is_locked("anna", "10.0.0.9")


# -- certificates -----------------------------------------------------------------------------


def trusted(pki: Path, certificate: x509.Certificate, folder: str = "trusted/certs") -> None:
    path = pki / folder / f"{thumbprint(certificate)}.der"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(certificate.public_bytes(serialization.Encoding.DER))


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    own_identity(tmp_path / "pki", "urn:own", ["localhost", "127.0.0.1"])
    return tmp_path / "pki"


def test_the_own_certificate_is_made_once_with_uri_and_names(pki: Path) -> None:
    first = own_identity(pki, "urn:own", ["localhost", "127.0.0.1"])
    assert own_identity(pki, "urn:own", []).der == first.der
    assert application_uri(first.certificate) == "urn:own"
    names = first.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert stat.S_IMODE((pki / "own/key.pem").stat().st_mode) == 0o600


def status(trust: TrustList, blob: bytes, now: datetime.datetime = NOW) -> str:
    try:
        trust.check(blob, now)
    except CertificateError as error:
        return error.status
    return "Good"


def test_trust_is_given_and_taken_at_run_time(pki: Path) -> None:
    trust = TrustList(pki)
    client = create_identity("urn:client", ["localhost"])
    assert status(trust, client.der) == "BadCertificateUntrusted"
    rejected = pki / "rejected/certs" / f"{thumbprint(client.certificate)}.der"
    assert rejected.exists()
    trusted(pki, client.certificate)
    assert status(trust, client.der) == "Good"
    (pki / "trusted/certs" / f"{thumbprint(client.certificate)}.der").unlink()
    assert status(trust, client.der) == "BadCertificateUntrusted"


def test_an_expired_or_broken_certificate_is_refused(pki: Path) -> None:
    trust = TrustList(pki)
    client = create_identity("urn:client", [], days=10)
    trusted(pki, client.certificate)
    late = NOW + datetime.timedelta(days=11)
    assert status(trust, client.der, late) == "BadCertificateTimeInvalid"
    early = NOW - datetime.timedelta(days=1)
    assert status(trust, client.der, early) == "BadCertificateTimeInvalid"
    broken = bytearray(client.der)
    broken[-5] ^= 1  # its signature
    assert status(trust, bytes(broken)) != "Good"
    for blob in (b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", client.der[:-1], b"x" * 100):
        assert status(trust, blob) == "BadCertificateInvalid"


def authority() -> Identity:
    """A certificate authority of its own."""
    base = create_identity("urn:authority", [])
    builder = x509.CertificateBuilder(
        base.certificate.subject, base.certificate.subject, base.key.public_key(),
        x509.random_serial_number(), NOW - datetime.timedelta(days=1), NOW + datetime.timedelta(days=90),
    )  # fmt: skip
    usage = x509.KeyUsage(True, False, True, True, False, True, True, False, False)
    builder = builder.add_extension(x509.BasicConstraints(True, 1), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return Identity(builder.sign(base.key, hashes.SHA256()), base.key)


def issued(ca: Identity) -> x509.Certificate:
    """A client certificate that the authority signed."""
    client = create_identity("urn:client", [], name="issued")
    builder = x509.CertificateBuilder(
        ca.certificate.subject, client.certificate.subject, client.key.public_key(),
        x509.random_serial_number(), NOW - datetime.timedelta(days=1), NOW + datetime.timedelta(days=30),
    )  # fmt: skip
    for extension in client.certificate.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(ca.key, hashes.SHA256())


def revocations(ca: Identity, *revoked: x509.Certificate) -> bytes:
    """A revocation list."""
    builder = x509.CertificateRevocationListBuilder(
        ca.certificate.subject, NOW - datetime.timedelta(hours=1), NOW + datetime.timedelta(days=1)
    )
    for each in revoked:
        entry = x509.RevokedCertificateBuilder(
            each.serial_number, NOW - datetime.timedelta(hours=1)
        )
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(ca.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_chain_needs_its_issuer_and_its_revocation_list(pki: Path) -> None:
    trust = TrustList(pki)
    ca = authority()
    client = issued(ca)
    blob = client.public_bytes(serialization.Encoding.DER)
    assert status(trust, blob) == "BadCertificateChainIncomplete"
    trusted(pki, ca.certificate)
    assert status(trust, blob) == "BadCertificateRevocationUnknown"
    (pki / "trusted/crl/ca.crl").write_bytes(revocations(ca))
    assert status(trust, blob) == "Good"
    assert status(trust, blob + ca.der) == "Good"
    (pki / "trusted/crl/ca.crl").write_bytes(revocations(ca, client))
    assert status(trust, blob) == "BadCertificateRevoked"


def test_an_ordinary_certificate_cannot_issue_others(pki: Path) -> None:
    trust = TrustList(pki)
    no_ca = create_identity("urn:no-authority", [])
    trusted(pki, no_ca.certificate)
    client = issued(Identity(no_ca.certificate, no_ca.key))
    blob = client.public_bytes(serialization.Encoding.DER)
    assert status(trust, blob + no_ca.der) == "BadCertificateChainIncomplete"


# -- the command line -------------------------------------------------------------------------


def test_a_hostile_network_cannot_fill_the_disk_with_audit_lines(tmp_path: Path) -> None:
    now_s = [0.0]
    log = AuditLog(tmp_path / "audit.log", lambda: now_s[0])
    written = [log.write_limited("connection", source="192.0.2.1") for _ in range(1000)]
    assert written == [True] * ANYBODYS_LINES_A_MINUTE_MAX + [False] * 900
    log.write("login", user="somebody")  # what needs a certificate is never held back
    now_s[0] = 61.0
    assert log.write_limited("connection", source="192.0.2.1")
    log.close()
    rows = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert len(rows) == ANYBODYS_LINES_A_MINUTE_MAX + 3
    assert [row.get("count") for row in rows[-3:]] == [None, 900, None]


def test_an_integrators_day(tmp_path: Path) -> None:
    state = ["--state-dir", str(tmp_path)]
    runner = CliRunner()
    add = ["add", "mes", "--role", "MES", "--password", PASSWORD, *state]
    assert runner.invoke(users_app, add).exit_code == 0
    again = runner.invoke(users_app, add)
    assert again.exit_code == 2
    assert "exists already" in again.output
    wrong = runner.invoke(users_app, ["roles", "mes", "--role", "King", *state])
    assert "there are Observer" in wrong.output
    assert "MES" in runner.invoke(users_app, ["list", *state]).output
    own_identity(tmp_path / "pki", "urn:own", [])
    client = create_identity("urn:client", [])
    trust = TrustList(tmp_path / "pki")
    assert status(trust, client.der) == "BadCertificateUntrusted"
    start = thumbprint(client.certificate)[:8]
    assert runner.invoke(trust_app, ["accept", start, *state]).exit_code == 0
    assert status(trust, client.der) == "Good"
    assert "urn:client" in runner.invoke(trust_app, ["list", *state], env={"COLUMNS": "200"}).output
    assert runner.invoke(trust_app, ["remove", start, *state]).exit_code == 0
    assert status(trust, client.der) == "BadCertificateUntrusted"
    assert "certificate trusted" in (tmp_path / "audit.log").read_text()
