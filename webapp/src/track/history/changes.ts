/** Says what an event changed, as rows of before and after. Pure. */
import type { Schemas } from "../../api/types";
import { track as trackTexts } from "../../texts/track/track";

const t = trackTexts.history;
const MAX_LENGTH = 160;
/** Fields that tell a person nothing. */
const SILENT = new Set(["updated_at", "revision", "id", "track_id", "job_id", "worker_id", "chosen_before", "map_sha256", "pcm_sha256"]);

export interface Change {
  readonly label: string;
  readonly before: string;
  readonly after: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Return the fields that an event changed. What belongs to jobs is in the activity, not here. */
export function changesOf({ before, after }: Pick<Schemas["TrackEvent"], "before" | "after">): Change[] {
  const changes: Change[] = [];
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  collect(changes, "", fieldsOf(old["track"]), fieldsOf(now["track"]));
  const [oldVersions, versions] = [fieldsOf(old["versions"]), fieldsOf(now["versions"])];
  for (const version of new Set([...Object.keys(oldVersions), ...Object.keys(versions)])) {
    collect(changes, `v${version} `, fieldsOf(oldVersions[version]), fieldsOf(versions[version]));
  }
  return changes;
}

function collect(changes: Change[], prefix: string, before: Fields, after: Fields): void {
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (SILENT.has(name)) continue;
    const [old, now] = [before[name], after[name]];
    if (isObject(old) || isObject(now)) collect(changes, prefix, fieldsOf(old), fieldsOf(now));
    else if (textOf(old) !== textOf(now)) {
      changes.push({ label: prefix + (t.fields[name] ?? sentence(name.replaceAll("_", " "))), before: textOf(old), after: textOf(now) });
    }
  }
}

function fieldsOf(value: unknown): Fields {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(textOf).join(", ");
  if (typeof value === "number") return String(Math.round(value * 1000) / 1000);
  const text = typeof value === "string" || typeof value === "boolean" ? String(value) : JSON.stringify(value);
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text;
}

/** Return an action as a person reads it. */
export function nameOf(action: string): string {
  return t.actions[action] ?? sentence(action);
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
