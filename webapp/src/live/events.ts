import type { FeedEvent } from "../api/types";

/** An event of one type: `EventOf<"beats_updated">`. */
export type EventOf<Type extends FeedEvent["type"]> = Extract<FeedEvent, { type: Type }>;

/** What a transport hands on: an event, or only a place in the feed. */
export interface Incoming {
  id: string | undefined;
  event: FeedEvent | undefined;
}

const PLACES = new Set(["hello", "heartbeat"]);
const REPLIES = new Set(["ack", "error"]);

/** Reads a JSON message of any transport; undefined for what is no event, such as an answer. */
export function readMessage(text: string): Incoming | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return typeof value === "object" && value !== null ? readObject(value) : undefined;
}

/** Reads a parsed message. */
export function readObject(value: object): Incoming | undefined {
  const type = "type" in value ? value.type : undefined;
  const id = "id" in value && typeof value.id === "string" ? value.id : undefined;
  if (typeof type !== "string" || REPLIES.has(type)) return undefined;
  return { id, event: PLACES.has(type) ? undefined : (value as FeedEvent) };
}

/** Remembers the newest ids, so that an event that is sent again after a fail-over is told once. */
export class SeenIds {
  private readonly ids = new Set<string>();

  constructor(private readonly limit = 2_000) {}

  /** Notes an id; returns whether it is new. */
  add(id: string): boolean {
    if (this.ids.has(id)) return false;
    this.ids.add(id);
    if (this.ids.size > this.limit) {
      const oldest = this.ids.values().next().value;
      if (oldest !== undefined) this.ids.delete(oldest);
    }
    return true;
  }
}
