"""Beats of a person on the whole system: set, signed, deployable, undone; two people at once; the command line."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from k1_contracts.genesis import GenesisMap
from tests.e2e.test_graph import analysed, artefacts, opened, present
from tests.support import songs
from tests.support.system import System

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def version(system: System) -> str:
    return analysed(system, songs.song(960, seconds=16.0), preset="edm")


def sent(system: System, method: str, path: str, **arguments: Any) -> httpx.Response:
    return system.request(method, f"{path}/beat-override", **arguments)


def test_beats_are_set_and_removed(system: System, version: str) -> None:
    """Each makes a version with a bundle that a device accepts; the audio is not analysed again."""
    import mir_eval.beat  # it takes seconds, which every worker of the suite would spend

    track = version.rpartition("/versions/")[0]
    number = len(system.get(track)["versions"]) + 1
    held = sent(system, "GET", version)
    automatic = GenesisMap.model_validate(system.get(f"{version}/genesis"))
    beats = [round(beat + 30, 1) for beat in held.json()["beats_ms"]][1:]
    body = {"beats_ms": beats, "note": "by ear"}
    saved = sent(system, "POST", version, json=body, headers={"If-Match": held.headers["ETag"]})
    assert saved.status_code == 201, saved.text
    assert (saved.json()["version"], saved.json()["changes"]["moved_count"]) == (number, len(beats))
    late = sent(system, "POST", version, json=body, headers={"If-Match": held.headers["ETag"]})
    assert (late.status_code, late.json()["code"]) == (412, "override_changed")
    newer = f"{track}/versions/{number}"
    genesis = GenesisMap.model_validate(system.get(f"{newer}/genesis"))
    human = mir_eval.beat.trim_beats(np.array(beats) / 1000)
    found = mir_eval.beat.trim_beats(np.array(automatic.layers.rhythm.beat_grid_ms) / 1000)
    assert genesis.layers.rhythm.beat_grid_ms == beats
    assert genesis.global_metrics.f_measure == pytest.approx(mir_eval.beat.f_measure(human, found), abs=1e-4)
    assert genesis.global_metrics.cemgil == pytest.approx(mir_eval.beat.cemgil(human, found)[0], abs=1e-4)
    assert genesis.layers.frequency == automatic.layers.frequency
    manifest, parts, _ = opened(system, newer)
    assert (manifest["track_version"], manifest["map_sha256"]) == (number, genesis.metadata.hashes.map_sha256)
    assert parts["graph"] == opened(system, version)[1]["graph"]
    assert present(artefacts(system, newer)) == present(artefacts(system, version)) | {
        "graph.analysis.beat_override.json"
    }
    assert system.get(f"{newer}/bundle")["manifest"]["track_version"] == number
    detail = system.get(track)
    assert detail["track"]["current_version"] == number
    assert "job_id" not in detail["versions"][0]
    back = sent(system, "DELETE", newer, headers={"If-Match": saved.headers["ETag"]})
    assert (back.status_code, back.json()["version"]) == (200, number + 1)
    last = f"{track}/versions/{number + 1}"
    assert system.get(f"{last}/genesis") == system.get(f"{version}/genesis")
    assert opened(system, last)[0]["track_version"] == number + 1


def test_one_of_several_people_saves(system: System) -> None:
    version = analysed(system, songs.song(961, seconds=8.0))
    held = sent(system, "GET", version)
    beats = held.json()["beats_ms"]

    def save(shift: int) -> int:
        body = {"beats_ms": [beat + shift for beat in beats[1:-1]]}
        return sent(
            system, "POST", version, json=body, headers={"If-Match": held.headers["ETag"]}
        ).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(save, range(1, 5))) == [201, 412, 412, 412]
    assert len(system.get(version.rpartition("/versions/")[0])["versions"]) == 2


def test_an_alternative_is_taken_with_one_request(system: System, version: str) -> None:
    """The times of its downbeats become indices of its beats."""
    rhythm = system.get(f"{version}/genesis?layers=rhythm")["layers"]["rhythm"]
    taken = next(other for other in rhythm["alternatives"] if other["kind"] == "half")
    beats = taken["beat_grid_ms"]
    body = {"beats_ms": beats, "downbeats": [beats.index(time) for time in taken["downbeat_ms"]]}
    saved = sent(system, "POST", version, json=body)
    assert saved.status_code == 201, saved.text
    newer = f"{version.rpartition('/')[0]}/{saved.json()['version']}"
    rhythm = system.get(f"{newer}/genesis?layers=rhythm")["layers"]["rhythm"]
    assert (rhythm["beat_grid_ms"], rhythm["downbeat_ms"]) == (beats, taken["downbeat_ms"])
    assert rhythm["interpretation_score"] == taken["score"]
    assert rhythm["alternatives"][0]["source"] == "automatic"


def test_the_command_line_halves_and_undoes(system: System, version: str) -> None:
    track = version.split("/")[2]
    count = len(sent(system, "GET", version).json()["beats_ms"])
    halved = json.loads(
        system.cli("beats", "half", track, "--version", "1", "--json", "--note", "slow").stdout
    )
    assert halved["beat_count"] == (count + 1) // 2
    shown = system.cli("beats", "show", track).stdout
    assert "note: slow" in shown
    assert json.loads(system.cli("beats", "undo", track, "--json").stdout)["removed"] is True
    again = system.cli("beats", "undo", track, check=False)
    assert (again.returncode, "automatic beats already" in again.stderr) == (1, True)
