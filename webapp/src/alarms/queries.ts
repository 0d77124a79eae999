import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { keys } from "../api/queries";
import type { Schemas } from "../api/types";

export type AlarmState = Schemas["Alarm"]["state"];
export const STATES: readonly AlarmState[] = ["open", "acknowledged", "cleared"];

const PAGE = 50;
const FIRST = undefined as string | undefined;

/** The alarms in a state, the newest first. */
export const alarmsOf = (state: AlarmState) =>
  infiniteQueryOptions({
    queryKey: [...keys.alarms, state],
    queryFn: ({ signal, pageParam }) =>
      unwrap(api.GET("/alarms", { params: { query: { state, limit: PAGE, ...(pageParam === undefined ? {} : { cursor: pageParam }) } }, signal })),
    initialPageParam: FIRST,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

/** How many alarms are open. */
export const openAlarms = queryOptions({
  queryKey: [...keys.alarms, "count"],
  queryFn: async ({ signal }) => (await unwrap(api.GET("/alarms", { params: { query: { state: "open", limit: 1 } }, signal }))).total,
});
