"""Sample songs: their events, artefacts and Genesis maps."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_contracts.base import Contract
from k1_contracts.envelope import envelope_for
from k1_contracts.ids import derived_id, new_id
from k1_contracts.messages.analysis import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisStarted,
)
from k1_contracts.messages.catalogue.tracks import TrackUploaded
from k1_contracts.tracks import AnalysisSummary, ArtefactRef, AudioRef, Notice
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.storage.objects import ObjectStore

UPLOADED = datetime(2026, 3, 1, 11, 0, 0, tzinfo=UTC)
AUDIO_SHA = hashlib.sha256(b"audio").hexdigest()


def message(body: Contract, *, number: int = 1) -> Delivery[Any]:
    """Return an event as a handler receives it; another `number` gives it another id."""
    event_id = derived_id("evt", "test", f"{number}{body.model_dump_json()}")
    envelope = envelope_for("test", event_id=event_id, source="test", about="test", at=UPLOADED)
    return Delivery(envelope, body, "test")


def genesis(seconds: float = 20.0, *, f_measure: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """Return a Genesis map as a JSON value, with curves at the real rates."""
    rng = np.random.default_rng(seed)

    def curve(name: str, rate: float = 20.0) -> list[dict[str, float]]:
        values = np.abs(np.sin(np.cumsum(rng.normal(0, 0.1, int(seconds * rate)))))
        return [
            {"time_ms": round(1000 * i / rate, 1), name: round(float(value), 4)}
            for i, value in enumerate(values)
        ]

    beats = [round(412.3 + 468.75 * number, 1) for number in range(int(seconds / 0.47) - 1)]
    return {
        "metadata": {
            "filename": "night drive.mp3",
            "analysis_engine": "k1-engine 1.0.0",
            "timestamp_utc": "2026-03-01T11:00:20.000Z",
            "version": "4.0.0",
            "hashes": {
                "audio_sha256": AUDIO_SHA,
                "map_sha256": hashlib.sha256(f"map {seed}".encode()).hexdigest(),
            },
            "analysis_config": {"preset": None, "dotted.key": {"$odd": [1, 2.5, None, True]}},
        },
        "global_metrics": {
            "duration_ms": seconds * 1000,
            "bpm": 128.0,
            "f_measure": f_measure,
            "cemgil": 0.9,
            "dynamic_range": 9.1,
            "f_measure_reference": "consensus",
            "tempo_confidence": 0.9,
            "tempo_stability": 0.99,
            "time_signature": "4/4",
            "key": "A",
            "scale": "minor",
            "key_strength": 0.8,
            "integrated_lufs": -8.4,
            "loudness_range_lu": 5.0,
            "true_peak_dbtp": None,
            "spectral_centroid_hz": 1800.0,
            "danceability": 1.2,
        },
        "layers": {
            "rhythm": {
                "beat_grid_ms": beats,
                "downbeat_ms": beats[::4],
                "beat_strength": [round(float(value), 4) for value in rng.random(len(beats))],
                "tempo_curve": [{"time_ms": beat, "bpm": 128.0} for beat in beats],
                "interpretation_score": 0.8,
                "alternatives": [
                    {
                        "kind": "half",
                        "source": None,
                        "bpm": 64.0,
                        "score": 0.4,
                        "beat_grid_ms": beats[::2],
                        "downbeat_ms": beats[::4],
                    },
                    {
                        "kind": "other",
                        "source": "degara",
                        "bpm": 128.0,
                        "score": 0.3,
                        "beat_grid_ms": beats[1:],
                        "downbeat_ms": None,
                    },
                ],
            },
            "frequency": {name: curve("intensity") for name in ("bass", "mids", "highs")},
            "dynamics": {
                "rms": curve("intensity"),
                "loudness_lufs": curve("lufs", 10.0),
                "window_ms": 50.0,
                "peaks": [{"time_ms": 1000.0, "intensity": 1.0}],
            },
            "spectral": {
                **{name: curve("value") for name in ("centroid", "flux", "flatness", "rolloff")},
                "chroma": [[round(float(value), 4) for value in rng.random(len(beats))] for _ in range(12)],
            },
            "annotations": {
                "sections": [
                    {"start_ms": 0.0, "end_ms": 8000.0, "label": "intro", "confidence": 0.7, "energy": 0.2},
                    {
                        "start_ms": 8000.0,
                        "end_ms": 20000.0,
                        "label": "drop",
                        "confidence": 0.9,
                        "energy": 0.9,
                    },
                ],
                "drops": [8000.0],
                "silence": [],
            },
        },
        "a_later_member": {"of": ["a", "newer", "release"]},
    }


@dataclass
class Song:
    """One track and the events about it."""

    track_id: str = field(default_factory=lambda: new_id("trk"))
    job_id: str = field(default_factory=lambda: new_id("job"))
    version: int = 1
    uploaded_at: datetime = UPLOADED

    @property
    def _job(self) -> dict[str, Any]:
        return {"track_id": self.track_id, "job_id": self.job_id, "version": self.version}

    def reanalysis(self, job_id: str, version: int) -> "Song":
        """Return the same track with another version and job."""
        return Song(self.track_id, job_id, version, self.uploaded_at)

    def uploaded(self, **fields: Any) -> TrackUploaded:
        audio = AudioRef(
            key=f"audio/{AUDIO_SHA}.mp3",
            sha256=AUDIO_SHA,
            size_bytes=1000,
            container="mp3",
            codec="mp3",
            duration_ms=20_000.0,
            sample_rate_hz=44_100,
            channels=2,
        )
        given = {"audio": audio, "filename": "night drive.mp3", "title": "Night Drive", "artist": "Kavinsky"}
        return TrackUploaded(**self._job, uploaded_at=self.uploaded_at, **(given | fields))

    def started(self, attempt: int = 1, worker: str = "wrk-1") -> AnalysisStarted:
        at = self.uploaded_at + timedelta(seconds=attempt)
        return AnalysisStarted(
            **self._job, worker_id=worker, engine="k1-engine 1.0.0", attempt=attempt, started_at=at
        )

    def failed(self) -> AnalysisFailed:
        at = self.uploaded_at + timedelta(seconds=30)
        return AnalysisFailed(
            **self._job, code="not_decodable", message="The file cannot be decoded.", attempts=3, failed_at=at
        )

    def cancelled(self) -> AnalysisCancelled:
        return AnalysisCancelled(**self._job, cancelled_at=self.uploaded_at + timedelta(seconds=40))

    def completed(
        self, artefacts: list[ArtefactRef] | None = None, *, f_measure: float = 0.95, **fields: Any
    ) -> AnalysisCompleted:
        given: dict[str, Any] = {
            "engine": "k1-engine 1.0.0",
            "artefacts": artefacts or [],
            "summary": AnalysisSummary(
                duration_ms=20_000.0,
                bpm=128.0,
                beat_count=41,
                downbeat_count=11,
                f_measure=f_measure,
                f_measure_reference="consensus",
                time_signature="4/4",
                key="A",
                scale="minor",
                section_count=2,
            ),
            "warnings": [Notice(code="quiet", message="The song is quiet.")],
            "elapsed_ms": 2000.0,
            "completed_at": self.uploaded_at + timedelta(seconds=20),
        }
        return AnalysisCompleted(**self._job, **(given | fields))

    async def analysed(
        self,
        objects: ObjectStore,
        content: dict[str, Any] | None = None,
        graph: dict[str, Any] | None = None,
    ) -> AnalysisCompleted:
        """Store the artefacts of an analysis and return its completion."""
        content = content or genesis()
        f_measure: float = content["global_metrics"]["f_measure"]
        artefacts = [
            await self.artefact(objects, "genesis_map", "track.genesis.json", json.dumps(content).encode()),
            await self.artefact(
                objects, "metrics", "phase2b_metrics.json", json.dumps({"f": f_measure}).encode()
            ),
        ]
        if graph is not None:
            artefacts.append(await self.artefact(objects, "graph", "graph.json", json.dumps(graph).encode()))
        return self.completed(artefacts, f_measure=f_measure)

    async def artefact(self, objects: ObjectStore, kind: Any, name: str, data: bytes) -> ArtefactRef:
        """Store an artefact and return the reference to it."""
        key = f"artefacts/{self.track_id}/{self.version}/{name}"
        await objects.put_bytes(key, data, "application/json")
        return ArtefactRef(
            id=new_id("art"),
            type=kind,
            name=name,
            key=key,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content_type="application/json",
        )


async def upload(job_events: JobEventHandlers, seconds: float = 0, **fields: Any) -> Song:
    """Return a new song after its upload, `seconds` after UPLOADED; `fields` are those of the event."""
    song = Song(uploaded_at=UPLOADED + timedelta(seconds=seconds))
    await job_events.handle_track_uploaded(message(song.uploaded(**fields)))
    return song


async def analyse(
    job_events: JobEventHandlers,
    objects: ObjectStore,
    content: dict[str, Any] | None = None,
    graph: dict[str, Any] | None = None,
) -> Song:
    """Return a new song after its upload and analysis; `content` is its map as a JSON value."""
    song = await upload(job_events)
    await job_events.handle_completed(message(await song.analysed(objects, content, graph)))
    return song
