"""The show of a song on the whole system: generated, validated, edited, simulated, signed and displayed."""

import base64
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from k1_contracts.genesis import GenesisMap
from k1_graph.bundle.device_map import decode_map
from tests.support import songs
from tests.support.system import System

pytestmark = pytest.mark.e2e

DECODER = Path(__file__).parents[2] / "docs" / "bundle-reference-decoder.py"
RUN = {"graph.executor.scale.json", "visual.report.json", "preview.png", "preview.bin", "bundle.k1b"}


def reference_decoder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_decoder", DECODER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def analysed(system: System, data: bytes, name: str = "song.wav", **fields: str) -> str:
    """Upload a song, wait for its analysis, and return the path of its first version."""
    accepted = system.upload_with_retry(data, name, None, **fields).json()
    job = system.wait_for_job(accepted["job_id"])
    assert job["status"] == "completed", job
    return f"/tracks/{accepted['track_id']}/versions/1"


def artefacts(system: System, version: str) -> dict[str, dict[str, Any]]:
    return {artefact["name"]: artefact for artefact in system.get(f"{version}/artefacts")["artefacts"]}


def present(found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, artefact in found.items() if artefact["status"] == "present"}


def fetched(url: str) -> httpx.Response:
    """Download an artefact from its signed URL."""
    return httpx.get(url, timeout=60)


def public_keys(system: System) -> dict[str, bytes]:
    return {
        key["kid"]: base64.urlsafe_b64decode(key["x"] + "=" * (-len(key["x"]) % 4))
        for key in system.get("/keys")["keys"]
    }


def opened(system: System, version: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Open the bundle as a device does: with the documented decoder and a key that the system serves."""
    decoder = reference_decoder()
    data = fetched(artefacts(system, version)["bundle.k1b"]["url"]).content
    [key] = public_keys(system).values()
    manifest, parts = decoder.open_bundle(data, key)
    assert manifest["key_id"] in public_keys(system)
    return manifest, parts, data


@pytest.fixture(scope="module")
def version(system: System) -> str:
    """Analyse a song with a preset."""
    return analysed(system, songs.song(940, seconds=12.0), preset="edm")


def test_a_finished_song_has_every_artefact(system: System, version: str) -> None:
    """It has all types but the beat override, which only a person makes; JSON is also inline."""
    found = artefacts(system, version)
    assert set(found) - present(found) == {"graph.analysis.beat_override.json"}
    for name in ("graph.json", "graph.metrics.json", "graph.estimate.json", "graph.impact.json"):
        assert found[name]["inline_json"] == fetched(found[name]["url"]).json()
    assert found["graph.validation.json"]["inline_json"]["ok"] is True
    assert found["visual.report.json"]["inline_json"]["photosensitivity"]["passed"] is True
    assert found["graph.executor.scale.json"]["inline_json"]["pixels_identical"] is True
    assert fetched(found["preview.png"]["url"]).content.startswith(b"\x89PNG")
    graph = system.get(f"{version}/graph")
    assert graph["meta"]["preset"] == "edm"
    assert graph == found["graph.json"]["inline_json"]


def test_the_bundle_opens_with_the_served_key(system: System, version: str) -> None:
    """It contains the map, to within a quantisation step, and the graph."""
    manifest, parts, _ = opened(system, version)
    genesis = GenesisMap.model_validate(system.get(f"{version}/genesis"))
    assert manifest["track_id"] in version
    assert manifest["map_sha256"] == genesis.metadata.hashes.map_sha256
    player = reference_decoder().Player(parts["map"])
    beats = genesis.layers.rhythm.beat_grid_ms
    assert len(player.beats) == len(beats)
    assert max(abs(a - b) for a, b in zip(player.beats, beats, strict=True)) <= 1.0
    graph = system.get(f"{version}/graph")
    assert [node["id"] for node in parts["graph"]["nodes"]] == [node["id"] for node in graph["nodes"]]


def test_a_device_without_a_hello_has_no_firmware(system: System, version: str) -> None:
    """The response about the bundle still fits its schema, which is checked for every response."""
    system.cli("devices", "add", "silent-0001")
    try:
        found = system.get(f"{version}/bundle")["compatibility"]
        (silent,) = [each for each in found if each["device_id"] == "silent-0001"]
        assert silent["status"] == "offline"
        assert "firmware" not in silent
    finally:
        system.cli("devices", "revoke", "silent-0001")


def test_a_broken_graph_is_refused_with_every_violation(system: System, version: str) -> None:
    """In one problem; the graph does not change."""
    before = system.request("GET", f"{version}/graph")
    broken = before.json()
    broken["version"] = "v9"
    broken["nodes"][0]["type"] = "Strobe"
    broken["nodes"].append({"id": "Not Snake", "type": "Time"})
    answer = system.request("PUT", f"{version}/graph", json=broken)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "graph_invalid")
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"graph_version", "unknown_type", "node_id"} <= {v["rule"] for v in problem["violations"]}
    assert all(violation["fix"] for violation in problem["violations"])
    assert system.request("GET", f"{version}/graph").headers["ETag"] == before.headers["ETag"]


def test_an_edit_removes_the_results_until_the_next_simulation(system: System) -> None:
    """After a PUT with If-Match the results are missing; a simulation creates those of the edited graph."""
    version = analysed(system, songs.song(941, seconds=8.0), preset="rock")
    was = artefacts(system, version)
    held = system.request("GET", f"{version}/graph")
    edited = held.json()
    root = next(node for node in edited["nodes"] if node["type"] == "LedOutput")
    root["type"] = "LedOutputMirror"
    tag = {"If-Match": held.headers["ETag"]}
    saved = system.request("PUT", f"{version}/graph", json=edited, headers=tag)
    assert saved.status_code == 200, saved.text
    assert set(saved.json()["outdated"]) == RUN
    assert root["id"] in saved.json()["impact"]["added_nodes"]
    late = system.request("PUT", f"{version}/graph", json=held.json(), headers=tag)
    assert (late.status_code, late.json()["code"]) == (412, "graph_changed")
    assert RUN & present(artefacts(system, version)) == set()
    done = system.request("POST", f"{version}/simulate")
    assert done.status_code == 200, done.text
    assert done.json()["saved"] is True
    assert done.json()["after_ms"] <= done.json()["before_ms"]
    now = artefacts(system, version)
    assert present(now) >= RUN
    for name in ("graph.json", "preview.png", "preview.bin", "bundle.k1b"):
        assert now[name]["sha256"] != was[name]["sha256"]
    _, parts, data = opened(system, version)
    assert "LedOutputMirror" in {node["type"] for node in parts["graph"]["nodes"]}
    assert system.request("POST", f"{version}/simulate").status_code == 200
    assert opened(system, version)[2] == data


def test_a_graph_can_be_tried_without_saving_it(system: System, version: str) -> None:
    """The response has the figures and the picture of the given graph, and nothing is changed."""
    before = artefacts(system, version)
    plain = {
        "name": "plain",
        "version": "v1.0",
        "nodes": [
            {"id": "level", "type": "MapEnvelope", "params": {"layer": "rms"}},
            {"id": "colour", "type": "GradientMap", "inputs": {"index": "level"}},
            {"id": "fill", "type": "Fill", "inputs": {"color": "colour"}},
            {"id": "strip", "type": "LedOutput", "inputs": {"color": "fill"}},
        ],
    }
    done = system.request("POST", f"{version}/simulate", json={"graph": plain})
    assert done.status_code == 200, done.text
    assert (done.json()["saved"], done.json()["executor_scale"]["nodes_before"]) == (False, 4)
    pictures = [a["url"] for a in done.json()["artefacts"] if a["name"] == "preview.png"]
    assert fetched(pictures[0]).content.startswith(b"\x89PNG")
    after = artefacts(system, version)
    assert {n: a.get("sha256") for n, a in after.items()} == {n: a.get("sha256") for n, a in before.items()}


def test_a_silent_song_has_a_valid_show(system: System) -> None:
    """Without beats or drops it still has every artefact, and a bundle with the right map."""
    version = analysed(system, songs.silence(seconds=5.0), "silence-show.wav")
    found = artefacts(system, version)
    assert set(found) - present(found) == {"graph.analysis.beat_override.json"}
    reasons = system.get(f"{version}/graph")["meta"]["reasons"]
    assert reasons[0]["text"].startswith("no preset was chosen: orchestral")
    data = fetched(found["bundle.k1b"]["url"]).content
    decoder = reference_decoder()
    [key] = public_keys(system).values()
    manifest, parts = decoder.open_bundle(data, key)
    assert decode_map(decoder.cbor2.dumps(parts["map"])).layers.rhythm.beat_grid_ms == []
    assert manifest["track_version"] == 1


def test_the_command_line_simulates_and_draws(system: System, version: str, tmp_path: Path) -> None:
    """`k1 simulate` writes a page without external resources, `k1 graph` a picture."""
    track = version.split("/")[2]
    page, picture, graph = tmp_path / "show.html", tmp_path / "graph.png", tmp_path / "graph.json"
    done = json.loads(system.cli("simulate", track, "--html", str(page), "--json").stdout)
    assert done["saved"] is True
    text = page.read_text()
    assert "data:audio/" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    system.cli("graph", track, "--png", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    graph.write_text(system.cli("graph", track, "--json").stdout)
    tried = json.loads(system.cli("simulate", track, "--graph", str(graph), "--json").stdout)
    assert (tried["saved"], tried["after_ms"]) == (False, done["after_ms"])
    graph.write_text('{"name": "x"}')
    refused = system.cli("simulate", track, "--graph", str(graph), check=False)
    assert refused.returncode == 1
    assert "nodes is" in refused.stderr


def test_the_signing_key_is_private(system: System) -> None:
    """Only its owner may read it, and only the service that signs has its path."""
    [key] = (system.home / "keys").iterdir()
    assert key.stat().st_mode & 0o077 == 0
    assert "K1_SIGNING_KEYS" not in system.stack.environment
    environments = {
        name: Path(f"/proc/{system.pid(name)}/environ").read_bytes() for name in ("analysis", "gateway")
    }
    assert all(b"K1_SIGNING_KEYS" not in environment for environment in environments.values())
