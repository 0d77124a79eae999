"""Names, sets and clears the cookies by which browsers stay signed in.

The prefix `__Host-` makes a browser refuse a cookie that another host of the domain, or a connection without TLS, tries
to set. Without TLS browsers refuse such a cookie from the gateway itself, so the names have no prefix there.
"""

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final, Literal

from aiohttp import web

_PREFIX: Final = "__Host-"
CSRF_HEADER: Final = "X-K1-CSRF"
"""A page of another origin cannot send it without a preflight request, which is refused."""


@dataclass(frozen=True, slots=True)
class Cookies:
    """The cookies of one gateway."""

    secure: bool
    """Whether browsers reach the gateway over TLS."""

    @property
    def access(self) -> str:
        """Return the name of the cookie that holds the access token."""
        return self._name("k1-access")

    @property
    def refresh(self) -> str:
        """Return the name of the cookie that holds the refresh token."""
        return self._name("k1-refresh")

    @property
    def oauth(self) -> str:
        """Return the name of the cookie that binds a sign-in with a provider to the browser that began it."""
        return self._name("k1-oauth")

    def _name(self, name: str) -> str:
        return f"{_PREFIX}{name}" if self.secure else name

    def set(
        self,
        response: web.StreamResponse,
        name: str,
        value: str,
        expires_at: datetime,
        same_site: Literal["Strict", "Lax"] = "Strict",
    ) -> None:
        """Set a cookie that scripts cannot read."""
        response.set_cookie(
            name,
            value,
            expires=format_datetime(expires_at, usegmt=True),
            path="/",
            secure=self.secure,
            httponly=True,
            samesite=same_site,
        )

    def clear(self, response: web.StreamResponse, *names: str) -> None:
        """Remove cookies from the browser."""
        for name in names:
            response.del_cookie(name, path="/", secure=self.secure, httponly=True, samesite="Strict")
