"""A program that knows the API only from its OpenAPI document: the generated Python client, signed in by an API key."""

import importlib
import io
from typing import Any

import pytest

from tests.support import songs
from tests.support.documents.generators import CLIENT, python_client
from tests.support.signed_in import SignedIn
from tests.support.system import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_the_generated_client_uploads_a_song_until_it_is_ready(signed_in: SignedIn) -> None:
    """It uploads, follows the job, reads the track and its map, and pages through the tracks; a fault is a problem.

    Without a key it gets 401, and with the key of a viewer it uploads nothing.
    """
    generated, base_url = python_client(), f"{signed_in.url}/api/v1"
    stranger = generated.Client(base_url=base_url, timeout=60)
    viewer, editor = (
        generated.AuthenticatedClient(base_url=base_url, token=signed_in.keys[role], timeout=60)
        for role in ("viewer", "editor")
    )
    models, types = (importlib.import_module(f"{CLIENT}.{name}") for name in ("models", "types"))

    def call(tag: str, name: str, client: Any = editor, **arguments: Any) -> Any:
        return importlib.import_module(f"{CLIENT}.api.{tag}.{name}").sync(client=client, **arguments)

    def upload(number: int, client: Any = editor) -> Any:
        file = types.File(payload=io.BytesIO(songs.song(number)), file_name="song.wav", mime_type="audio/wav")
        form = models.UploadForm(file=file, title=f"Generated {number}", tags="client")
        return call("tracks", "upload_track", client, body=form, idempotency_key=f"generated-{number}")

    def ended(job_id: str) -> Any:
        job = call("analysis", "get_job", job_id=job_id)
        done = isinstance(job, models.JobView) and job.status not in {"queued", "processing"}
        return job if done else None

    refused = [upload(7100, client) for client in (stranger, viewer)]
    assert [each.code for each in refused] == ["unauthenticated", "role_required"]
    accepted = [upload(number) for number in (7101, 7102)]
    for each in accepted:
        assert isinstance(each, models.UploadAccepted), each
        job = wait_for(lambda job_id=each.job_id: ended(job_id), f"job {each.job_id} ends")
        assert job.status == "completed", job
    detail = call("tracks", "get_track", track_id=accepted[0].track_id)
    assert (detail.track.title, detail.track.tags) == ("Generated 7101", ["client"])
    assert detail.track.status in {"ready", "warning"}
    genesis = call("tracks", "get_genesis", track_id=accepted[0].track_id, version=1)
    assert len(genesis.layers.rhythm.beat_grid_ms) > 5

    first = call("tracks", "list_tracks", limit=1)
    second = call("tracks", "list_tracks", limit=1, cursor=first.next_cursor)
    assert [page.items[0].id for page in (first, second)] == [each.track_id for each in reversed(accepted)]
    again = call("tracks", "get_track", track_id="trk_00000000000000000000000000")
    assert isinstance(again, models.Problem)
    assert again.code == "track_not_found"
