"""Derives what is stored for an Idempotency-Key, and seals the answer under it. Pure.

The key itself is not stored, and everything that is stored needs it to be read: an answer may show a secret once, and a
request may hold a password.
"""

import hmac
import json
import os
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class RepeatKey:
    """An Idempotency-Key of one caller."""

    secret: bytes

    @classmethod
    def of(cls, caller: str, key: str) -> Self:
        """Return the key of a caller, so that nobody gets an answer to another person by guessing their key."""
        text = f"{caller}\0{key}".encode(errors="surrogateescape")
        return cls(sha256(b"k1 repeat\0" + text).digest())

    @property
    def name(self) -> str:
        """Return the name of the entry."""
        return self._derive(b"name").hex()

    def fingerprint(self, parts: tuple[bytes, ...]) -> str:
        """Return the mark by which another request with the same key is recognised."""
        lengths = b"".join(len(part).to_bytes(8, "big") for part in parts)
        return self._derive(b"request" + lengths + b"".join(parts)).hex()

    def seal(self, answer: Answer) -> bytes:
        """Return the answer, compressed and encrypted (AES-256-GCM)."""
        whole = {
            "status": answer.status,
            "headers": answer.headers,
            "body": b64encode(answer.body).decode("ascii"),
        }
        nonce = os.urandom(_NONCE_BYTES)
        packed = zlib.compress(json.dumps(whole).encode())
        return nonce + AESGCM(self._derive(b"seal")).encrypt(nonce, packed, None)

    def open(self, sealed: bytes) -> Answer:
        """Return the sealed answer.

        Raises:
            cryptography.exceptions.InvalidTag: it was sealed under another key.
        """
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        packed = AESGCM(self._derive(b"seal")).decrypt(nonce, text, None)
        whole: Mapping[str, Any] = json.loads(zlib.decompress(packed))
        return Answer(whole["status"], whole["headers"], b64decode(whole["body"]))

    def _derive(self, purpose: bytes) -> bytes:
        return hmac.digest(self.secret, purpose, "sha256")
