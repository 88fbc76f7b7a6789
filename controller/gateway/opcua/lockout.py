"""Guessing passwords must be slow: delays and lock-outs by account and by source."""

from collections.abc import Callable
from dataclasses import dataclass

PAIR_FAILURES_MAX = 5
SOURCE_FAILURES_MAX = 20
ACCOUNT_FAILURES_MAX = 50
LOCK_FIRST_S, LOCK_MAX_S = 30.0, 900.0
FORGET_S = 3600.0  # longer than any lock
ENTRIES_MAX = 4096


@dataclass
class _Entry:
    failures: int = 0
    last_s: float = 0.0
    locked_until_s: float = 0.0


class Lockout:
    """Counts failed log-ins.

    An account at one source is locked soon, a source later and an account everywhere last, so that
    nobody can lock a colleague out from his own place.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[tuple[str, ...], _Entry] = {}

    def is_locked(self, account: str, source: str) -> bool:
        """Tell whether this log-in is refused unseen."""
        now_s = self._clock()
        keys = _limits(account, source)
        return any(
            key in self._entries and now_s < self._entries[key].locked_until_s for key in keys
        )

    def failed(self, account: str, source: str) -> None:
        """Count a failure; the lock doubles with each one beyond the limit."""
        now_s = self._clock()
        self._forget(now_s)
        for key, failures_max in _limits(account, source).items():
            entry = self._entries.setdefault(key, _Entry())
            if now_s - entry.last_s > FORGET_S:
                entry.failures = 0
            entry.failures += 1
            entry.last_s = now_s
            excess = entry.failures - failures_max
            if excess >= 0:
                entry.locked_until_s = now_s + min(
                    LOCK_FIRST_S * 2.0 ** min(excess, 10), LOCK_MAX_S
                )

    def succeeded(self, account: str, source: str) -> None:
        """Forget this account's failures at this source."""
        self._entries.pop(("pair", account, source), None)

    def _forget(self, now_s: float) -> None:
        if len(self._entries) < ENTRIES_MAX:
            return
        # Invented names must not fill the memory; the oldest are the least useful.
        for key in sorted(self._entries, key=lambda key: self._entries[key].last_s)[
            : ENTRIES_MAX // 2
        ]:
            del self._entries[key]


def _limits(account: str, source: str) -> dict[tuple[str, ...], int]:
    account = account[:64]
    return {
        ("pair", account, source): PAIR_FAILURES_MAX,
        ("source", source): SOURCE_FAILURES_MAX,
        ("account", account): ACCOUNT_FAILURES_MAX,
    }
