"""Sessions: who is logged in, over which channel, until when (OPC UA part 4, 5.6)."""

import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from asyncua import ua

from controller.gateway.opcua.limits import SESSION_TIMEOUT_S_MIN
from controller.gateway.opcua.summary import Summary
from controller.gateway.opcua.users import User
from controller.settings.opcua import OpcUaSettings


@dataclass(eq=False)
class Session:
    """One client's session; it outlives its channel until it times out."""

    name: str
    client_certificate: bytes
    application_uri: str
    source: str
    timeout_s: float
    seen_s: float
    channel: Any
    session_id: ua.NodeId = field(default_factory=lambda: ua.NodeId(uuid.uuid4(), 1))
    # Unguessable: whoever knows the token of a session owns it.
    token: ua.NodeId = field(default_factory=lambda: ua.NodeId(secrets.token_bytes(32), 0))
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user: User | None = None
    continuation_points: dict[bytes, Any] = field(default_factory=dict)
    publish_requests: list[Any] = field(default_factory=list)

    @property
    def is_activated(self) -> bool:
        """Whether a user has logged in."""
        return self.user is not None

    @property
    def is_alive(self) -> bool:
        """Whether somebody is at the other end."""
        return self.user is not None and bool(self.channel.is_open)


class Sessions:
    """All sessions, found by their token only."""

    def __init__(
        self, settings: OpcUaSettings, clock: Callable[[], float], summary: Summary
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._summary = summary
        self._by_token: dict[ua.NodeId, Session] = {}
        self.on_close: Callable[[Session, bool], None] = lambda session, delete: None

    def __len__(self) -> int:
        return len(self._by_token)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_token.values()))

    def create(self, channel: Any, params: ua.CreateSessionParameters, source: str) -> Session:
        """Create a session not yet activated; BadTooManySessions when everything is taken.

        Sessions that nobody logged in to, or whose channel is gone, give way, the oldest first.
        """
        if len(self._by_token) >= self._settings.sessions_max:
            self._make_room([each for each in self if not each.is_alive])
        asked_s = float(params.RequestedSessionTimeout or 0.0) / 1000.0
        longest_s = self._settings.session_timeout_s
        session = Session(
            name=(params.SessionName or "")[:128],
            client_certificate=params.ClientCertificate or b"",
            application_uri=(params.ClientDescription.ApplicationUri or "")[:512],
            source=source,
            timeout_s=min(max(asked_s, SESSION_TIMEOUT_S_MIN), longest_s)
            if asked_s > 0
            else longest_s,
            seen_s=self._clock(),
            channel=channel,
        )
        self._by_token[session.token] = session
        self._summary.add("CumulatedSessionCount")
        return session

    def find(self, token: ua.NodeId) -> Session | None:
        """Return the session of a token and note that it lives."""
        session = self._by_token.get(token)
        if session is not None:
            session.seen_s = self._clock()
        return session

    def check_room(self, session: Session, user: User) -> None:
        """Raise BadTooManySessions where a user has all the sessions he may have."""
        own = [
            each
            for each in self
            if each is not session and each.user is not None and each.user.name == user.name
        ]
        if len(own) >= self._settings.sessions_per_user_max:
            self._make_room([each for each in own if not each.is_alive])

    def _make_room(self, idle: list[Session]) -> None:
        if not idle:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadTooManySessions)
        self.abort(min(idle, key=lambda each: each.seen_s), delete_subscriptions=False)

    def abort(self, session: Session, delete_subscriptions: bool = True) -> None:
        """End a session that its client has not ended."""
        self._summary.add("SessionAbortCount")
        self.close(session, delete_subscriptions)

    def close(self, session: Session, delete_subscriptions: bool = True) -> None:
        """End a session."""
        if self._by_token.pop(session.token, None) is not None:
            session.channel.session_count -= session.is_activated
            self.on_close(session, delete_subscriptions)

    def sweep(self) -> list[Session]:
        """Close what has timed out and return it."""
        now_s = self._clock()
        late = [each for each in self if now_s - each.seen_s > each.timeout_s]
        for session in late:
            self._summary.add("SessionTimeoutCount")
            self.close(session, delete_subscriptions=False)
        return late
