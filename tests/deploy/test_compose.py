"""The files for docker compose: what they set is known, what they mount exists, and no container can do more than it must."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from k1_cli.compose_secrets import ALERT_RECEIVERS, NAMES, make_secrets
from k1_platform.secret_settings import SECRETS_FOLDER
from tests.support.documents.settings_classes import settings_classes, variable_of

ROOT: Final = Path(__file__).parents[2]
FILES: Final = ("docker-compose.yml", "docker-compose.listen.yml")
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / FILES[0]).read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
SERVERS: Final = {name for name, each in SERVICES.items() if not each["image"].startswith("k1-")}
JOBS: Final = {name for name, each in SERVICES.items() if "entrypoint" in each}
OF_IMAGES: Final = re.compile(r"POSTGRES_(USER|DB)|MONGO_INITDB_ROOT_USERNAME|GF_[A-Z_]+|[A-Z_]+_FILE")
"""Variables of the servers' images: none of them is a secret."""
DEFAULT: Final = re.compile(r"\$\{\w+:-([^}]*)\}")


@pytest.mark.parametrize("file", FILES)
def test_every_variable_is_a_setting(file: str) -> None:
    """A variable that no settings class reads would be ignored without a word."""
    known = {variable_of(each, field) for each in settings_classes() for field in each.model_fields}
    services = yaml.safe_load((ROOT / file).read_text())["services"]
    names = {name for each in services.values() for name in each.get("environment", {})}
    assert names - known - {SECRETS_FOLDER} == {name for name in names if OF_IMAGES.fullmatch(name)}


@pytest.mark.parametrize("file", FILES)
def test_no_secret_is_in_the_environment(file: str) -> None:
    """What may hold a secret is a file; nothing asks for a password in `.env`."""
    secret = {name for name in NAMES if name.startswith("K1_")}
    text = (ROOT / file).read_text()
    for name, service in yaml.safe_load(text)["services"].items():
        variables = set(service.get("environment", {}))
        assert not variables & secret, name
        assert not [each for each in variables if each.endswith(("PASSWORD", "SECRET", "SECRET_KEY"))], name
    assert not re.search(r"\$\{\w*(PASSWORD|SECRET_KEY|TOKEN)", text)


def test_every_secret_is_made_and_given_to_who_needs_it(tmp_path: Path) -> None:
    """`k1 compose init` makes each file; a service finds its settings by K1_SECRETS_DIR; none is left over."""
    make_secrets(tmp_path)
    declared: dict[str, dict[str, str]] = COMPOSE["secrets"]
    assert declared.keys() == set(NAMES) == {file.name for file in tmp_path.iterdir() if file.is_file()}
    for name, each in declared.items():
        assert each == {"file": f"${{K1_SECRETS_FOLDER:-./secrets}}/{name}"}
    assert {name for each in SERVICES.values() for name in each.get("secrets", [])} == set(NAMES)
    for name, service in SERVICES.items():
        given = {each for each in service.get("secrets", []) if each.startswith("K1_")}
        folder = service.get("environment", {}).get(SECRETS_FOLDER)
        assert (folder == "/run/secrets") == bool(given), name
        if name in SERVERS:
            texts = [
                *map(str, service.get("command", [])),
                *map(str, service.get("environment", {}).values()),
            ]
            for each in service.get("secrets", []):
                assert any(f"/run/secrets/{each}" in text for text in texts), name


@pytest.mark.parametrize(
    ("secret", "readers"),
    [
        ("K1_POSTGRES_DSN", {"accounts", "catalogue", "deploy", "telemetry", "webhooks"}),
        ("K1_MONGO_URL", {"catalogue"}),
        ("K1_S3_SECRET_KEY", {"analysis", "catalogue", "deploy", "ingest"}),
        ("K1_S3_ACCESS_KEY", {"analysis", "catalogue", "deploy", "ingest"}),
    ],
)
def test_a_service_has_only_the_secrets_that_it_uses(secret: str, readers: set[str]) -> None:
    """The gateway, which everyone reaches, has none."""
    given = {name for name, each in SERVICES.items() if secret in each.get("secrets", [])}
    assert given - JOBS == readers


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_confined(name: str) -> None:
    """Its image is read-only, it has no rights of root unless they are named, and cannot gain any."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert "cap_add" not in service or name in {"nats", "s3"}
    assert not [each for each in service.get("volumes", []) if "docker.sock" in each]


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - JOBS - {"jaeger"}))
def test_a_container_says_how_it_is_and_comes_back(name: str) -> None:
    """`up --wait` waits for it, by the check of the file or of our own image; it is started again when it ends."""
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    if name in SERVERS:
        assert service["healthcheck"]["test"][0] == "CMD"
    else:
        assert "healthcheck" not in service
        assert service["stop_grace_period"] == "45s"
    assert "HEALTHCHECK" in (ROOT / "docker" / "Dockerfile").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_an_exact_version(name: str) -> None:
    """Of a server: at least major and minor number. Of ours: the tag that was built here."""
    repository, _, tag = DEFAULT.sub(r"\1", SERVICES[name]["image"]).partition(":")
    if name in SERVERS:
        assert re.match(r"v?\d+\.\d+", tag), repository
    else:
        assert tag == "local"


@pytest.mark.parametrize("file", FILES)
def test_what_is_mounted_exists(file: str) -> None:
    """Each path of the checkout is there, read-only; every volume is declared, and each declared one is used."""
    volumes = [
        DEFAULT.sub(r"\1", each).split(":")
        for service in yaml.safe_load((ROOT / file).read_text())["services"].values()
        for each in service.get("volumes", [])
    ]
    for source, _, *mode in volumes:
        if source.startswith("./"):
            assert mode == ["ro"], source
            made = ("./tls/", f"./secrets/{ALERT_RECEIVERS}")
            assert (ROOT / source).exists() or source.startswith(made), source
    named = {source for source, *_ in volumes if not source.startswith("./")}
    if file == FILES[0]:
        assert named == COMPOSE["volumes"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    """Nothing listens beyond this machine without the file docker-compose.listen.yml."""
    assert [each for each in SERVICES[name].get("ports", []) if not each.startswith("127.0.0.1:")] == []


def test_monitoring_is_complete_and_off() -> None:
    """A plain `up` starts none of it; its configuration names the other containers as they are called here."""
    monitoring = {name for name, each in SERVICES.items() if each.get("profiles") == ["monitoring"]}
    assert monitoring == {"prometheus", "alertmanager", "blackbox", "grafana", "jaeger"}
    folder = ROOT / "deploy" / "monitoring"
    scraped = yaml.safe_load((folder / "prometheus" / "prometheus.yml").read_text())
    names = {
        name
        for job in scraped["scrape_configs"]
        for found in job.get("dns_sd_configs", [])
        for name in found["names"]
    }
    assert names == SERVICES.keys() - SERVERS - JOBS
    (alerting,) = scraped["alerting"]["alertmanagers"]
    assert alerting["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    sources = yaml.safe_load((folder / "grafana" / "provisioning" / "datasources" / "k1.yml").read_text())
    assert {re.sub(r"http://|:\d+", "", each["url"]) for each in sources["datasources"]} <= monitoring


def test_secrets_go_into_no_commit_and_no_image() -> None:
    """Git ignores the folder, and images are built from a list of what is allowed."""
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    assert {line for line in rules if line.startswith("!")} == {"!requirements.lock", "!libs/", "!services/"}
