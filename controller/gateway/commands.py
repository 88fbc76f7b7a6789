"""`foldline users` and `foldline trust`: an integrator's everyday work on users and certificates."""

import datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from rich.console import Console
from rich.table import Table

from controller.gateway.opcua.audit import AuditLog
from controller.gateway.opcua.certificates import (
    FOLDERS,
    application_uri,
    load_certificate,
    thumbprint,
)
from controller.gateway.opcua.users import Role, UsersError, UsersFile, parse_roles

users_app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Users of the OPC UA server and their roles."
)
trust_app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Client certificates: trusted and rejected."
)

StateOption = Annotated[
    Path, typer.Option("--state-dir", help="Where users, certificates and records live.")
]
STATE = Path(".foldline")
EXIT_WRONG = 2
console = Console()
RoleNames = Annotated[
    list[str], typer.Option("--role", "-r", help=f"Repeat for several: {', '.join(Role)}.")
]
Password = Annotated[
    str,
    typer.Option(
        prompt=True, confirmation_prompt=True, hide_input=True, help="Asked for where left out."
    ),
]


def _users(state: Path) -> UsersFile:
    return UsersFile(state / "users.yaml")


def _fail(error: object) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(EXIT_WRONG)


def _audit(state: Path, action: str, target: str) -> None:
    log = AuditLog(state / "audit.log")
    log.write(action, target=target, source="command line", status="Good")
    log.close()


@users_app.command("list")
def list_users(state_dir: StateOption = STATE) -> None:
    """List users and their roles."""
    table = Table("user", "roles")
    for name, roles in sorted(_users(state_dir).names().items()):
        table.add_row(name, ", ".join(sorted(roles)))
    console.print(table)


@users_app.command("add")
def add_user(
    name: str, password: Password, role: RoleNames, state_dir: StateOption = STATE
) -> None:
    """Add a user with one or more roles."""
    try:
        _users(state_dir).add(name, password, parse_roles(role))
    except UsersError as error:
        raise _fail(error) from None
    _audit(state_dir, "user added", name)


@users_app.command("password")
def set_password(name: str, password: Password, state_dir: StateOption = STATE) -> None:
    """Give a user a new password."""
    try:
        _users(state_dir).set_password(name, password)
    except UsersError as error:
        raise _fail(error) from None
    _audit(state_dir, "password changed", name)


@users_app.command("roles")
def set_roles(name: str, role: RoleNames, state_dir: StateOption = STATE) -> None:
    """Give a user other roles."""
    try:
        _users(state_dir).set_roles(name, parse_roles(role))
    except UsersError as error:
        raise _fail(error) from None
    _audit(state_dir, "roles changed", name)


@users_app.command("remove")
def remove_user(name: str, state_dir: StateOption = STATE) -> None:
    """Remove a user; his sessions end with their next request."""
    try:
        _users(state_dir).remove(name)
    except UsersError as error:
        raise _fail(error) from None
    _audit(state_dir, "user removed", name)


@trust_app.command("list")
def list_certificates(state_dir: StateOption = STATE) -> None:
    """List own, trusted, issuers' and rejected certificates."""
    table = Table("where", "thumbprint", "subject", "application URI", "valid until")
    now = datetime.datetime.now(datetime.UTC)
    for folder in FOLDERS:
        for path in sorted((state_dir / "pki" / folder).glob("*")):
            certificate = load_certificate(path) if path.suffix != ".pem" else None
            if certificate is not None:
                table.add_row(folder.split("/")[0], *_row(certificate, now))
    console.print(table)


def _row(certificate: x509.Certificate, now: datetime.datetime) -> tuple[str, str, str, str]:
    until = certificate.not_valid_after_utc
    late = " (expired)" if until < now else ""
    return (
        thumbprint(certificate)[:16],
        certificate.subject.rfc4514_string(),
        application_uri(certificate) or "none",
        f"{until:%Y-%m-%d}{late}",
    )


@trust_app.command("add")
def add_certificate(
    certificate: Annotated[Path, typer.Argument(help="A DER or PEM file.")],
    issuer: Annotated[
        bool, typer.Option("--issuer", help="A CA that is not itself trusted.")
    ] = False,
    state_dir: StateOption = STATE,
) -> None:
    """Trust a certificate; the running gateway sees it at once."""
    loaded = load_certificate(certificate) if certificate.is_file() else None
    if loaded is None:
        raise _fail(f"{certificate}: not a readable certificate")
    _put(loaded, state_dir / "pki" / ("issuers/certs" if issuer else "trusted/certs"))
    _audit(state_dir, "certificate trusted", thumbprint(loaded))


@trust_app.command("accept")
def accept_rejected(
    start: Annotated[str, typer.Argument(help="The first digits of its thumbprint.")],
    state_dir: StateOption = STATE,
) -> None:
    """Trust a client that was rejected: compare the thumbprint with the client's first."""
    path = _only(state_dir / "pki/rejected/certs", start)
    loaded = load_certificate(path)
    if loaded is None:
        raise _fail(f"{path}: not a readable certificate")
    _put(loaded, state_dir / "pki/trusted/certs")
    path.unlink()
    _audit(state_dir, "certificate trusted", thumbprint(loaded))


@trust_app.command("remove")
def remove_certificate(start: str, state_dir: StateOption = STATE) -> None:
    """Trust a certificate no more; new channels are refused at once."""
    path = _only(state_dir / "pki/trusted/certs", start)
    path.unlink()
    _audit(state_dir, "certificate removed", path.stem)


@trust_app.command("crl")
def add_revocations(
    revocations: Annotated[Path, typer.Argument(help="A certificate revocation list, DER or PEM.")],
    state_dir: StateOption = STATE,
) -> None:
    """Put a CA's revocation list in place."""
    data = revocations.read_bytes()
    try:
        pem = b"-----BEGIN" in data
        loaded = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
    except ValueError:
        raise _fail(f"{revocations}: not a readable revocation list") from None
    folder = state_dir / "pki/trusted/crl"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{revocations.stem}.crl").write_bytes(
        loaded.public_bytes(serialization.Encoding.DER)
    )
    _audit(state_dir, "revocation list added", loaded.issuer.rfc4514_string())


def _put(certificate: x509.Certificate, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{thumbprint(certificate)}.der"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.DER))


def _only(folder: Path, start: str) -> Path:
    """Return the one certificate of a folder whose thumbprint starts so."""
    found = []
    for path in folder.glob("*"):
        certificate = load_certificate(path)
        if certificate is not None and thumbprint(certificate).startswith(start.lower()):
            found.append(path)
    if len(found) != 1:
        raise _fail(f"{len(found)} certificates in {folder} start with {start!r}; one is needed")
    return found[0]
