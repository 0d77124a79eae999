"""Tests which keys a device trusts."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulator.tests.shows import KEY, NOW, STRANGER, command, fresh, jwk_set, kid, reply, x


def test_trust_accepts_keys_that_a_trusted_key_signed() -> None:
    """The complete set is replaced; one signature of a trusted key is enough."""
    machine = fresh()
    document = jwk_set(STRANGER)
    good = KEY.sign(document.encode()).hex()
    signatures = {kid(STRANGER): "00", kid(KEY): good}
    answer = reply(
        machine.receive("trust", command("trust", keys_document=document, signatures=signatures), NOW)
    )
    assert answer.status == "done"
    assert list(machine.memory.trusted) == [kid(STRANGER)]


def test_one_valid_signature_is_enough() -> None:
    """The signature of another trusted key may be wrong."""
    machine = fresh()
    machine.memory = machine.memory.model_copy(update={"trusted": {kid(k): x(k) for k in (STRANGER, KEY)}})
    document = jwk_set(STRANGER)
    signatures = {kid(STRANGER): "00" * 64, kid(KEY): KEY.sign(document.encode()).hex()}
    body = command("trust", keys_document=document, signatures=signatures)
    assert reply(machine.receive("trust", body, NOW)).status == "done"


@pytest.mark.parametrize(
    ("document", "signer", "claimed", "code"),
    [
        (jwk_set(STRANGER), STRANGER, STRANGER, "unknown_key"),
        (jwk_set(STRANGER), STRANGER, KEY, "bad_signature"),
        ('{"keys": []}', KEY, KEY, "invalid_command"),
        ("no JSON", KEY, KEY, "invalid_command"),
        (jwk_set(KEY).replace(kid(KEY), "0" * 16), KEY, KEY, "invalid_command"),
    ],
)
def test_trust_refuses_everything_else(
    document: str, signer: Ed25519PrivateKey, claimed: Ed25519PrivateKey, code: str
) -> None:
    """It refuses an unknown signer, a wrong signature, no key, no document and a key with a wrong id."""
    machine = fresh()
    signatures = {kid(claimed): signer.sign(document.encode()).hex()}
    answer = reply(
        machine.receive("trust", command("trust", keys_document=document, signatures=signatures), NOW)
    )
    assert (answer.status, answer.code) == ("refused", code)
    assert list(machine.memory.trusted) == [kid(KEY)]
