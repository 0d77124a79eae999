"""The keys of the bus: made once, private, and remade where one was removed."""

import errno
import json
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from k1_platform.auth.jwt import KeyKind, NatsTokenError, decode, key_kind, parse_credentials
from k1_platform.auth.nkeys import NatsKeys, ensure_nats_keys
from k1_platform.auth.service_permissions import SERVICES

FILES = {
    "deploy/account.json", "deploy/device-mqtt.nk", "deploy/device.nk", "deploy/operator-signing.nk",
    "deploy/system.creds", "root/account.nk", "root/operator.nk", "root/services.nk", "root/system.nk",
    "server/operator.conf", "admin/nats.creds", "admin/mirror.creds", "admin/mirror.conf",
    *(f"services/{name}/nats.creds" for name in SERVICES),
}  # fmt: skip
PUBLIC = {"server/operator.conf", "admin/mirror.conf"}
OF_SERVICES = {name for name in FILES if name.endswith(("/nats.creds", "/mirror.creds"))}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_keys_are_made_once_and_kept_private(tmp_path: Path) -> None:
    """However many processes begin at once, as a module or as a library; only what the server reads is public."""
    folder = tmp_path / "deep" / "keys"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ensure_nats_keys(folder), range(8)))
    made = contents(folder)
    assert set(made) == FILES
    command = [sys.executable, "-m", "k1_platform.auth.nkeys"]
    subprocess.run(command, env={**os.environ, "K1_NATS_KEYS": str(folder)}, check=True, capture_output=True)
    assert contents(folder) == made
    for name in FILES:
        assert stat.S_IMODE((folder / name).stat().st_mode) == (0o644 if name in PUBLIC else 0o600), name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_server_and_deploy_learn_no_key_of_the_root(tmp_path: Path) -> None:
    """No seed is in the server's file, and none of the root's in deploy's folder."""
    made = contents(ensure_nats_keys(tmp_path).folder)
    roots = [text.strip() for name, text in made.items() if name.startswith("root/")]
    for name, text in made.items():
        if not name.startswith("root/"):
            assert not [seed for seed in roots if seed in text], name
    assert not re.search(rb"\bS[OAU][A-Z2-7]{56}", made["server/operator.conf"])


def test_tokens_form_a_chain(tmp_path: Path) -> None:
    """The operator signs its signing key, which signs the accounts, whose keys sign the users."""
    keys = ensure_nats_keys(tmp_path)
    configuration = keys.server_configuration.read_text()
    operator, *accounts = (decode(token) for token in re.findall(r"eyJ[\w.-]+", configuration))
    account = next(claims for claims in accounts if claims["sub"] == keys.account)
    service = decode(parse_credentials(keys.service_credentials("catalogue").read_text())[0])
    keeper = decode(parse_credentials((keys.deploy / "system.creds").read_text())[0])
    assert operator["iss"] == operator["sub"]
    assert [claims["iss"] for claims in accounts] == operator["nats"]["signing_keys"] * 2
    assert service["iss"] in account["nats"]["signing_keys"]
    assert service["nats"]["issuer_account"] == keys.account == account["name"]
    assert keeper["iss"] == operator["nats"]["system_account"]
    assert key_kind(service["sub"]) is KeyKind.USER


@pytest.mark.parametrize("name", sorted(FILES))
def test_what_was_removed_is_made_anew(tmp_path: Path, name: str) -> None:
    """A key with what follows from it, a public file as it was; what does not follow stays."""
    keys = ensure_nats_keys(tmp_path)
    before = contents(tmp_path)
    (tmp_path / name).unlink()
    ensure_nats_keys(tmp_path)
    after = contents(tmp_path)
    changed = {each for each in FILES if after[each] != before[each]}
    follows = {
        "root/operator.nk": {"server/operator.conf"},
        "root/system.nk": {"server/operator.conf", "deploy/system.creds"},
        "root/account.nk": {"server/operator.conf", "deploy/account.json", "admin/mirror.conf", *OF_SERVICES},
        "root/services.nk": {"server/operator.conf", "deploy/account.json", *OF_SERVICES},
        "deploy/operator-signing.nk": {"server/operator.conf"},
        "deploy/device.nk": {"server/operator.conf", "deploy/account.json"},
        "deploy/device-mqtt.nk": {"server/operator.conf", "deploy/account.json"},
    }
    if name in {"deploy/account.json", *PUBLIC}:
        assert changed == set()
    else:
        assert changed == {name} | follows.get(name, set())
    assert json.loads(after["deploy/account.json"])["account"] == keys.account


def test_the_shared_credential_of_older_releases_is_removed(tmp_path: Path) -> None:
    """It permitted everything, and services could read it."""
    shared = tmp_path / "services" / "nats.creds"
    shared.parent.mkdir()
    shared.write_text("old")
    ensure_nats_keys(tmp_path)
    assert not shared.exists()
    assert set(contents(tmp_path)) == FILES


def test_the_folder_itself_need_not_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container only its parts are volumes, and the image around them is read-only: nothing is removed there."""
    ensure_nats_keys(tmp_path)

    def read_only(file: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))

    monkeypatch.setattr(Path, "unlink", read_only)
    ensure_nats_keys(tmp_path)


def test_a_broken_key_is_named_and_left(tmp_path: Path) -> None:
    """Nothing takes the place of a key that may be restored from a backup."""
    keys = ensure_nats_keys(tmp_path)
    seed = tmp_path / "root" / "account.nk"
    seed.write_text("rubbish")
    with pytest.raises(NatsTokenError, match=r"root/account\.nk"):
        ensure_nats_keys(tmp_path)
    assert seed.read_text() == "rubbish"
    assert NatsKeys(tmp_path) == keys
