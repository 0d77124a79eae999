import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import type { Role } from "../api/types";

/** The keys of the queries about accounts. */
export const accountKeys = {
  sessions: ["account", "sessions"] as const,
  apiKeys: ["account", "keys"] as const,
  users: ["users"] as const,
};

const PAGE = 50;
const next = <Page extends { next_cursor?: string | null }>(page: Page): string | undefined => page.next_cursor ?? undefined;
const from = (cursor: string | undefined) => (cursor === undefined ? { limit: PAGE } : { limit: PAGE, cursor });
const FIRST = undefined as string | undefined;

/** The own sessions, the newest first. */
export const sessions = infiniteQueryOptions({
  queryKey: accountKeys.sessions,
  queryFn: ({ signal, pageParam }) => unwrap(api.GET("/me/sessions", { params: { query: from(pageParam) }, signal })),
  initialPageParam: FIRST,
  getNextPageParam: next,
});

/** The own API keys, the newest first. */
export const apiKeys = infiniteQueryOptions({
  queryKey: accountKeys.apiKeys,
  queryFn: ({ signal, pageParam }) => unwrap(api.GET("/me/keys", { params: { query: from(pageParam) }, signal })),
  initialPageParam: FIRST,
  getNextPageParam: next,
});

/** The users that match. */
export const users = (filter: { search: string; role: Role | "" }) =>
  infiniteQueryOptions({
    queryKey: [...accountKeys.users, filter],
    queryFn: ({ signal, pageParam }) => {
      const query = { ...from(pageParam), ...(filter.search ? { search: filter.search } : {}), ...(filter.role ? { role: filter.role } : {}) };
      return unwrap(api.GET("/users", { params: { query }, signal }));
    },
    initialPageParam: FIRST,
    getNextPageParam: next,
  });
