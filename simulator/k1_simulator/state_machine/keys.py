"""Reads and verifies the keys that a device trusts: 32 bytes base64url by key id; pure."""

import base64
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from k1_contracts.messages.catalogue.graphs import KeySet
from k1_contracts.messages.deploy.device_link import ReplyCode
from k1_graph.bundle.container import key_id


class KeysRejectedError(Exception):
    """A device rejects a document of keys; `code` is the code of its reply."""

    def __init__(self, code: ReplyCode, message: str) -> None:
        super().__init__(message)
        self.code: ReplyCode = code


def read_keys(document: str) -> dict[str, str]:
    """Return the keys of a JWK set.

    Raises:
        KeysRejectedError: it is no set of at least one Ed25519 key, or a `kid` is not the id of its key.
    """
    try:
        keys = KeySet.model_validate_json(document).keys
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise KeysRejectedError("invalid_command", f"{where} of the keys: {first['msg']}") from error
    if not keys:
        raise KeysRejectedError("invalid_command", "the set holds no key; a device that trusts none is lost")
    for key in keys:
        if key_id(public_key(key.x)) != key.kid:
            raise KeysRejectedError("invalid_command", f"{key.kid} is not the id of its key")
    return {key.kid: key.x for key in keys}


def replaced_keys(document: str, signatures: Mapping[str, str], trusted: Mapping[str, str]) -> dict[str, str]:
    """Return the keys of a document that a trusted key has signed.

    Raises:
        KeysRejectedError: no trusted key has signed it, no signature is valid, or it is no set of keys.
    """
    known = [kid for kid in signatures if kid in trusted]
    if not known:
        named = ", ".join(sorted(signatures)) or "nobody"
        raise KeysRejectedError("unknown_key", f"the keys are signed by {named}, who is not trusted here")
    if not any(_fits(document, signatures[kid], trusted[kid]) for kid in known):
        raise KeysRejectedError("bad_signature", f"the signature by {' and '.join(known)} is wrong")
    return read_keys(document)


def _fits(document: str, signature: str, x: str) -> bool:
    try:
        public_key(x).verify(bytes.fromhex(signature), document.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def public_keys(trusted: Mapping[str, str]) -> dict[str, Ed25519PublicKey]:
    """Return the keys in the form that `read_bundle` expects."""
    return {kid: public_key(x) for kid, x in trusted.items()}


def public_key(x: str) -> Ed25519PublicKey:
    """Return the key of a JWK's `x`.

    Raises:
        KeysRejectedError: it is not 32 bytes in base64url.
    """
    try:
        raw = base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise KeysRejectedError("invalid_command", "x is not the 32 bytes of a key in base64url") from error
