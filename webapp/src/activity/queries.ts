import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { keys } from "../api/queries";
import type { Schemas } from "../api/types";

/** Estimates and places in the queue change without an event. */
const EVERY_MS = 5_000;
const MOST = 50;

/** The newest jobs, all or those of a state. */
export const jobsOf = (status?: Schemas["JobStatus"]) =>
  queryOptions({
    queryKey: [...keys.jobs, "of", status ?? "all"],
    queryFn: ({ signal }) => unwrap(api.GET("/analysis/jobs", { params: { query: { limit: MOST, ...(status ? { status } : {}) } }, signal })),
    ...(status ? { refetchInterval: EVERY_MS } : {}),
  });
