import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import type { FeedEvent } from "../api/types";
import { addItems } from "./filter";
import { toItem, type ActivityItem } from "./items";

export const MOST_ITEMS = 5_000;
export const FIRST_DEPTH = 400;
const TOPICS = "activity";

export const activityKey = (depth: number) => ["activity", depth] as const;

/** The newest events that the gateway still has, as far back as `depth`; the newest first. */
export const activityHistory = (depth: number) =>
  queryOptions({
    queryKey: activityKey(depth),
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const poll = (after?: string) => unwrap(api.GET("/events/poll", { params: { query: { topics: [TOPICS], timeout_s: 0, ...(after ? { after } : {}) } }, signal }));
      const { last_id } = await poll();
      const events: FeedEvent[] = [];
      for (let after = placeBefore(last_id, depth); after < last_id; ) {
        const page = await poll(after);
        events.push(...page.events);
        if (page.events.length === 0 || page.last_id <= after) break;
        after = page.last_id;
      }
      return addItems([], events.map(toItem).filter((item): item is ActivityItem => item !== undefined), MOST_ITEMS);
    },
  });

/** Returns the place in the feed that is `count` events before another: an id is `EVENTS-SAMPLES`, both of fixed width. */
export function placeBefore(id: string, count: number): string {
  const [events = "", samples = ""] = id.split("-");
  return `${String(Math.max(0, Number(events) - count)).padStart(events.length, "0")}-${samples}`;
}
