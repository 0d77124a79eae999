"""A damaged or foreign backup is refused before anything is written, and so is a home that holds something."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.tests.command_runner import run_k1
from k1_cli.backup.database import connection_variables
from k1_cli.backup.manifest import FORMAT, BackupFolder, Counts, Manifest
from k1_cli.errors import CommandError


@pytest.fixture
def backup(tmp_path: Path) -> BackupFolder:
    """Return a complete backup."""
    made = BackupFolder(tmp_path / "backup")
    made.create()
    made.database.write_bytes(b"rows" * 1000)
    (made.objects / "song.wav").write_bytes(b"RIFF")
    made.write_manifest(manifest(made))
    return made


def manifest(folder: BackupFolder, *, version: int = FORMAT) -> Manifest:
    return Manifest(
        format=version,
        created_at=datetime(2026, 11, 29, tzinfo=UTC),
        k1_version="0.1.0",
        nats_version="2.15.0",
        postgres_version="18.1",
        changes_refused_s=5,
        took_s=6,
        counts=Counts(streams={}, documents={}, objects=1),
        files=folder.list_files(),
    )


def damage(folder: BackupFolder, how: str) -> None:
    dump, manifest_file = folder.database, folder.root / "manifest.json"
    if how == "has another size":
        dump.write_bytes(dump.read_bytes()[:-1])
    elif how == "was changed":
        dump.write_bytes(b"Rows" * 1000)
    elif how == "is missing":
        dump.unlink()
    elif how == "is not in the manifest":
        (folder.keys / "other").touch()
    elif how == "has no manifest":
        manifest_file.unlink()
    elif how == "manifest of":
        manifest_file.write_text(manifest_file.read_text().replace("2.15.0", "2.14.0"))
    else:
        folder.write_manifest(manifest(folder, version=FORMAT + 1))


@pytest.mark.parametrize(
    "how",
    [
        "has another size",
        "was changed",
        "is missing",
        "is not in the manifest",
        "has no manifest",
        "manifest of",
        "has format 2",
    ],
)
def test_a_damaged_backup_is_refused(backup: BackupFolder, tmp_path: Path, capfd, how: str) -> None:
    """The message says what is wrong with it, and no home is made."""
    damage(backup, how)
    done = run_k1(capfd, "restore", str(backup.root), "--home", str(tmp_path / "home"))
    assert done.returncode == 1
    assert how in done.stderr.replace("\n", " ")
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "home.restoring").exists()


def test_a_home_that_holds_something_is_not_replaced(backup: BackupFolder, tmp_path: Path, capfd) -> None:
    """Neither is a folder that holds something overwritten by a backup."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "keys").touch()
    done = run_k1(capfd, "restore", str(backup.root), "--home", str(tmp_path / "home"))
    assert (done.returncode, "--overwrite" in done.stderr) == (1, True)
    with pytest.raises(CommandError, match="is not empty"):
        backup.create()


def test_a_password_is_on_no_command_line() -> None:
    """The variables of libpq carry what the address says, also what is quoted in it."""
    dsn = "postgresql://k1:p%40ss@db.example:6432/k1?sslmode=verify-full&sslrootcert=/ca.pem"
    assert connection_variables(dsn) == {
        "PGHOST": "db.example",
        "PGPORT": "6432",
        "PGUSER": "k1",
        "PGPASSWORD": "p@ss",
        "PGDATABASE": "k1",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/ca.pem",
    }
