"""Sends one delivery over HTTP and says what the receiver answered."""

import time
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Final, Self

import aiohttp

from k1_webhooks.deliveries.addresses import AddressNotAllowedError, PublicResolver, url_problem
from k1_webhooks.deliveries.schedule import Attempt
from k1_webhooks.deliveries.signature import derive_secret, signed_headers
from k1_webhooks.deliveries.store import DueDelivery

_USER_AGENT: Final = "K1-Webhooks/1"
_MAX_ERROR: Final = 300


@dataclass(frozen=True, slots=True)
class Sender:
    """An HTTP client that reaches only addresses that webhooks may go to."""

    http: aiohttp.ClientSession
    master_key: bytes
    allow_private: bool

    @classmethod
    def open(cls, master_key: bytes, *, allow_private: bool, timeout_s: float) -> Self:
        """Return a sender; call it in a running event loop, and close `http` at the end."""
        resolver = None if allow_private else PublicResolver()
        connector = aiohttp.TCPConnector(limit=0, resolver=resolver, ttl_dns_cache=0, use_dns_cache=False)
        http = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers={"User-Agent": _USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return cls(http, master_key, allow_private)

    async def send(self, delivery: DueDelivery) -> Attempt:
        """Send a delivery once. A redirect is not followed, and the body of the answer is not read."""
        problem = url_problem(delivery.url, allow_private=self.allow_private)
        if problem is not None:
            return Attempt(None, problem)
        body = delivery.body.encode()
        secret = derive_secret(self.master_key, delivery.webhook_id, delivery.secret_number)
        headers = signed_headers(secret, delivery.id, int(time.time()), body)
        try:
            async with self.http.post(
                delivery.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return _attempt(response)
        except TimeoutError:
            return Attempt(None, "the receiver did not answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(None, _reason(error))


def _attempt(response: aiohttp.ClientResponse) -> Attempt:
    if response.ok and response.status < HTTPStatus.MULTIPLE_CHOICES:
        return Attempt(response.status, None)
    asked = response.headers.get("Retry-After", "")
    retry_after = timedelta(seconds=int(asked)) if asked.isdecimal() and len(asked) < 7 else None  # noqa: PLR2004
    return Attempt(response.status, f"the receiver answered {response.status}", retry_after)


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressNotAllowedError):
            return f"{cause}. An operator may allow it: K1_WEBHOOKS_ALLOW_PRIVATE."
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {error}"[:_MAX_ERROR].replace("\0", "")
