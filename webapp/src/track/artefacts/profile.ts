/** Reads speedscope files: the calls of an evented profile as blocks of a flame graph. Pure. */

/** One call, from its begin to its end. */
export interface Block {
  readonly name: string;
  /** Where it is in the program. */
  readonly place: string;
  readonly depth: number;
  /** In the unit of the profile. */
  readonly start: number;
  readonly end: number;
}

export interface Profile {
  readonly unit: string;
  readonly start: number;
  readonly end: number;
  readonly blocks: readonly Block[];
  /** How many calls lie within one another at most. */
  readonly depth: number;
}

/** Return the profile of a file; null for one that is no evented profile. */
export function readProfile(file: unknown): Profile | null {
  const [profile] = listOf(field(file, "profiles"));
  if (field(profile, "type") !== "evented") return null;
  const frames = listOf(field(field(file, "shared"), "frames"));
  const open: { index: unknown; start: number }[] = [];
  const blocks: Block[] = [];
  let depth = 0;
  for (const event of listOf(field(profile, "events"))) {
    const [kind, index, at] = [field(event, "type"), field(event, "frame"), Number(field(event, "at"))];
    if (kind === "O") open.push({ index, start: at });
    const begun = kind === "C" ? open.pop() : undefined;
    if (begun === undefined) continue;
    if (begun.index !== index) return null;
    const frame = frames[Number(index)];
    depth = Math.max(depth, open.length + 1);
    blocks.push({ name: String(field(frame, "name") ?? ""), place: placeOf(frame), depth: open.length, start: begun.start, end: at });
  }
  const [start, end] = [Number(field(profile, "startValue")), Number(field(profile, "endValue"))];
  return { unit: String(field(profile, "unit")), start, end, blocks, depth };
}

/** Return the blocks within a part of the profile, cut to it. */
export function blocksWithin(blocks: readonly Block[], start: number, end: number): readonly Block[] {
  return blocks
    .filter((block) => block.end > start && block.start < end)
    .map((block) => ({ ...block, start: Math.max(block.start, start), end: Math.min(block.end, end) }));
}

function placeOf(frame: unknown): string {
  const [file, line] = [field(frame, "file"), field(frame, "line")];
  if (typeof file !== "string") return "";
  const name = file.split("/").slice(-2).join("/");
  return typeof line === "number" ? `${name}:${line}` : name;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
