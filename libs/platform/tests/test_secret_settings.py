"""Settings come from files as they come from the environment, and what is wrong is said without showing a secret."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from k1_accounts.settings import AccountsSettings
from k1_gateway.settings import GatewaySettings
from k1_platform.settings import ObjectStoreSettings, ObservabilitySettings, PostgresSettings
from tests.support.documents.settings_classes import settings_classes, variable_of

SECRET = "violet-otter-plays-cello"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the secrets, to which the environment points, without any variable that could be in it.

    The servers of other tests of this process have put theirs there.
    """
    for name in [name for name in os.environ if name.startswith(("K1_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("K1_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_every_setting_can_be_a_file(folder: Path) -> None:
    """A file with the name of the variable counts, for each field of each class."""
    for settings in settings_classes():
        for field, about in settings.model_fields.items():
            if about.annotation is str:
                (folder / variable_of(settings, field)).write_text("from-a-file\n")
    checked = 0
    for settings in settings_classes():
        for field, about in settings.model_fields.items():
            if about.annotation is str:
                assert getattr(settings(), field) == "from-a-file"
                checked += 1
    assert checked > 10


def test_a_file_is_read_as_the_variable_would_be(folder: Path) -> None:
    """White space at the ends does not count; JSON, lists and secrets are parsed; an alias is a name like another."""
    provider = f'{{"id": "x", "kind": "google", "client_id": "k1", "client_secret": "{SECRET}"}}'
    for name, text in {
        "K1_POSTGRES_DSN": f"\n postgresql://k1:{SECRET}@postgres/k1 \n",
        "K1_ACCOUNTS_PROVIDERS": f"[{provider}]",
        "K1_GATEWAY_ALLOWED_HOSTS": "stage.local, k1.local\n",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318\n",
    }.items():
        (folder / name).write_text(text)
    assert PostgresSettings().dsn.get_secret_value() == f"postgresql://k1:{SECRET}@postgres/k1"
    assert AccountsSettings().providers[0].client_secret.get_secret_value() == SECRET
    assert GatewaySettings().allowed_hosts == {"stage.local", "k1.local"}
    assert ObservabilitySettings().otlp_endpoint == "http://jaeger:4318"


def test_the_links_of_kubernetes_are_followed(folder: Path) -> None:
    """There a name is a link to a file in a hidden folder that is a link too."""
    (folder / "..2026").mkdir()
    (folder / "..2026" / "K1_S3_SECRET_KEY").write_text(SECRET)
    (folder / "..data").symlink_to("..2026")
    (folder / "K1_S3_SECRET_KEY").symlink_to("..data/K1_S3_SECRET_KEY")
    assert ObjectStoreSettings().secret_key.get_secret_value() == SECRET


def test_what_is_set_twice_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the file nor the environment wins: the error names the variable and shows neither value."""
    (folder / "K1_S3_SECRET_KEY").write_text(SECRET)
    monkeypatch.setenv("K1_S3_SECRET_KEY", f"other-{SECRET}")
    with pytest.raises(SettingsError, match="K1_S3_SECRET_KEY: both in the environment") as error:
        ObjectStoreSettings()
    assert SECRET not in str(error.value)


def test_a_folder_that_is_missing_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service does not start with the default password because a mount is missing."""
    monkeypatch.setenv("K1_SECRETS_DIR", str(folder / "absent"))
    with pytest.raises(SettingsError, match=r"K1_SECRETS_DIR names .*/absent"):
        PostgresSettings()


@pytest.mark.parametrize("content", [SECRET.encode() + b"\xff", b"\xfe" + SECRET.encode()])
def test_a_file_that_is_no_text_is_named(folder: Path, content: bytes) -> None:
    """Without any byte of it, also in the stack trace."""
    (folder / "K1_S3_SECRET_KEY").write_bytes(content)
    with pytest.raises(SettingsError, match=r"K1_S3_SECRET_KEY cannot be read .* not UTF-8") as error:
        ObjectStoreSettings()
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_file_that_cannot_be_opened_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which setting it is and why; a service without the right does not start with a default."""

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    (folder / "K1_S3_SECRET_KEY").write_text(SECRET)
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SettingsError, match=r"K1_S3_SECRET_KEY cannot be read .*: Permission denied"):
        ObjectStoreSettings()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("K1_ACCOUNTS_SMTP_PORT", SECRET),
        ("K1_ACCOUNTS_PROVIDERS", f'[{{"id": "{SECRET}"'),
        (
            "K1_ACCOUNTS_PROVIDERS",
            f'[{{"id": "x", "kind": "{SECRET}", "client_id": "k1", "client_secret": "x"}}]',
        ),
    ],
)
def test_a_value_that_is_wrong_is_not_shown(folder: Path, name: str, text: str) -> None:
    """The error names the setting."""
    (folder / name).write_text(text)
    with pytest.raises((ValidationError, SettingsError)) as error:
        AccountsSettings()
    assert name.removeprefix("K1_ACCOUNTS_").lower() in str(error.value)
    assert SECRET not in str(error.value)
