/** Turns what the API says about beats into what the editor shows. Pure. */
import type { Schemas } from "../../api/types";
import { roundMs, type Beat } from "./model";

export type Section = Schemas["Section"];
export type Override = Schemas["BeatOverrideInfo"];

/** Another reading of the beats that can be taken with one choice. */
export interface Alternative {
  readonly kind: Schemas["BeatAlternative"]["kind"];
  readonly source: string | null;
  readonly bpm: number;
  /** Probability against the map's own beats and the others. */
  readonly score: number;
  readonly beatsMs: readonly number[];
  readonly downbeatsMs: readonly number[];
}

/** The beats of a version with everything that the editor shows beside them. */
export interface BeatSheet {
  readonly version: number;
  readonly baseVersion: number;
  readonly etag: string;
  readonly durationMs: number;
  readonly bpm: number;
  readonly beats: readonly Beat[];
  readonly override: Override | null;
  readonly sections: readonly Section[];
  readonly alternatives: readonly Alternative[];
  /** Probability of the map's own beats; null where a person's beats are none of the readings. */
  readonly ownScore: number | null;
}

/** Return the sheet of a version. */
export function toSheet(view: Schemas["BeatOverrideView"], map: Schemas["GenesisView"]): BeatSheet {
  const { rhythm, annotations } = map.layers;
  const starts = new Set(view.downbeats);
  const confidence = rhythm?.beat_confidence ?? null;
  const isSame = confidence?.length === view.beats_ms.length;
  const beats = view.beats_ms.map((ms, index): Beat => ({
    id: index,
    ms: roundMs(ms),
    downbeat: starts.has(index),
    locked: false,
    anchor: false,
    confidence: isSame ? (confidence[index] ?? 1) : 1,
  }));
  return {
    version: view.version,
    baseVersion: view.base_version,
    etag: view.etag,
    durationMs: view.duration_ms,
    bpm: view.bpm,
    beats,
    override: view.override ?? null,
    sections: annotations?.sections ?? [],
    alternatives: (rhythm?.alternatives ?? []).map((each) => ({
      kind: each.kind,
      source: each.source ?? null,
      bpm: each.bpm,
      score: each.score,
      beatsMs: each.beat_grid_ms,
      downbeatsMs: each.downbeat_ms ?? each.beat_grid_ms,
    })),
    ownScore: rhythm?.interpretation_score ?? null,
  };
}

/** Return the body that saves beats. */
export function toBody(beats: readonly Beat[], note: string): Schemas["SaveBeatOverrideBody"] {
  return {
    beats_ms: beats.map(({ ms }) => ms),
    downbeats: beats.flatMap(({ downbeat }, index) => (downbeat ? [index] : [])),
    ...(note === "" ? {} : { note }),
  };
}

/** Return beats with the locks and anchors of others at the same time. */
export function keepMarks(beats: readonly Beat[], marked: readonly Beat[]): readonly Beat[] {
  const marks = new Map(marked.filter((beat) => beat.locked || beat.anchor).map((beat) => [beat.ms, beat]));
  if (marks.size === 0) return beats;
  return beats.map((beat) => {
    const mark = marks.get(beat.ms);
    return mark === undefined ? beat : { ...beat, locked: mark.locked, anchor: mark.anchor };
  });
}
