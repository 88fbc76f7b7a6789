"""Who may enter, and as what: users and their roles in a file with argon2 hashes."""

import os
import secrets
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import argon2
import yaml

Row = dict[str, Any]
FIRST_USER = "admin"
FIRST_PASSWORD_LIFETIME_S = 24 * 3600.0
PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX = 10, 256


class Role(StrEnum):
    """The roles of OPC UA part 18 as far as the machine knows them, and the plant's MES."""

    OBSERVER = "Observer"
    OPERATOR = "Operator"
    SUPERVISOR = "Supervisor"
    MAINTENANCE = "Maintenance"
    MES = "MES"
    SECURITY_ADMIN = "SecurityAdmin"


@dataclass(frozen=True)
class User:
    """Somebody whose password was right."""

    name: str
    roles: frozenset[Role]


class UsersError(ValueError):
    """The users file or a change to it is not acceptable; the message says why."""


# 19 MiB and two passes (OWASP's second choice): several log-ins at once stay small in memory.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))


class UsersFile:
    """The users of one machine, read again whenever the file changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._users: dict[str, Row] = {}
        self._stamp: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def names(self) -> dict[str, frozenset[Role]]:
        """Return every user's roles."""
        return {name: _roles(name, row) for name, row in self._load().items()}

    def verify(self, name: str, password: str) -> User | None:
        """Return the user if name and password fit; costs the same whoever asks (blocking)."""
        row = self._load().get(name)
        try:
            _HASHER.verify(row["password"] if row else _NOBODY, password[:PASSWORD_LENGTH_MAX])
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return None
        if row is None or time.time() > row.get("expires_s", float("inf")):
            return None
        return User(name, _roles(name, row))

    def current(self, name: str) -> User | None:
        """Return a user as the file has him now: a removed user's session must not live on."""
        row = self._load().get(name)
        return User(name, _roles(name, row)) if row else None

    def create_first(self) -> str | None:
        """Create the first user with every role if there is no file; return his password once."""
        if self.path.exists():
            return None
        password = secrets.token_urlsafe(12)
        row = self._row(password, frozenset(Role))
        row["expires_s"] = time.time() + FIRST_PASSWORD_LIFETIME_S
        self._save({FIRST_USER: row})
        return password

    def add(self, name: str, password: str, roles: frozenset[Role]) -> None:
        """Add a user; UsersError if the name is taken or unfit."""
        users = dict(self._load())
        if name in users:
            raise UsersError(f"user {name!r} exists already")
        if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
            raise UsersError(f"user name {name!r}: 1 to 64 printable characters")
        users[name] = self._row(password, roles)
        self._save(users)

    def set_password(self, name: str, password: str) -> None:
        """Give a user a new password that does not expire."""
        users = dict(self._known(name))
        users[name] = self._row(password, _roles(name, users[name]))
        self._save(users)

    def set_roles(self, name: str, roles: frozenset[Role]) -> None:
        """Give a user other roles."""
        users = dict(self._known(name))
        users[name] = {**users[name], "roles": sorted(map(str, roles))}
        self._save(users)

    def remove(self, name: str) -> None:
        """Remove a user."""
        users = dict(self._known(name))
        del users[name]
        self._save(users)

    def _known(self, name: str) -> dict[str, Row]:
        users = self._load()
        if name not in users:
            raise UsersError(f"user {name!r} is unknown; there are {', '.join(users) or 'none'}")
        return users

    def _row(self, password: str, roles: frozenset[Role]) -> Row:
        if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
            raise UsersError(
                f"password of {len(password)} characters: "
                f"{PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} are needed"
            )
        return {"roles": sorted(map(str, roles)), "password": _HASHER.hash(password)}

    def _load(self) -> dict[str, Row]:
        with self._lock:
            try:
                status = self.path.stat()
            except FileNotFoundError:
                return {}
            if (stamp := (status.st_mtime_ns, status.st_ino)) != self._stamp:
                self._users = _parse(self.path)
                self._stamp = stamp
            return self._users

    def _save(self, users: dict[str, Row]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            yaml.safe_dump({"users": users}, stream, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.path)


def parse_roles(names: list[str]) -> frozenset[Role]:
    """Return the roles of these names; UsersError names an unknown one and those there are."""
    known = {role.value.lower(): role for role in Role}
    for name in names:
        if name.lower() not in known:
            raise UsersError(f"role {name!r} is unknown; there are {', '.join(Role)}")
    return frozenset(known[name.lower()] for name in names)


def _roles(name: str, row: Row) -> frozenset[Role]:
    return parse_roles([str(role) for role in row.get("roles", [])])


def _parse(path: Path) -> dict[str, Row]:
    content = yaml.safe_load(path.read_text()) or {}
    users = content.get("users") if isinstance(content, dict) else None
    if not isinstance(users, dict):
        raise UsersError(f"{path}: a mapping `users:` is expected")
    for name, row in users.items():
        if not isinstance(row, dict) or not isinstance(row.get("password"), str):
            raise UsersError(f"{path}: users.{name}: roles and password are expected")
        _roles(name, row)
    return users
