"""`k1 devices` with a real gateway and NATS server; deploy is a stub."""

import json
import stat
from pathlib import Path

from cli.tests.commands.fleet.deploy_stub import K1, KEYS, Deploy
from cli.tests.golden import golden
from k1_contracts.messages.deploy.devices import AddDevices, DeviceView, ListDevices, RevokeDevices
from k1_platform.nats.queries.rpc import QueryError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_credentials_are_files_for_their_owner_alone(k1: K1, deploy: Deploy) -> None:
    """There is one file per device, and the keys that sign bundles; no secret is printed."""
    done = await k1("devices", "add", "--count", "3", "--prefix", "left-", "--group", "stage")
    assert done.returncode == 0, done.stderr
    folder = k1.home.root / "devices"
    names = ["ca.pem", "left-01.creds", "left-02.creds", "left-03.creds", "server.json", "trusted-keys.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (
        (folder / "left-02.creds")
        .read_text()
        .startswith("secret of left-02\n# The server is tls://10.0.0.1:4222")
    )
    assert "devices connect to NATS tls://10.0.0.1:4222" in done.stdout
    assert {mode(path) for path in folder.iterdir()} == {0o600}
    assert mode(folder) == 0o700
    assert "secret of" not in done.stdout + done.stderr
    assert deploy.of(AddDevices) == [AddDevices(device_ids=["left-01", "left-02", "left-03"], group="stage")]


async def test_mqtt_has_user_and_password(k1: K1, deploy: Deploy, tmp_path: Path) -> None:
    """The files are JSON in the given folder, with new credentials for existing devices."""
    out = tmp_path / "some" / "where"
    done = await k1("devices", "add", "k1-a", "--mqtt", "--renew", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "k1-a.mqtt.json").read_text()) == {
        "client_id": "secret id",
        "user": "k1-a",
        "password": "secret of k1-a",
        "host": "10.0.0.1",
        "port": 8883,
        "tls": True,
        "ca": "a certificate",
    }
    assert deploy.of(AddDevices) == [AddDevices(device_ids=["k1-a"], transport="mqtt", renew=True)]


async def test_secrets_are_printed_only_when_asked_for(k1: K1, deploy: Deploy) -> None:
    """The secrets are printed and no file is written."""
    done = await k1("devices", "add", "k1-a", "--print")
    assert "secret of k1-a" in done.stdout
    assert KEYS in done.stdout
    assert not (k1.home.root / "devices").exists()


async def test_what_deploy_refuses_is_one_sentence(k1: K1, deploy: Deploy, tmp_path: Path) -> None:
    """The message is deploy's sentence and no file is left. A read-only folder is an error before any request."""
    deploy.refusal = QueryError("device_exists", "There is a device k1-a already.", 409)
    done = await k1("devices", "add", "k1-a")
    assert (done.returncode, done.stderr) == (1, "k1: There is a device k1-a already. (device_exists)\n")
    assert list((k1.home.root / "devices").iterdir()) == []
    asked = len(deploy.of(AddDevices))
    (tmp_path / "file").touch()
    done = await k1("devices", "add", "k1-a", "--out", str(tmp_path / "file" / "x"))
    assert done.returncode == 1
    assert "nothing was added" in done.stderr
    assert len(deploy.of(AddDevices)) == asked


async def test_a_stopped_deploy_is_an_error(k1: K1) -> None:
    done = await k1("devices", "revoke", "k1-a")
    assert done.returncode == 1
    assert done.stderr.startswith("k1: the deploy service does not run; `./k1 status --home ")


async def test_devices_are_revoked(k1: K1, deploy: Deploy) -> None:
    done = await k1("devices", "revoke", "k1-a", "k1-b")
    assert (done.returncode, done.stdout) == (0, "revoked: k1-a, k1-b\n")
    assert deploy.of(RevokeDevices) == [RevokeDevices(device_ids=["k1-a", "k1-b"])]


async def test_devices_are_listed_page_by_page(k1: K1, deploy: Deploy) -> None:
    """All devices are listed, however many, as a table and as JSON."""
    one = golden(DeviceView)
    deploy.devices = [one.model_copy(update={"id": f"k1-{number}"}) for number in range(1200)]
    done = await k1("devices", "list", "--group", "stage", "--json")
    assert [item["id"] for item in done.json["items"]] == [f"k1-{number}" for number in range(1200)]
    asked = deploy.of(ListDevices)
    assert [query.cursor for query in asked] == [None, "1000"]
    assert {query.group for query in asked} == {"stage"}
    deploy.devices = deploy.devices[:2]
    done = await k1("devices", "list")
    assert "k1-1" in done.stdout
    assert "drift_ms > 50" in done.stdout
    assert done.stdout.endswith("2 of 2 online\n")
    shown = await k1("devices", "show", "k1-stage-left")
    assert "firmware: 2.3.1" in shown.stdout
