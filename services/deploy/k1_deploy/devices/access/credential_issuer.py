"""Issues and revokes the NATS credentials of devices, with the keys in K1_DEPLOY_NATS_KEYS."""

import time
from collections.abc import Collection
from pathlib import Path

from k1_contracts.messages.deploy.device_link import Transport
from k1_platform.auth.device_credentials import MintedCredential, load_device_keys, mint
from k1_platform.auth.jwt import KeyKind, KeyPair
from k1_platform.nats.administration.accounts import replace_account


class NatsCredentialIssuer:
    """Issues credentials at any time; revokes them under the caller's lock.

    A credential is valid once it is issued; nothing has to be published. Store its `public_key`: revocation is by
    that key, not by the device's id.
    """

    def __init__(self, folder: Path, nats_url: str) -> None:
        """Load the keys from `folder` (K1_DEPLOY_NATS_KEYS); `nats_url` is K1_NATS_URL.

        Raises:
            NatsTokenError, OSError: the folder lacks a key; the message names the file.
        """
        self._keys = load_device_keys(folder)
        self._url = nats_url

    def mint(self, device_id: str, transport: Transport) -> MintedCredential:
        """Return a new credential; earlier ones of the device stay valid until they are revoked.

        Raises:
            ValueError: the device id is invalid.
        """
        return mint(self._keys, device_id, transport, KeyPair.generate(KeyKind.USER), int(time.time()))

    async def revoke(self, public_keys: Collection[str]) -> None:
        """Make exactly these credentials invalid; the server disconnects their users at once.

        `public_keys`: ALL that were ever revoked, from the database: one that is left out becomes valid again. Two
        concurrent calls could lose the keys of one, so hold one lock of the database around reading them and this
        call. Also call it when the service starts: it updates what devices may do to this version of the code, and
        restores the revocations on a server whose data was restored.

        Raises:
            TransientError: the server did not respond in time. It may have stored the keys; call again.
            AccountRefusedError: these keys are not those of the server's operator.
        """
        await replace_account(self._url, self._keys, public_keys)
