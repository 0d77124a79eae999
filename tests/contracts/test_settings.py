"""Settings show no secret, whatever prints them."""

import re

import pytest
from pydantic import ValidationError

from k1_accounts.settings import AccountsSettings
from tests.support.documents.settings_classes import settings_classes, variable_of

SECRET = "violet-otter-plays-cello"
VALUES = {
    "K1_NATS_URL": f"nats://k1:{SECRET}@nats:4222",
    "K1_POSTGRES_DSN": f"postgresql://k1:{SECRET}@postgres/k1",
    "K1_MONGO_URL": f"mongodb://k1:{SECRET}@mongo/k1",
    "K1_S3_ACCESS_KEY": SECRET,
    "K1_S3_SECRET_KEY": SECRET,
    "K1_SENTRY_DSN": f"https://{SECRET}@sentry.example.org/1",
    "K1_ACCOUNTS_SMTP_PASSWORD": SECRET,
    "K1_ACCOUNTS_PROVIDERS": f'[{{"id": "x", "kind": "google", "client_id": "k1", "client_secret": "{SECRET}"}}]',
}
"""Every variable that holds a secret itself, and not the name of a file."""
PROVIDER_WITHOUT_ISSUER = VALUES["K1_ACCOUNTS_PROVIDERS"].replace("google", "oidc")


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)


def test_what_is_printed_hides_secrets() -> None:
    """Of every settings class; and each variable with the name of a secret is looked at."""
    read: set[str] = set()
    for each in settings_classes():
        settings = each()
        read |= {variable_of(each, field) for field in each.model_fields}
        assert SECRET not in f"{settings!r} {settings}", each
    assert read >= VALUES.keys()
    named = {name for name in read if re.search(r"PASSWORD|SECRET|TOKEN|DSN|ACCESS_KEY", name)}
    assert named <= VALUES.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [("K1_ACCOUNTS_TLS_CERT", "/server.pem"), ("K1_ACCOUNTS_PROVIDERS", PROVIDER_WITHOUT_ISSUER)],
)
def test_an_error_in_settings_hides_secrets(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The message, which a service logs before it ends, says what is wrong without the values of its neighbours."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=r"tls_key|needs an issuer") as error:
        AccountsSettings()
    assert SECRET not in str(error.value)
