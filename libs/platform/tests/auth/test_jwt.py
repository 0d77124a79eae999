"""NKEYs and tokens of NATS."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st

from k1_platform.auth.jwt import (
    KeyKind,
    KeyPair,
    NatsTokenError,
    credentials_text,
    decode,
    encode,
    key_kind,
    parse_credentials,
)

raw_keys = st.binary(min_size=32, max_size=32)
kinds = st.sampled_from(KeyKind)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)
claims_of_any_kind = st.dictionaries(
    st.sampled_from(["sub", "name", "iat", "nats", "aud", "exp"]), json_values
)


def pair(kind: KeyKind, raw: bytes) -> KeyPair:
    return KeyPair(kind, Ed25519PrivateKey.from_private_bytes(raw))


def test_a_known_key() -> None:
    """The example of NATS's documentation."""
    key = KeyPair.from_seed("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY")
    assert key.public_key == "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


@given(kinds, raw_keys)
def test_a_seed_gives_its_key_back(kind: KeyKind, raw: bytes) -> None:
    """Of every kind, with the letter that says it; a public key is no seed and a seed is no public key."""
    key = pair(kind, raw)
    again = KeyPair.from_seed(f" {key.seed}\n")
    letter = {KeyKind.OPERATOR: "O", KeyKind.ACCOUNT: "A", KeyKind.USER: "U"}[kind]
    assert (again.kind, again.private.private_bytes_raw()) == (kind, raw)
    assert (key.seed[:2], key.public_key[0], len(key.public_key)) == (f"S{letter}", letter, 56)
    assert key_kind(key.public_key) is kind
    with pytest.raises(NatsTokenError):
        KeyPair.from_seed(key.public_key)
    with pytest.raises(NatsTokenError):
        key_kind(key.seed)


@given(kinds, raw_keys, st.data())
def test_a_changed_seed_is_refused(kind: KeyKind, raw: bytes, data: st.DataObject) -> None:
    """One other letter anywhere, one letter less or more: and the message tells nothing of the seed."""
    seed = pair(kind, raw).seed
    place = data.draw(st.integers(0, len(seed) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567a=é"))
    assume(letter != seed[place])
    for broken in (
        seed[:place] + letter + seed[place + 1 :],
        seed[:place] + seed[place + 1 :],
        seed + letter,
    ):
        with pytest.raises(NatsTokenError) as caught:
            KeyPair.from_seed(broken)
        assert seed[4:12] not in str(caught.value)


@given(claims_of_any_kind, kinds, raw_keys)
def test_a_token_gives_its_claims_back(claims: dict[str, Any], kind: KeyKind, raw: bytes) -> None:
    """With its issuer and an id; the same claims and key give the same token."""
    key = pair(kind, raw)
    token = encode(claims, key)
    decoded = decode(token)
    assert decoded.pop("iss") == key.public_key
    assert len(decoded.pop("jti")) == 52
    assert decoded == claims
    assert token == encode(claims, key)


@given(claims_of_any_kind, raw_keys, st.data())
def test_a_changed_token_is_refused(claims: dict[str, Any], raw: bytes, data: st.DataObject) -> None:
    """One other letter anywhere is enough."""
    token = encode(claims, pair(KeyKind.ACCOUNT, raw))
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCXYZabcxyz0189-_.=+/ é"))
    assume(letter != token[place])
    with pytest.raises(NatsTokenError):
        decode(token[:place] + letter + token[place + 1 :])


@given(claims_of_any_kind, claims_of_any_kind, raw_keys, raw_keys)
def test_parts_of_two_tokens_make_none(
    some: dict[str, Any], other: dict[str, Any], raw: bytes, other_raw: bytes
) -> None:
    """Claims with the signature of others, or of another signer."""
    first, second = encode(some, pair(KeyKind.USER, raw)), encode(other, pair(KeyKind.USER, other_raw))
    assume(first != second)
    header, body, _ = first.split(".")
    with pytest.raises(NatsTokenError, match="signature"):
        decode(f"{header}.{body}.{second.rsplit('.', 1)[1]}")


@given(st.text(max_size=200) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_rubbish_is_refused(text: str) -> None:
    """As a token, a part of one, a seed, a public key or credentials: always the same error, never another."""
    for read in (decode, KeyPair.from_seed, key_kind, parse_credentials):
        with pytest.raises(NatsTokenError):
            read(text)
    token = encode({"sub": "x"}, pair(KeyKind.USER, bytes(32)))
    parts = token.split(".")
    for place in range(3):
        with pytest.raises(NatsTokenError):
            decode(".".join([*parts[:place], text, *parts[place + 1 :]]))


def test_another_algorithm_is_refused() -> None:
    """`none`, and what a shared secret would sign: the header must be ours to the letter."""
    key = pair(KeyKind.USER, bytes(32))
    _, body, _ = encode({"sub": "x"}, key).split(".")
    for algorithm in ("none", "HS256", "ed25519"):
        header = (
            base64.urlsafe_b64encode(json.dumps({"typ": "JWT", "alg": algorithm}).encode())
            .decode()
            .rstrip("=")
        )
        signature = base64.urlsafe_b64encode(key.sign(f"{header}.{body}".encode())).decode().rstrip("=")
        with pytest.raises(NatsTokenError, match="header"):
            decode(f"{header}.{body}.{signature}")


@given(raw_keys, st.sampled_from(["\n", "\r\n"]))
def test_credentials_give_token_and_key_back(raw: bytes, line_end: str) -> None:
    """Also with the line ends of another system; without either half they are none."""
    key = pair(KeyKind.USER, raw)
    token = encode({"sub": key.public_key}, pair(KeyKind.ACCOUNT, bytes(32)))
    text = credentials_text(token, key)
    parsed, again = parse_credentials(text.replace("\n", line_end))
    assert (parsed, again.seed) == (token, key.seed)
    for half in text.split("\n\n"):
        with pytest.raises(NatsTokenError):
            parse_credentials(half)
