"""Replaces the account K1 on the running NATS servers, which is how credentials are revoked.

`python -m k1_platform.nats.administration.accounts` sends the account of the folder K1_NATS_KEYS to the server
K1_NATS_URL and keeps the revocations of the server. Run it after a key was replaced, or after an upgrade that changes
the permissions of devices.
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
from k1_platform.nats.bus.connection import one_shot_connection
from k1_platform.observability.logging import configure_logging
from k1_platform.settings import NatsKeysSettings, NatsSettings, ObservabilitySettings

_TIMEOUT_S: Final = 5
_OK: Final = 200
_log = logging.getLogger(__name__)


class AccountRejectedError(Exception):
    """The server rejected the account, because the keys do not belong to its operator."""


async def replace_account(url: str, keys: DeviceKeys, revoked: Collection[str] | None) -> None:
    """Replace the account K1 on the servers, with exactly these revocations; connections of revoked users end at once.

    `revoked`: public keys of users; None keeps the revocations of the server. Never call it twice at the same time:
    the revocations of one call would be lost.

    Raises:
        TransientError: the server did not respond in time; it may or may not have replaced the account.
        AccountRejectedError: the server rejected the account.
    """
    async with _account_keeper(url, keys) as client:
        current = await _read_account(client, keys)
        kept = current["nats"].get("revocations", {}) if revoked is None else revoked
        # Servers that reconnect to each other keep the account with the latest time, which is in whole seconds.
        issued_at = max(int(time.time()), current["iat"] + 1)
        claims = account_claims(keys.account, kept, issued_at)
        token = encode(claims, keys.operator_signing)
        response = await client.request("$SYS.REQ.CLAIMS.UPDATE", token.encode(), timeout=_TIMEOUT_S)
    outcome = json.loads(response.data)
    if outcome.get("data", {}).get("code") != _OK:
        raise AccountRejectedError(f"the NATS server rejected the account: {outcome}")


async def _read_account(client: Client, keys: DeviceKeys) -> Claims:
    """Return the claims of the account on the server."""
    account = keys.account.account
    subject = f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"
    response = await client.request(subject, b"", timeout=_TIMEOUT_S)
    if not response.data:
        raise AccountRejectedError(f"the NATS server does not know the account {account}")
    claims = decode(response.data.decode())
    # The server would store an account signed by a key that it does not trust, and reject it at its next start.
    if claims["iss"] != keys.operator_signing.public_key:
        raise AccountRejectedError(
            "the account on the NATS server was signed by another operator key: were the keys replaced?"
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
    """Send the account of the keys in the folder K1_NATS_KEYS to the servers."""
    configure_logging("nats-account", ObservabilitySettings().log_level)
    keys = load_device_keys(NatsKeys(NatsKeysSettings().nats_keys).deploy)
    asyncio.run(replace_account(NatsSettings().url, keys, None))
    _log.info("account replaced on the servers", extra={"account": keys.account.account})


if __name__ == "__main__":
    main()
