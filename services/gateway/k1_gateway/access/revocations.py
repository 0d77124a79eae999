"""Remembers which access tokens were revoked before their end, and tells those who wait for that, such as streams."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from k1_contracts.messages.accounts.users import AccessChanged
from k1_gateway.access.identity import Identity

_KEPT_S: Final = 16 * 60.0
"""Longer than any access token is valid."""

OnChange = Callable[[AccessChanged], None]


class Revocations:
    """The sessions and users whose access changed within the lifetime of a token."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` returns seconds since the epoch."""
        self._clock = clock
        self._sessions: dict[str, float] = {}
        """Session -> until when it is remembered."""
        self._users: dict[str, tuple[float, float]] = {}
        """User -> tokens issued before this are not valid, until when it is remembered."""
        self._watchers: dict[object, OnChange] = {}

    def apply(self, change: AccessChanged) -> None:
        """Remember a change and call the watchers. The same change may come again."""
        until = change.at.timestamp() + _KEPT_S
        for session_id in change.session_ids:
            self._sessions[session_id] = until
        if change.tokens_before is not None:
            known, _ = self._users.get(change.user_id, (0.0, 0.0))
            self._users[change.user_id] = (max(known, change.tokens_before.timestamp()), until)
        self._forget_old()
        for on_change in list(self._watchers.values()):
            on_change(change)

    def is_revoked(self, identity: Identity) -> bool:
        """Return whether the access token of this identity was revoked."""
        if identity.session_id is not None and identity.session_id in self._sessions:
            return True
        before, _ = self._users.get(identity.actor.id, (0.0, 0.0))
        return identity.actor.kind == "user" and identity.issued_at_s < before

    def ends(self, identity: Identity, change: AccessChanged) -> bool:
        """Return whether an identity that was valid has to be verified again after this change."""
        if identity.key_id is None:
            return self.is_revoked(identity)
        is_of_owner = change.tokens_before is not None and change.user_id == identity.actor.id
        return is_of_owner or identity.key_id in change.key_ids

    @contextmanager
    def watching(self, on_change: OnChange) -> Generator[None]:
        """Call `on_change` with each change while the block runs."""
        token = object()
        self._watchers[token] = on_change
        try:
            yield
        finally:
            del self._watchers[token]

    def _forget_old(self) -> None:
        now = self._clock()
        self._sessions = {name: until for name, until in self._sessions.items() if until > now}
        self._users = {name: kept for name, kept in self._users.items() if kept[1] > now}
