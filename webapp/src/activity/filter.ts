import { KINDS, type ActivityItem, type Kind } from "./items";

export type Least = "all" | "notice" | "bad";

export interface ActivityFilter {
  text: string;
  kinds: ReadonlySet<Kind>;
  least: Least;
}

/** Presence changes often and says little: it is off until somebody wants it. */
const USUAL_KINDS: readonly Kind[] = KINDS.filter((kind) => kind !== "device");

/** Returns the filter that an address says. */
export function readFilter(parameters: URLSearchParams): ActivityFilter {
  const given = parameters.get("kinds");
  const names = given === null ? USUAL_KINDS : KINDS.filter((kind) => given.split(",").includes(kind));
  const least = parameters.get("least");
  return { text: parameters.get("log") ?? "", kinds: new Set(names), least: least === "notice" || least === "bad" ? least : "all" };
}

/** Returns how the address says these kinds; undefined for the usual ones. */
export function writeKinds(kinds: ReadonlySet<Kind>): string | undefined {
  const isUsual = kinds.size === USUAL_KINDS.length && USUAL_KINDS.every((kind) => kinds.has(kind));
  return isUsual ? undefined : KINDS.filter((kind) => kinds.has(kind)).join(",") || "none";
}

/** Returns the items, newest first, that the filter lets through; stages that were left are not among them. Titles of tracks are known to the caller only. */
export function filterItems(items: readonly ActivityItem[], { text, kinds, least }: ActivityFilter, titleOf: (trackId: string) => string): ActivityItem[] {
  const wanted = text.trim().toLowerCase();
  const moved = new Set<string>();
  return items.filter((item) => {
    const isPassed = item.to !== undefined && moved.has(item.to);
    if (item.to !== undefined && item.kind === "deployment") moved.add(item.to);
    if (item.isInterim && isPassed) return false;
    if (!kinds.has(item.kind)) return false;
    if (least === "bad" && item.severity !== "bad") return false;
    if (least === "notice" && item.severity !== "bad" && item.severity !== "warn") return false;
    return !wanted || [item.text, item.detail, item.actor, item.deviceId, item.trackId && titleOf(item.trackId)].some((each) => each?.toLowerCase().includes(wanted));
  });
}

/** Adds items that came later, newest first, each once. */
export function addItems(items: readonly ActivityItem[], added: readonly ActivityItem[], most: number): ActivityItem[] {
  const known = new Set(items.map(({ id }) => id));
  const fresh = added.filter(({ id }) => !known.has(id) && known.add(id));
  if (fresh.length === 0) return [...items];
  return [...fresh, ...items].sort((one, other) => (one.id < other.id ? 1 : -1)).slice(0, most);
}

const COLUMNS = ["at", "kind", "severity", "text", "detail", "actor", "track", "trackId", "deviceId", "to"] as const;

/** Returns items as CSV with a heading; texts that a spreadsheet would take for formulas are made harmless. */
export function toCsv(items: readonly ActivityItem[], titleOf: (trackId: string) => string): string {
  const rows = items.map((item) => COLUMNS.map((name) => cell(name === "track" ? (item.trackId ? titleOf(item.trackId) : "") : (item[name] ?? ""))).join(","));
  return [COLUMNS.join(","), ...rows, ""].join("\r\n");
}

function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
