"""Copies the objects of the bucket to files and back, with rclone."""

import os
import subprocess
from pathlib import Path

from k1_cli.errors import CommandError
from k1_cli.stack.embedded.programs import find_program
from k1_platform.settings import ObjectStoreSettings


def save_objects(settings: ObjectStoreSettings, folder: Path) -> int:
    """Copy all objects into the folder; return their number.

    An object that was deleted after rclone listed it makes an attempt fail; the next one lists again.

    Raises:
        CommandError: rclone failed.
    """
    _run(settings, "copy", f":s3:{settings.bucket}", str(folder))
    return count_files(folder)


def load_objects(settings: ObjectStoreSettings, folder: Path) -> int:
    """Copy all files of the folder into the bucket; return their number.

    Raises:
        CommandError: rclone failed.
    """
    _run(settings, "copy", str(folder), f":s3:{settings.bucket}")
    return count_files(folder)


def has_objects(settings: ObjectStoreSettings) -> bool:
    """Return whether the bucket holds any object; a bucket that does not exist holds none.

    Raises:
        CommandError: rclone failed.
    """
    try:
        return bool(_run(settings, "lsf", "--recursive", "--files-only", f":s3:{settings.bucket}"))
    except CommandError as error:
        if "directory not found" in str(error):
            return False
        raise


def count_files(folder: Path) -> int:
    """Return the number of files below a folder."""
    return sum(path.is_file() for path in folder.rglob("*"))


def _run(settings: ObjectStoreSettings, *arguments: str) -> str:
    """Run rclone; the keys are in the environment, where other users do not see them."""
    environment = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ACCESS_KEY_ID": settings.access_key.get_secret_value(),
        "RCLONE_S3_SECRET_ACCESS_KEY": settings.secret_key.get_secret_value(),
        "RCLONE_S3_ENDPOINT": settings.url,
        "RCLONE_S3_REGION": settings.region,
    }
    if settings.ca is not None:
        environment["RCLONE_CA_CERT"] = str(settings.ca)
    done = subprocess.run(
        [find_program("rclone"), *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandError(f"rclone failed: {done.stderr.strip()[-500:]}")
    return done.stdout
