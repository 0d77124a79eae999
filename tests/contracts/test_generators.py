"""Public generators and parsers accept the API's documents completely, without a warning."""

import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from k1_contracts.documents.generate import DOCUMENTS
from k1_gateway.openapi.asyncapi import make_asyncapi
from tests.support.documents.generators import (
    CLIENT,
    LOCKS,
    NODE,
    OPENAPI,
    give_up,
    node_modules,
    operations,
    python_client,
    run,
)

GOLDEN = Path(__file__).parents[2] / "libs" / "contracts" / "tests" / "golden"
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.?(\d*?)0*(?:Z|\+00:00)")


@pytest.fixture(scope="module")
def client() -> ModuleType:
    """Generate the Python client."""
    return python_client()


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def test_the_python_client_has_every_call(client: ModuleType) -> None:
    """openapi-python-client drops calls and models that it cannot generate; here it drops none."""
    for operation in operations():
        module = f"{CLIENT}.api.{snake_case(operation['tags'][0])}.{snake_case(operation['operationId'])}"
        assert callable(importlib.import_module(module).sync)
    names = {path.stem for path in Path(str(client.__file__)).parent.glob("models/*.py")}
    schemas: dict[str, Any] = json.loads(OPENAPI.read_text("utf-8"))["components"]["schemas"]
    objects = {snake_case(name) for name, schema in schemas.items() if "properties" in schema}
    assert objects <= names
    assert [name for name in names if "input" in name.split("_")[1:] or "output" in name.split("_")[1:]] == [
        "node_output"
    ]


@pytest.mark.parametrize(
    "name", ["BundleView", "DeploymentPlan", "DeploymentView", "Simulated", "TrackDetail"]
)
def test_the_python_client_reads_complete_responses(client: ModuleType, name: str) -> None:
    """What it reads and writes again is unchanged."""
    example = json.loads(max((GOLDEN / name).glob("*.json")).read_text("utf-8"))
    model = getattr(importlib.import_module(f"{CLIENT}.models"), name)
    assert plain_times(model.from_dict(example).to_dict()) == plain_times(example)


def plain_times(value: Any) -> Any:
    """Return the same JSON with all times in one format."""
    return json.loads(TIME.sub(r"\1.\2Z", json.dumps(value)))


def test_the_typescript_types_compile(tmp_path: Path) -> None:
    """openapi-typescript generates types of every call, which TypeScript compiles in its strictest mode."""
    modules = node_modules()
    types = tmp_path / "api.ts"
    output = run(
        NODE, str(modules / "openapi-typescript" / "bin" / "cli.js"), str(OPENAPI), "--output", str(types)
    )
    assert not re.search("warn|error", output, re.IGNORECASE), output
    calls = " | ".join(f'operations["{operation["operationId"]}"]["responses"]' for operation in operations())
    use = tmp_path / "use.ts"
    use.write_text(
        'import type { components, operations } from "./api";\n'
        f"export type Answers = {calls};\n"
        'type Plan = operations["requestDeployment"]["responses"][200]["content"]["application/json"];\n'
        "export const risk = (plan: Plan): string => `${plan.would_start} ${plan.devices[0]?.checks[0]?.gate}`;\n"
        'export const order: components["schemas"]["DeploymentBody"] = {\n'
        '  track_id: "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD", version: 1, group: "demo",\n'
        '  activation: { when: "time", at: "2026-01-31T12:00:00Z" },\n'
        "};\n"
    )
    options = ("--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess")
    assert run(NODE, str(modules / "typescript" / "bin" / "tsc"), *options, str(use)) == ""


def test_the_asyncapi_parser_finds_nothing(tmp_path: Path) -> None:
    """The official parser reads the document of the bus, alone and with the WebSocket, without errors or hints."""
    served = tmp_path / "asyncapi.json"
    served.write_text(json.dumps(make_asyncapi()))
    for document in (DOCUMENTS / "asyncapi.json", served):
        found = run(NODE, str(LOCKS / "check_asyncapi.mjs"), str(node_modules()), str(document))
        assert json.loads(found) == []


def test_the_generators_are_pinned_by_hash_alone() -> None:
    """No lock names a registry or a download address, and every package has its hash."""
    python = (LOCKS / "requirements.txt").read_text("utf-8")
    blocks = re.split(r"\n(?=\S)", python)
    assert "://" not in python
    assert all("--hash=sha256:" in block for block in blocks)
    packages: dict[str, Any] = json.loads((LOCKS / "package-lock.json").read_text("utf-8"))["packages"]
    packages.pop("")
    assert all("resolved" not in package for package in packages.values())
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


@pytest.mark.parametrize(
    ("ci", "reason", "outcome"),
    [
        ("", "getaddrinfo ENOTFOUND", pytest.skip.Exception),
        ("true", "getaddrinfo ENOTFOUND", pytest.fail.Exception),
        ("", "npm error code EINTEGRITY", pytest.fail.Exception),
    ],
)
def test_without_a_registry_tests_are_skipped_except_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, reason: str, outcome: type[BaseException]
) -> None:
    """They are skipped on a machine without a network, and fail in CI; a wrong download always fails."""
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="could not be installed"):
        give_up(LOCKS / "requirements.txt", reason)
