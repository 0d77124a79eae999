"""`k1 compose init` makes the secrets of docker-compose.yml once."""

import json
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from cli.tests.command_runner import run_k1
from k1_cli.compose_secrets import ALERT_RECEIVERS, NAMES, make_secrets, password_of_env
from k1_cli.errors import CommandError


def _read(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_every_secret_is_made_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The second run changes nothing; both say what to do next, and neither shows a secret."""
    folder = tmp_path / "made" / "secrets"
    first = run_k1(capfd, "compose", "init", "--folder", str(folder))
    made = _read(folder)
    second = run_k1(capfd, "compose", "init", "--folder", str(folder))
    assert first.returncode == second.returncode == 0
    assert set(made) == set(NAMES)
    assert _read(folder) == made
    for done in (first, second):
        assert f"K1_SECRETS_FOLDER={folder} docker compose up --build --wait" in done.stderr
        assert not [name for name, text in made.items() if name != "K1_S3_ACCESS_KEY" and text in done.stderr]
    assert "made 8 secrets" in first.stderr
    assert "nothing was changed" in second.stderr


def test_the_passwords_differ_and_their_urls_fit(tmp_path: Path) -> None:
    """Each server has its own password, and the URLs and the keys of the object store contain it."""
    make_secrets(tmp_path)
    made = _read(tmp_path)
    passwords = [
        made[name] for name in ("postgres-password", "mongo-password", "K1_S3_SECRET_KEY", "grafana-password")
    ]
    assert len(set(passwords)) == 4
    assert min(map(len, passwords)) >= 48
    assert urlsplit(made["K1_POSTGRES_DSN"]).password == made["postgres-password"]
    assert urlsplit(made["K1_MONGO_URL"]).password == made["mongo-password"]
    (identity,) = json.loads(made["s3.json"])["identities"]
    keys = {"accessKey": made["K1_S3_ACCESS_KEY"], "secretKey": made["K1_S3_SECRET_KEY"]}
    assert identity["credentials"] == [keys]


def test_the_folder_is_closed_and_its_files_are_open(tmp_path: Path) -> None:
    """Containers read mounted files as other users, whatever the umask was; other people do not get into the folder."""
    folder = tmp_path / "secrets"
    before = os.umask(0o077)
    try:
        make_secrets(folder)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir() if file.is_file()} == {0o644}
    assert (folder / ALERT_RECEIVERS).stat().st_mode & 0o777 == 0o755


def test_it_says_that_alerts_go_nowhere_until_there_is_an_address(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The folder for the addresses is made empty; with a file in it the command says nothing about it."""
    first = run_k1(capfd, "compose", "init", "--folder", str(tmp_path))
    (tmp_path / ALERT_RECEIVERS / "pager-url").write_text("https://pager.example.org/secret")
    second = run_k1(capfd, "compose", "init", "--folder", str(tmp_path))
    assert f"alerts go nowhere until an address is in {tmp_path / ALERT_RECEIVERS}" in first.stderr
    assert "alerts go nowhere" not in second.stderr


def test_what_is_missing_fits_to_what_is_there(tmp_path: Path) -> None:
    """A URL that was deleted is made again from the password, also one with characters that a URL must escape."""
    (tmp_path / "postgres-password").write_text("p@ss:/w?rd\n")
    done = make_secrets(tmp_path)
    assert done.kept == ("postgres-password",)
    password = urlsplit((tmp_path / "K1_POSTGRES_DSN").read_text()).password
    assert unquote(password or "") == "p@ss:/w?rd"
    assert (tmp_path / "postgres-password").read_text() == "p@ss:/w?rd\n"


def test_the_password_of_an_earlier_release_is_kept(tmp_path: Path) -> None:
    """The databases of its volumes know no other one."""
    make_secrets(tmp_path, "of-the-earlier-release")
    made = _read(tmp_path)
    assert made["postgres-password"] == made["mongo-password"] == "of-the-earlier-release"
    assert "of-the-earlier-release" in made["s3.json"]


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("K1_PASSWORD=abc\n", "abc"),
        ("K1_LISTEN=1.2.3.4\nexport K1_PASSWORD = 'a b'\n", "a b"),
        ('K1_PASSWORD="old"\nK1_PASSWORD=new', "new"),
        ("K1_PASSWORD=\n", None),
        ("# K1_PASSWORD=abc\nMY_K1_PASSWORD=abc\n", None),
    ],
)
def test_a_file_of_variables_is_read(tmp_path: Path, text: str, password: str | None) -> None:
    """As docker compose reads it: the last one counts, and quotes do not belong to the value."""
    file = tmp_path / ".env"
    assert password_of_env(file) is None
    file.write_text(text)
    assert password_of_env(file) == password


def test_a_secret_that_is_empty_is_named(tmp_path: Path) -> None:
    """A disk that was full left it; the error says what to do, and a later run would not see it."""
    (tmp_path / "mongo-password").write_text("\n")
    with pytest.raises(CommandError, match="mongo-password is empty; write the secret"):
        make_secrets(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One sentence and exit code 1."""
    (tmp_path / "file").write_text("")
    done = run_k1(capfd, "compose", "init", "--folder", str(tmp_path / "file" / "secrets"))
    assert done.returncode == 1
    assert "cannot be made or read" in done.stderr
