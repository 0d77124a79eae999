import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../../api/client";
import { keys } from "../../api/queries";

export const WINDOWS = ["900", "3600", "21600", "86400", "604800"] as const;
/** Seconds, as a text. */
export type HistoryWindow = (typeof WINDOWS)[number];

const MAX_POINTS = 600;
/** A window moves on by this share of its length, but not more often than the readings of a short one are stored. */
const REFRESH_SHARE = 1 / 60;

/** The stored telemetry of a device in the last seconds; it is read again as the window moves on. */
export const deviceHistory = (deviceId: string, last: HistoryWindow) =>
  queryOptions({
    queryKey: [...keys.device(deviceId), "history", last] as const,
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/telemetry/{device_id}", {
          params: { path: { device_id: deviceId }, query: { last: Number(last), max_points: MAX_POINTS } },
          signal,
        }),
      ),
    refetchInterval: Number(last) * 1000 * REFRESH_SHARE,
  });
