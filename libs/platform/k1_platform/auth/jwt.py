"""Encodes and decodes NKEYs and the JSON Web Tokens of NATS (version 2); pure.

An NKEY is an Ed25519 key whose public half and seed are base32 with a prefix letter for its kind (O operator, A account,
U user; seeds begin with S) and a CRC-16. A NATS token is a JWT with the algorithm `ed25519-nkey`, whose `iss` is the
public key that signed it. Formats: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Self, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_SEED: Final = 18 << 3
_KEY_BYTES: Final = 32
_CRC_BYTES: Final = 2
_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
_TOKEN_PARTS: Final = 3

Claims = dict[str, Any]


class NatsTokenError(ValueError):
    """The text is no key, token or credentials file of NATS, or its signature is wrong."""


class KeyKind(IntEnum):
    """The kind of a key; the value is the prefix byte of the key."""

    OPERATOR = 14 << 3
    ACCOUNT = 0
    USER = 20 << 3


@dataclass(frozen=True)
class KeyPair:
    """A private key of one kind."""

    kind: KeyKind
    private: Ed25519PrivateKey

    @classmethod
    def generate(cls, kind: KeyKind) -> Self:
        """Return a new random key."""
        return cls(kind, Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: str) -> Self:
        """Return the key of a seed.

        Raises:
            NatsTokenError: the text is no seed; the message does not contain the text.
        """
        body = _unwrap(seed.strip(), _KEY_BYTES + 2)
        if body[0] & 0xF8 != _SEED:
            raise NatsTokenError("a seed begins with S; this key is of another form")
        kind = _kind((body[0] & 7) << 5 | body[1] >> 3)
        return cls(kind, Ed25519PrivateKey.from_private_bytes(body[2:]))

    @property
    def seed(self) -> str:
        """The private key as text; it is a secret."""
        head = bytes((_SEED | self.kind >> 5, (self.kind & 31) << 3))
        return _wrap(head + self.private.private_bytes_raw())

    @property
    def public_key(self) -> str:
        """The public key as 56 letters and digits; the first is that of the kind."""
        return _wrap(bytes((self.kind,)) + self.private.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """Return the signature of `data`, 64 bytes."""
        return self.private.sign(data)


def encode(claims: Mapping[str, Any], signer: KeyPair) -> str:
    """Return the token of `claims`, with the issuer and the id added.

    `claims`: `sub`, `iat` (s), `name` and `nats`. The same claims and signer give the same token.
    """
    body = {**claims, "iss": signer.public_key}
    digest = hashlib.sha256(_json(body)).digest()
    text = f"{_base64(_json(_HEADER))}.{_base64(_json({**body, 'jti': _base32(digest)}))}"
    return f"{text}.{_base64(signer.sign(text.encode()))}"


def decode(token: str) -> Claims:
    """Return the claims of a token after checking its signature. The caller checks whether the issuer may sign it.

    Raises:
        NatsTokenError: the text is no token, or it was changed after it was signed.
    """
    parts = token.split(".")
    if len(parts) != _TOKEN_PARTS:
        raise NatsTokenError("a token has three parts with dots between")
    header, claims = (_object(part) for part in parts[:2])
    if header != _HEADER:
        raise NatsTokenError(f"the token's header is {header}, not {_HEADER}")
    issuer = Ed25519PublicKey.from_public_bytes(_unwrap(str(claims.get("iss", "")), _KEY_BYTES + 1)[1:])
    try:
        issuer.verify(_unbase64(parts[2]), f"{parts[0]}.{parts[1]}".encode())
    except InvalidSignature as error:
        raise NatsTokenError("the token's signature is not its issuer's") from error
    return claims


def key_kind(public_key: str) -> KeyKind:
    """Return the kind of a public key.

    Raises:
        NatsTokenError: the text is no public key.
    """
    return _kind(_unwrap(public_key, _KEY_BYTES + 1)[0])


def credentials_text(token: str, user: KeyPair) -> str:
    """Return the text of a `.creds` file: the token and the seed of a user, in the format of NATS clients."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )


def parse_credentials(text: str) -> tuple[str, KeyPair]:
    """Return the token and the key of a `.creds` file.

    Raises:
        NatsTokenError: one of the two is missing or invalid.
    """
    lines = [line.strip() for line in text.splitlines()]
    try:
        token = lines[lines.index("-----BEGIN NATS USER JWT-----") + 1]
        seed = lines[lines.index("-----BEGIN USER NKEY SEED-----") + 1]
    except (ValueError, IndexError) as error:
        raise NatsTokenError(
            "credentials hold a NATS USER JWT and a USER NKEY SEED; one is missing"
        ) from error
    decode(token)
    return token, KeyPair.from_seed(seed)


def _kind(value: int) -> KeyKind:
    try:
        return KeyKind(value)
    except ValueError as error:
        raise NatsTokenError("the key is neither an operator's nor an account's nor a user's") from error


def _wrap(body: bytes) -> str:
    return _base32(body + binascii.crc_hqx(body, 0).to_bytes(_CRC_BYTES, "little"))


def _unwrap(text: str, length: int) -> bytes:
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError as error:
        raise NatsTokenError("a key is base32; this is not") from error
    # Several texts decode to the same bytes; only the canonical one is accepted as a key.
    if len(raw) != length + _CRC_BYTES or _wrap(raw[:-_CRC_BYTES]) != text:
        raise NatsTokenError("the key is damaged: its length or checksum is wrong")
    return raw[:-_CRC_BYTES]


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _object(part: str) -> Claims:
    try:
        value = json.loads(_unbase64(part))
    except (ValueError, RecursionError) as error:
        raise NatsTokenError("a part of the token is no JSON") from error
    if not isinstance(value, dict):
        raise NatsTokenError("a part of the token is no JSON object")
    return cast("Claims", value)


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise NatsTokenError("a part of the token is no base64url") from error
    if _base64(raw) != text:
        raise NatsTokenError("a part of the token is no canonical base64url")
    return raw
