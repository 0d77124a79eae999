"""The keys that bundles are signed with."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from k1_platform.auth.signing import SigningKeyError, add_key, ensure_key, load_keys


def raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes_raw()


def run(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "K1_SIGNING_KEYS": str(folder)}
    command = [sys.executable, "-m", "k1_platform.auth.signing", *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def test_the_first_key_is_made_once(tmp_path: Path) -> None:
    """However many processes try at the first start; only the owner can read it."""
    folder = tmp_path / "deep" / "keys"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ensure_key(folder), range(8)))
    assert sorted(made) == [False] * 7 + [True]
    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_newest_key_signs_and_the_old_ones_stay_valid(tmp_path: Path) -> None:
    """Rotation as operations does it: the command adds a key, which is the first in the list."""
    run(tmp_path)
    first = load_keys(tmp_path)
    run(tmp_path)
    assert len(load_keys(tmp_path).public) == 1
    run(tmp_path, "--rotate")
    both = load_keys(tmp_path)
    assert raw(both.signing.public_key()) == raw(both.public[0]) != raw(first.public[0])
    assert raw(both.public[1]) == raw(first.public[0])
    first.public[0].verify(first.signing.sign(b"bundle"), b"bundle")


def test_a_withdrawn_key_is_gone(tmp_path: Path) -> None:
    """Removing its file is all that it takes."""
    ensure_key(tmp_path)
    add_key(tmp_path)
    oldest = min(tmp_path.iterdir())
    oldest.unlink()
    assert len(load_keys(tmp_path).public) == 1


def test_without_a_key_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    """An empty folder and one that is not there."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(SigningKeyError, match=r"python -m k1_platform\.auth\.signing"):
            load_keys(folder)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """With the command that mends it."""
    ensure_key(tmp_path)
    [file] = tmp_path.iterdir()
    file.chmod(0o640)
    with pytest.raises(SigningKeyError, match="chmod 600"):
        load_keys(tmp_path)


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    """Another kind of key and a file of rubbish, each named."""
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content, reason in ((pem, "no Ed25519 key"), (b"rubbish", "cannot be read")):
        file = tmp_path / "20260101T000000.000000Z.pem"
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(SigningKeyError, match=reason):
            load_keys(tmp_path)
