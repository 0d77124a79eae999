"""Who may connect as a device: minting and revoking, with the keys in K1_DEPLOY_NATS_KEYS."""

import time
from collections.abc import Collection
from pathlib import Path

from k1_contracts.messages.device_link import Transport
from k1_platform.device_credentials import MintedCredential, load_device_keys, mint
from k1_platform.nats_account import replace_account
from k1_platform.nats_jwt import KeyKind, KeyPair


class DeviceCredentials:
    """Mints at any time; revokes under the caller's lock.

    A credential is valid from its minting on, with nothing to publish. Keep its `public_key`: that, and not the
    device's id, is what is revoked.
    """

    def __init__(self, folder: Path, nats_url: str) -> None:
        """`folder`: K1_DEPLOY_NATS_KEYS; `nats_url`: as in K1_NATS_URL.

        Raises:
            NatsTokenError, OSError: the folder lacks a key; the message names the file.
        """
        self._keys = load_device_keys(folder)
        self._url = nats_url

    def mint(self, device_id: str, transport: Transport) -> MintedCredential:
        """A new credential; earlier ones of the device stay valid until they are revoked.

        Raises:
            ValueError: the id is none.
        """
        return mint(self._keys, device_id, transport, KeyPair.generate(KeyKind.USER), int(time.time()))

    async def revoke(self, public_keys: Collection[str]) -> None:
        """Let exactly these credentials be invalid from now on; who is connected with one is cut off at once.

        `public_keys`: ALL that were ever revoked, from the database: one that is left out becomes valid again. Two
        calls at once could leave either's keys, so hold one lock of the database around reading them and this call.
        Also call it at the start of the service: it brings what devices may do up to this version of the code, and
        the revocations back to a server whose data was restored.

        Raises:
            TransientError: the server did not answer in time. It may have taken the keys; call again.
            AccountRefusedError: these keys are not those of the server's operator.
        """
        await replace_account(self._url, self._keys, public_keys)
