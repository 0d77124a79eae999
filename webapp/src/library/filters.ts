import type { TrackListQuery } from "../api/queries";
import type { Preset, TrackStatus } from "../api/types";

export const SORTS = ["newest", "oldest", "title", "bpm", "duration", "f_measure"] as const;
export type Sort = (typeof SORTS)[number];

export const STATUSES = ["processing", "ready", "warning", "failed", "uploading", "deleted"] as const satisfies readonly TrackStatus[];
export const PRESETS = ["edm", "rock", "orchestral", "jazz", "hiphop", "edm_high_energy"] as const satisfies readonly Preset[];

/** Below this F-measure the beats need a look. */
export const LOW_F_MEASURE = 0.8;

/** What the list shows; all of it stands in the address. */
export interface Filters {
  search: string;
  status: TrackStatus | undefined;
  preset: Preset | undefined;
  tag: string | undefined;
  fMeasure: "low" | "high" | undefined;
  /** The slowest and the fastest tempo. */
  minBpm: number | undefined;
  maxBpm: number | undefined;
  sort: Sort;
}

export const NO_FILTERS: Filters = { search: "", status: undefined, preset: undefined, tag: undefined, fMeasure: undefined, minBpm: undefined, maxBpm: undefined, sort: "newest" };

/** Reads the filters of an address; what makes no sense counts as absent. */
export function readFilters(parameters: URLSearchParams): Filters {
  const fMeasure = parameters.get("f");
  return {
    search: parameters.get("q") ?? "",
    status: STATUSES.find((status) => status === parameters.get("status")),
    preset: PRESETS.find((preset) => preset === parameters.get("preset")),
    tag: parameters.get("tag") ?? undefined,
    fMeasure: fMeasure === "low" || fMeasure === "high" ? fMeasure : undefined,
    minBpm: readBpm(parameters.get("from")),
    maxBpm: readBpm(parameters.get("to")),
    sort: SORTS.find((sort) => sort === parameters.get("sort")) ?? "newest",
  };
}

const MOST_BPM = 1000;

function readBpm(text: string | null): number | undefined {
  const bpm = Number.parseFloat(text ?? "");
  return bpm >= 0 && bpm <= MOST_BPM ? bpm : undefined;
}

/** Returns the parameters of an address for filters; undefined removes one. */
export function writeFilters(filters: Filters): Record<string, string | undefined> {
  return {
    q: filters.search || undefined,
    status: filters.status,
    preset: filters.preset,
    tag: filters.tag || undefined,
    f: filters.fMeasure,
    from: filters.minBpm?.toString(),
    to: filters.maxBpm?.toString(),
    sort: filters.sort === "newest" ? undefined : filters.sort,
  };
}

/** Returns the part of the API's query that the filters give. */
export function toQuery(filters: Filters): TrackListQuery {
  return {
    sort: filters.sort,
    ...(filters.search.trim() ? { search: filters.search.trim().slice(0, 200) } : {}),
    ...(filters.status ? { status: filters.status } : {}),
    ...(filters.preset ? { preset: filters.preset } : {}),
    ...(filters.tag ? { tag: [filters.tag] } : {}),
    ...(filters.fMeasure === "low" ? { max_f_measure: LOW_F_MEASURE } : {}),
    ...(filters.fMeasure === "high" ? { min_f_measure: LOW_F_MEASURE } : {}),
    ...(filters.minBpm === undefined ? {} : { min_bpm: filters.minBpm }),
    ...(filters.maxBpm === undefined ? {} : { max_bpm: filters.maxBpm }),
  };
}

/** Returns how many filters hide tracks; the sort and the search are not counted. */
export function countFilters({ status, preset, tag, fMeasure, minBpm, maxBpm }: Filters): number {
  return [status, preset, tag, fMeasure, minBpm ?? maxBpm].filter((each) => each !== undefined && each !== "").length;
}

/** Returns whether the filters show every track. */
export function showsAll(filters: Filters): boolean {
  return countFilters(filters) === 0 && filters.search.trim() === "";
}
