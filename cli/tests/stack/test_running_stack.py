"""A stack that runs, of stubs of the services and real servers: its status, its processes, its addresses."""

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from cli.tests.stack.machine import Machine, running
from k1_cli.stack.services import SERVICE_NAMES
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which a stack runs during all tests."""
    machine = Machine(tmp_path_factory.mktemp("shared"))
    with running(machine):
        yield machine


@pytest.mark.parametrize("name", ["gateway", "nats"])
def test_a_killed_process_is_restarted(shared: Machine, name: str) -> None:
    """A killed service or server restarts on its port in a new process, which the state file names."""
    before, ports = shared.pids()[name], shared.ports()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: shared.pids().get(name, before) != before, f"{name} starts again")
    assert shared.ports() == ports


def test_status_is_a_document_for_scripts(shared: Machine) -> None:
    """The document has servers, services, consumers and dead letters; the exit code is 0 when all are ready."""
    status = shared.status()
    assert set(status) == {"servers", "services", "simulated", "devices", "consumers", "dead_letters"}
    assert status["devices"] == {
        "nats_url": f"nats://127.0.0.1:{status['servers'][0]['port']}",
        "mqtt_url": f"mqtt://127.0.0.1:{shared.stack.home.remembered_ports()['mqtt']}",
        "ca": None,
    }
    assert [server["name"] for server in status["servers"]] == ["nats", "postgres", "mongo", "s3", "mailbox"]
    assert set(status["servers"][0]) == {"name", "pid", "port", "ready"}
    assert [service["name"] for service in status["services"]] == list(SERVICE_NAMES)
    gateway = status["services"][-1]
    assert gateway == {**gateway, "pid": shared.pids()["gateway"], "ready": True, "version": "9.9"}
    assert set(status["consumers"][0]) == {"stream", "durable", "pending", "ack_pending"}
    assert status["dead_letters"] == 0


def test_only_owners_get_the_paths_of_keys(shared: Machine) -> None:
    """Each folder of keys has one owner: the catalogue signs bundles, accounts tokens, deploy devices' credentials."""
    shared.status()
    variables: dict[str, list[str]] = {}
    for name in SERVICE_NAMES:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{shared.ports()[name]}/readyz", timeout=60
        ) as response:
            variables[name] = json.load(response)["variables"]
    assert variables == {name: [] for name in SERVICE_NAMES} | {
        "accounts": ["K1_ACCOUNTS_KEYS"],
        "catalogue": ["K1_SIGNING_KEYS"],
        "deploy": ["K1_DEPLOY_DEVICE_MQTT_URL", "K1_DEPLOY_DEVICE_NATS_URL", "K1_DEPLOY_NATS_KEYS"],
    }
    assert not [name for name in shared.stack.environment if "KEYS" in name]


def test_a_stack_on_a_network(machine: Machine) -> None:
    """`--listen`: the web address, NATS, MQTT and S3 speak TLS there; services and `status` trust the CA."""
    with running(machine, "--listen", "127.0.0.2", "--name", "127.0.0.2"):
        status, stack = machine.status(), machine.stack
    assert stack.url.startswith("https://127.0.0.2:")
    assert status["devices"] == {
        "nats_url": f"tls://127.0.0.2:{stack.home.remembered_ports()['nats']}",
        "mqtt_url": f"mqtts://127.0.0.2:{stack.home.remembered_ports()['mqtt']}",
        "ca": (machine.home / "tls" / "ca.pem").read_text(),
    }
    wanted = {"K1_NATS_CA", "K1_S3_CA", "K1_S3_URL", "K1_S3_PUBLIC_URL", "K1_GATEWAY_ALLOWED_HOSTS"}
    variables = dict(sorted((name, stack.environment[name]) for name in wanted))
    ca, s3 = str(machine.home / "tls" / "ca.pem"), f"https://127.0.0.2:{port_of(status, 's3')}"
    assert list(variables.values()) == ["127.0.0.2", ca, ca, s3, s3]


def port_of(status: dict[str, Any], server: str) -> int:
    return next(each["port"] for each in status["servers"] if each["name"] == server)


def test_a_second_up_says_so(shared: Machine) -> None:
    """Neither way of starting touches the running stack; both say how to see it and how to stop it."""
    home = shared.home
    for arguments in (("up",), ("up", "--detach")):
        assert shared.run(*arguments) == (
            1,
            "",
            f"k1: a stack already runs on {home}; `./k1 status --home {home}` shows it, `./k1 down --home {home}` stops it\n",
        )
    assert shared.status()["servers"]  # all of them answer
