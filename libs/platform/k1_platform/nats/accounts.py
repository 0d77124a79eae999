"""Replacing the account K1 on the running servers, which is how credentials are revoked.

`python -m k1_platform.nats.accounts` gives the server K1_NATS_URL the account that the folder K1_NATS_KEYS makes, with the
revocations that the server has: after a key was made anew, or after an upgrade that lets devices do more or less.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError

from k1_platform.auth.claims import account_claims
from k1_platform.auth.device_credentials import DeviceKeys, load_device_keys
from k1_platform.auth.jwt import Claims, decode, encode
from k1_platform.auth.nkeys import NatsKeys
from k1_platform.errors import TransientError
from k1_platform.nats.connection import one_shot_connection
from k1_platform.observability.logging import configure_logging
from k1_platform.settings import NatsKeysSettings, NatsSettings, ObservabilitySettings

_TIMEOUT_S: Final = 5
_OK: Final = 200
_log = logging.getLogger(__name__)


class AccountRejectedError(Exception):
    """The server does not take the account: these keys are not, or no longer, those of its operator."""


async def replace_account(url: str, keys: DeviceKeys, revoked: Collection[str] | None) -> None:
    """Let the servers know the account K1 with these revocations, and no others; connections that they concern end at once.

    `revoked`: public keys of users; None keeps what the server has. Not safe against itself: two at once leave
    the revocations of either.

    Raises:
        TransientError: the server does not answer, or not in time; it may or may not have taken the account.
        AccountRefusedError: the server refuses it.
    """
    async with _account_keeper(url, keys) as client:
        current = await _current(client, keys)
        kept = current["nats"].get("revocations", {}) if revoked is None else revoked
        # Servers that meet later agree on the newest by this time alone, which is in whole seconds.
        issued_at = max(int(time.time()), current["iat"] + 1)
        claims = account_claims(keys.account, kept, issued_at)
        token = encode(claims, keys.operator_signing)
        answer = await client.request("$SYS.REQ.CLAIMS.UPDATE", token.encode(), timeout=_TIMEOUT_S)
    outcome = json.loads(answer.data)
    if outcome.get("data", {}).get("code") != _OK:
        raise AccountRejectedError(f"the NATS server refused the account: {outcome}")


async def _current(client: Client, keys: DeviceKeys) -> Claims:
    """The account as the server has it."""
    account = keys.account.account
    subject = f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"
    answer = await client.request(subject, b"", timeout=_TIMEOUT_S)
    if not answer.data:
        raise AccountRejectedError(f"the NATS server does not know the account {account}")
    claims = decode(answer.data.decode())
    # The server would store an account of a key that it does not trust, and know no account after its next start.
    if claims["iss"] != keys.operator_signing.public_key:
        raise AccountRejectedError(
            "the NATS server has its account from another operator key: were keys made anew?"
        )
    return claims


@asynccontextmanager
async def _account_keeper(url: str, keys: DeviceKeys) -> AsyncGenerator[Client]:
    settings = NatsSettings(url=url, creds=keys.account_keeper)
    try:
        async with one_shot_connection(settings, _TIMEOUT_S) as client:
            yield client
    except (OSError, NatsError) as error:
        if "Authorization Violation" in str(error):
            raise AccountRejectedError(f"{url} does not know the user of {keys.account_keeper}") from error
        raise TransientError(f"the account could not be replaced: {error!r}") from error


def main() -> None:
    """Give the server the account of the folder's keys."""
    configure_logging("nats-account", ObservabilitySettings().log_level)
    keys = load_device_keys(NatsKeys(NatsKeysSettings().nats_keys).deploy)
    asyncio.run(replace_account(NatsSettings().url, keys, None))
    _log.info("the servers have the account", extra={"account": keys.account.account})


if __name__ == "__main__":
    main()
