"""While a backup keeps changes out, the gateway and ingest refuse them, and answer everything else."""

import httpx
import pytest
from nats.js import JetStreamContext

from k1_contracts.messages.catalogue.track_edits import TRACK_EDIT
from k1_contracts.messages.catalogue.tracks import TRACK_LIST, TrackPage
from k1_platform.nats.maintenance_mode import (
    MaintenanceControl,
    MaintenanceLostError,
    MaintenanceRunningError,
    maintenance,
)
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from tests.support import songs
from tests.support.service_process import RunningService

TRACK = f"/api/v1/tracks/{samples.track().track.id}"
MUTATION = 'mutation($id: ID!) { edit_track(id: $id, changes: {title: "x"}) { id } }'


async def test_changes_are_refused_until_the_backup_has_copied_the_databases(
    http: httpx.AsyncClient, ingest: RunningService, owners: Owners, jetstream: JetStreamContext
) -> None:
    """Uploads, edits and mutations get 503 with Retry-After, also at ingest itself; reads and queries are answered."""
    owners.respond_with(TRACK_LIST.subject, TrackPage(total=0, items=[], limit=50, offset=0))
    owners.respond_with(TRACK_EDIT.subject, samples.track())
    upload = {"file": ("a.wav", songs.song(9))}
    async with maintenance(jetstream) as control:
        refused = [
            await http.post("/api/v1/tracks/upload", files=upload),
            await http.patch(TRACK, json={"title": "x"}),
            await http.post("/api/v1/tracks", json={"title": "x"}),
        ]
        for response in refused:
            assert (response.status_code, response.json()["code"]) == (503, "maintenance")
            assert int(response.headers["Retry-After"]) > 0
        async with httpx.AsyncClient(base_url=ingest.url) as direct:
            response = await direct.post("/upload", files=upload)
        assert (response.status_code, response.json()["code"]) == (503, "maintenance")
        edit = {"query": MUTATION, "variables": {"id": samples.track().track.id}}
        mutation = (await http.post("/api/v1/graphql", json=edit)).json()
        assert mutation["errors"][0]["extensions"] == {"code": "maintenance", "status": 503}
        assert (await http.get("/api/v1/tracks")).status_code == 200
        query = await http.post("/api/v1/graphql", json={"query": "{ tracks { total } }"})
        assert query.json() == {"data": {"tracks": {"total": 0}}}
        await control.enter("copying")
        assert (await http.patch(TRACK, json={"title": "x"})).status_code == 200
    assert (await http.post("/api/v1/tracks/upload", files=upload)).status_code == 202


async def test_two_backups_exclude_each_other(jetstream: JetStreamContext) -> None:
    """The second one does not begin; and one whose mode was lost does not go on."""
    with pytest.raises(MaintenanceLostError):
        await MaintenanceControl(jetstream).enter("frozen")
    async with maintenance(jetstream):
        with pytest.raises(MaintenanceRunningError):
            await maintenance(jetstream).__aenter__()
