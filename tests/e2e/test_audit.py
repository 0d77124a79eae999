"""Whatever changes something stands in an audit with who did it, on the whole system with sign-in."""

import sys
from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest

from k1_platform.auth.service_permissions import SERVICES
from tests.support import songs
from tests.support.processes import running_process
from tests.support.signed_in import SignedIn
from tests.support.system import System, wait_for

pytestmark = pytest.mark.e2e
ROWS: Final = """
    SELECT track_id AS subject, action, actor ->> 'kind' AS kind, actor ->> 'id' AS id, actor ->> 'name' AS name
    FROM catalogue.track_events
    UNION ALL SELECT coalesce(device_id, deployment_id), action, actor_kind, actor_id, actor FROM deploy.audit
    UNION ALL SELECT user_id, action, actor_kind, actor_id, actor_name FROM accounts.audit
    UNION ALL SELECT webhook_id, action, actor ->> 'kind', actor ->> 'id', actor ->> 'name' FROM webhooks.audit
"""
"""All audits; `subject` is the track, device, deployment, user or webhook that a row is about."""
BY_ANALYSIS: Final = {"started", "completed", "cancelled", "failed"}
DEVICE: Final = "audited-0001"


def done(response: httpx.Response) -> Any:
    assert response.is_success, f"{response.request.method} {response.request.url}: {response.text}"
    return response.json()


def change_a_track(system: System, client: httpx.Client) -> str:
    """Do with a track what one can do; return its id."""
    song = {"file": ("audited.wav", songs.song(7401))}
    accepted = done(client.post("/tracks/upload", files=song))
    track, version = f"/tracks/{accepted['track_id']}", f"/tracks/{accepted['track_id']}/versions/1"
    system.wait_for_job(accepted["job_id"])
    done(client.patch(track, json={"notes": "for the opening"}))
    done(client.post(f"{version}/simulate", json={}))
    done(client.post(f"{version}/beat-override", json={"beats": [number / 2 for number in range(16)]}))
    done(client.delete(f"{version}/beat-override"))
    again = done(client.post(f"{track}/analysis", json={"preset": "rock"}))
    client.delete(f"/analysis/jobs/{again['job_id']}")  # 409 where it has ended already
    system.wait_for_job(again["job_id"])
    artefacts = done(client.get(f"{version}/artefacts"))["artefacts"]
    artefact = f"{version}/artefacts/{next(each['id'] for each in artefacts if each['type'] == 'metrics')}"
    link = done(client.post(f"{artefact}/copy-link", json={}))
    done(client.delete(f"/links/{link['token']}"))
    undo = done(client.delete(artefact))["undo_token"]
    done(client.post(f"{artefact}/restore", json={"undo_token": undo}))
    done(client.delete(track))
    done(client.post(f"{track}/restore", json={}))
    return accepted["track_id"]


def deploy(system: System, client: httpx.Client, track_id: str) -> str:
    """Add a device that works for a while, deploy to it, and revoke it; return the deployment's id."""
    sim = [sys.executable, "-m", "k1_cli", "sim", "--devices", "1", "--prefix", "audited", "--json"]
    with running_process([*sim, "--home", str(system.home)]):
        version = f"/tracks/{track_id}/versions/1"
        wait_for(lambda: client.get(f"{version}/bundle").is_success, "its bundle is ready")
        order = {
            "track_id": track_id,
            "version": 1,
            "device_ids": [DEVICE],
            "strategy": {"observe_seconds": 0},
        }

        def accepted() -> httpx.Response | None:
            response = client.post("/deployments", json=order)
            return response if response.is_success else None

        deployment = done(wait_for(accepted, "the device is online"))["deployment_id"]
        client.post(f"/deployments/{deployment}/cancel", json={"reason": "not tonight"})
    system.cli("devices", "revoke", DEVICE)
    return deployment


def actions(system: System, subject: str) -> Mapping[str, tuple[str, str, str]]:
    """Return the kind, id and name of who did each action to a subject."""
    rows = system.sql(f"SELECT * FROM ({ROWS}) AS r WHERE subject = $1", subject)
    return {row["action"]: (row["kind"], row["id"], row["name"]) for row in rows}


def test_every_change_names_who_did_it(system: System, signed_in: SignedIn) -> None:
    """People by their id, also where they use a key; the command line by its user; services as `service:<name>`."""
    with signed_in.client() as admin, signed_in.client(signed_in.keys["operator"]) as operator:
        me = done(admin.get("/me"))
        track_id = change_a_track(system, operator)
        deployment_id = deploy(system, operator, track_id)
        user = done(admin.post("/users", json={"email": "audited@example.org", "name": "Eve"}))["id"]
        done(admin.patch(f"/users/{user}", json={"role": "editor"}))
        done(admin.delete(f"/users/{user}"))
        key = done(admin.post("/me/keys", json={"name": "audited"}))["key"]["id"]
        done(admin.delete(f"/me/keys/{key}"))
        hook = done(admin.post("/webhooks", json={"url": "https://hooks.example.org/k1"}))["webhook"]["id"]
        done(admin.delete(f"/webhooks/{hook}"))
    person = ("key", me["id"], me["name"])
    service = ("service", "analysis", "service:analysis")

    of_track = {"cancel requested": person, **actions(system, track_id)}  # where the job had not ended yet
    assert {name: by for name, by in of_track.items() if name not in BY_ANALYSIS} == dict.fromkeys(
        (
            *("uploaded", "edited", "analysis requested", "cancel requested", "graph simulated"),
            *("beats overridden", "beats restored", "link made", "link revoked"),
            *("artefact deleted", "artefact restored", "deleted", "restored"),
        ),
        person,
    )
    assert {of_track[name] for name in BY_ANALYSIS & set(of_track)} == {service}
    assert set(actions(system, deployment_id).values()) == {person}
    assert {kind for kind, _, _ in actions(system, DEVICE).values()} == {"local"}
    assert actions(system, user) == dict.fromkeys(["user_invited", "user_changed", "user_deleted"], person)
    assert actions(system, hook) == dict.fromkeys(["created", "deleted"], person)
    of_me = actions(system, me["id"])
    assert (of_me["key_created"], of_me["key_revoked"]) == (person, person)

    for row in system.sql(ROWS):
        assert row["kind"] in {"user", "key", "machine", "service", "local"}, row
        assert row["id"], row
        assert row["name"], row
        if row["kind"] == "service":
            assert row["id"] in SERVICES, row
            assert row["name"] == f"service:{row['id']}", row
