"""Damaged and unusual files: each gives a clear error or a map with true warnings, and the worker survives."""

import numpy as np
import pytest

from tests.support import songs
from tests.support.system import System

pytestmark = pytest.mark.e2e

NOISE = np.random.default_rng(7).standard_normal(8 * songs.RATE).astype(np.float32) * 0.2


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("empty.wav", b"", 422, "empty_file"),
        ("text.mp3", b"It was a dark and stormy night.\n" * 200, 415, "unsupported_format"),
        ("page.html", b"<!doctype html><html></html>" * 50, 415, "unsupported_format"),
        ("header.wav", songs.song(1)[:44], 422, None),
        ("random.mp3", np.random.default_rng(3).bytes(60_000), 415, "unsupported_format"),
        ("huge.wav", songs.song(2) + bytes(51_000_000), 413, "too_large"),
    ],
)
def test_a_file_that_is_not_a_song_is_refused(
    system: System, name: str, data: bytes, status: int, code: str | None
) -> None:
    """It gets a stable code and a sentence that says what to do, and no track is created."""
    before = system.get("/tracks?limit=1")["total"]
    answer = system.upload_with_retry(data, name)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (
        status,
        "application/problem+json",
    ), problem
    assert code is None or problem["code"] == code
    assert len(problem["detail"]) > 20
    assert system.get("/tracks?limit=1")["total"] == before


@pytest.mark.parametrize(
    ("name", "data", "warning"),
    [
        ("truncated.mp3", songs.mp3(11, seconds=12)[: 60 * 1024], "truncated"),
        ("lying.wav", songs.lying_wav(12), "truncated"),
        ("silence.wav", songs.silence(), "silent"),
        ("drone.wav", songs.drone(), None),
        ("8bit.wav", songs.wav(songs.pulse(13), width=1), None),
        ("96k.wav", songs.wav(songs.pulse(14), rate=96_000), None),
        ("six.wav", songs.wav(np.repeat(songs.pulse(15)[:, None], 6, axis=1)), None),
        ("noise.wav", songs.wav(NOISE), None),
    ],
)
def test_unusual_audio_gets_a_map_with_true_warnings(
    system: System, name: str, data: bytes, warning: str | None
) -> None:
    """It is analysed; warnings name what is uncertain."""
    answer = system.upload_with_retry(data, name)
    assert answer.status_code == 202, answer.text
    job = system.wait_for_job(answer.json()["job_id"])
    assert job["status"] == "completed", job
    detail = system.track(answer.json()["track_id"])
    codes = [notice["code"] for notice in detail["versions"][0]["warnings"]]
    assert warning is None or warning in codes
    summary = detail["versions"][0]["summary"]
    if name in {"silence.wav", "drone.wav"}:
        assert summary["beat_count"] == 0 or codes


def test_a_one_sample_song_ends_clearly(system: System) -> None:
    """It is refused, or fails with a code: there is no invented map, and no worker is lost."""
    answer = system.upload_with_retry(songs.wav(np.array([0.5], np.float32)), "one.wav")
    if answer.status_code == 202:
        job = system.wait_for_job(answer.json()["job_id"])
        assert job["status"] == "failed"
        assert job["error"]["code"]
    else:
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("💃 fête 🎶.wav", "💃 fête 🎶.wav"),
        ("../../etc/passwd.wav", "passwd.wav"),
        ("C:\\music\\x.wav", "x.wav"),
    ],
)
def test_names_are_kept_but_never_paths(system: System, name: str, kept: str) -> None:
    """An emoji is kept; directories are removed."""
    answer = system.upload_with_retry(songs.song(sum(map(ord, name))), name)
    assert answer.status_code == 202, answer.text
    system.wait_for_job(answer.json()["job_id"])
    assert system.track(answer.json()["track_id"])["track"]["filename"] == kept


def test_a_damaged_song_is_not_ready(system: System) -> None:
    """However well the trackers agree, its status is `warning`, which the deployment gate checks."""
    data = bytearray(songs.mp3(18, seconds=20))
    third = len(data) // 3
    data[third : 2 * third] = np.random.default_rng(5).bytes(third)
    answer = system.upload_with_retry(bytes(data), "damaged.mp3")
    assert system.wait_for_job(answer.json()["job_id"])["status"] == "completed"
    detail = system.track(answer.json()["track_id"])
    assert detail["track"]["status"] == "warning"
    assert "damaged" in [notice["code"] for notice in detail["versions"][0]["warnings"]]


def test_a_song_is_analysed_after_damaged_files(system: System) -> None:
    """The worker still runs."""
    accepted = system.upload_with_retry(songs.song(20)).json()
    assert system.wait_for_job(accepted["job_id"])["status"] == "completed"


def test_the_same_audio_under_another_tag_is_the_same_recording(system: System) -> None:
    """It is a second track, because its bytes differ; each track names the other."""
    music = songs.mp3(91)
    tagged = b"ID3\x03\0\0\0\0\x04\0" + bytes(512) + music
    accepted = [
        system.upload_with_retry(data, name).json() for data, name in ((music, "a.mp3"), (tagged, "b.mp3"))
    ]
    for each in accepted:
        assert system.wait_for_job(each["job_id"])["status"] == "completed"
    first, second = (each["track_id"] for each in accepted)
    assert system.track(second)["same_recording_as"] == [first]
    assert system.track(first)["same_recording_as"] == [second]
