"""Logging in: a session's user, checked off the event loop, with one answer for every failure."""

import asyncio
import time
from typing import Any

from asyncua import ua

from controller.gateway.opcua.audit import AuditLog
from controller.gateway.opcua.certificates import Identity
from controller.gateway.opcua.hardening import Channel, decrypt_password
from controller.gateway.opcua.lockout import Lockout
from controller.gateway.opcua.sessions import Session
from controller.gateway.opcua.users import User, UsersFile

LOGINS_AT_ONCE = 2  # argon2 takes memory and a core: guesses queue up instead
FAILURE_DELAY_S = 0.5


class Login:
    """Checks user names and passwords."""

    def __init__(self, users: UsersFile, identity: Identity, audit: AuditLog) -> None:
        self._users = users
        self._identity = identity
        self._audit = audit
        self.lockout = Lockout(time.monotonic)
        self.failure_delay_s = FAILURE_DELAY_S
        self._turn = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def authenticate(self, channel: Channel, session: Session, token: Any) -> User:
        """Return the user of an identity token.

        An unknown user, a wrong password and a locked account are the same BadUserAccessDenied.
        """
        if not isinstance(token, ua.UserNameIdentityToken) or not token.UserName:
            self._failed(session, None, "no user name token")
            raise ua.UaStatusCodeError(ua.StatusCodes.BadIdentityTokenRejected)
        policy = channel.connection.security_policy
        password = decrypt_password(token, policy, self._identity.key, session.nonce)
        user = None
        if not self.lockout.is_locked(token.UserName, channel.source):
            async with self._turn:
                user = await asyncio.to_thread(self._users.verify, token.UserName, password)
        if user is None:
            self.lockout.failed(token.UserName, channel.source)
            self._failed(session, token.UserName, "wrong, unknown or locked")
            await asyncio.sleep(self.failure_delay_s)
            raise ua.UaStatusCodeError(ua.StatusCodes.BadUserAccessDenied)
        self.lockout.succeeded(token.UserName, channel.source)
        self._audit.write("login", user=user.name, source=channel.source, status="Good")
        return user

    def refresh(self, user: User) -> User | None:
        """Return a user as the file has him now, None if he was removed."""
        return self._users.current(user.name)

    def _failed(self, session: Session, name: str | None, reason: str) -> None:
        self._audit.write("login", user=name, source=session.source, status="Bad", reason=reason)
