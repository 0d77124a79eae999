"""Signs deliveries as Standard Webhooks describes, and derives the secrets. Pure.

Source: https://github.com/standard-webhooks/standard-webhooks, version 1.0, symmetric signatures.
"""

import hashlib
import hmac
from base64 import b64encode
from typing import Final

PREFIX: Final = "whsec_"


def derive_secret(master: bytes, webhook_id: str, number: int) -> bytes:
    """Return the secret of a webhook, 32 bytes; `number` counts its rotations. So no table holds a secret."""
    return hmac.digest(master, f"{webhook_id}\0{number}".encode(), hashlib.sha256)


def secret_text(secret: bytes) -> str:
    """Return the form in which the libraries of Standard Webhooks take a secret."""
    return PREFIX + b64encode(secret).decode()


def signed_headers(secret: bytes, delivery_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery. The signature covers the id, the time of the attempt and the body."""
    content = f"{delivery_id}.{timestamp_s}.".encode() + body
    signature = b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{signature}",
        "content-type": "application/json",
    }
