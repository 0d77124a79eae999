"""Makes the Secrets of an installation on Kubernetes: keys in a folder, and manifests of them on stdout.

    .venv/bin/python deploy/scripts/make_secrets.py FOLDER | kubectl apply --server-side -f -

It changes no key that exists, so run it again before each release: the permissions of a service on the bus follow from
its contracts. Keep the folder offline; `FOLDER/nats/root` goes into no Secret. The credentials of the object store are
those of the environment variables K1_S3_ACCESS_KEY and K1_S3_SECRET_KEY, those of the store of backups
BACKUP_S3_ACCESS_KEY and BACKUP_S3_SECRET_KEY, by default the same.
"""

import argparse
import base64
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from k1_platform.auth.nkeys import ensure_nats_keys
from k1_platform.auth.secret_files import write_atomically
from k1_platform.auth.service_permissions import SERVICES
from k1_platform.auth.signing import ensure_key
from k1_webhooks.master_key import ensure_master_key

Files = Mapping[str, bytes]


def main() -> None:
    """Make what is missing in the folder, and print the Secrets."""
    parser = argparse.ArgumentParser(description="Make the Secrets of an installation on Kubernetes.")
    parser.add_argument("folder", type=Path, help="where the keys are kept; made if it does not exist")
    parser.add_argument("--namespace", default="k1", help="the namespace of the Secrets (%(default)s)")
    arguments = parser.parse_args()
    try:
        found = dict(make_secrets(arguments.folder, os.environ))
    except KeyError as error:
        sys.exit(
            f"the environment variable {error.args[0]} is not set; set it to the key of the object store"
        )
    items = [_manifest(name, arguments.namespace, files) for name, files in found.items()]
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1))


def make_secrets(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, Files]]:
    """Yield each Secret with its files; make the keys that do not exist.

    Raises:
        KeyError: the credentials of the object store are not in the environment; names the variable.
        OSError: the folder cannot be read or written.
    """
    store = {
        key: environment[f"K1_S3_{key.upper().replace('-', '_')}"] for key in ("access-key", "secret-key")
    }
    backups = {
        key: environment.get(f"BACKUP_S3_{key.upper().replace('-', '_')}", value)
        for key, value in store.items()
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = ensure_nats_keys(folder / "nats")
    yield "k1-nats-operator", _files(keys.server_configuration)
    yield "k1-nats-admin", _files(keys.admin_credentials)
    yield "k1-nats-mirror", _files(keys.mirror_credentials, keys.mirror_account)
    yield "k1-device-keys", _files(*keys.deploy.iterdir())
    for service in SERVICES:
        yield f"k1-nats-{service}", _files(keys.service_credentials(service))
    for name in ("signing-keys", "account-keys"):
        ensure_key(folder / name)
        yield f"k1-{name}", _files(*(folder / name).glob("*.pem"))
    master_key = folder / "webhooks" / "secret.key"
    ensure_master_key(master_key)
    yield "k1-webhooks-key", _files(master_key)
    password = folder / "mongodb-password"
    if not password.exists():
        # Hexadecimal: it becomes a part of a URL.
        write_atomically(password, secrets.token_hex(24))
    yield "k1-mongodb-user", {"password": password.read_bytes()}
    yield "k1-object-store", {key: value.encode() for key, value in store.items()}
    yield "k1-backup-store", {key: value.encode() for key, value in backups.items()}


def _files(*files: Path) -> Files:
    return {file.name: file.read_bytes() for file in sorted(files)}


def _manifest(name: str, namespace: str, files: Files) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "k1"}},
        "data": {file: base64.b64encode(content).decode() for file, content in files.items()},
    }


if __name__ == "__main__":
    main()
