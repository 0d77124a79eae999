import { useEffect, useRef, useSyncExternalStore } from "react";
import type { FeedEvent } from "../api/types";
import { openHub } from "./browser";
import type { LiveHub } from "./hub";
import type { ConnectionStatus } from "./machine";

let hub: LiveHub | undefined;

/** Returns this tab's part in the connection; it opens at the first call, which comes after the sign-in. */
export function liveHub(): LiveHub {
  hub ??= openHub();
  return hub;
}

/** Leaves the connection, at the end of the session. */
export function leaveLive(): void {
  hub?.close();
  hub = undefined;
}

/**
 * Calls the handler with each event of a topic (`jobs`, `track:ID`, `device:ID`, ...) while the component is shown.
 *
 * The handler may change between renders. Several topics are separated by commas.
 */
export function useLive(topics: string, handler: (event: FeedEvent) => void): void {
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  useEffect(() => {
    if (topics === "") return undefined;
    return liveHub().subscribe(topics.split(","), (event) => latest.current(event));
  }, [topics]);
}

/** Returns the state of the connection. */
export function useConnection(): ConnectionStatus {
  return useSyncExternalStore(
    (listener) => liveHub().onStatus(listener),
    () => liveHub().status,
  );
}
