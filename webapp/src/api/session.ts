import { errorOf, unreachable } from "./errors";
import type { Schemas, User } from "./types";

/** The cookies cannot be read by scripts; what is known of them is kept here, for all tabs of the browser. */
interface SessionHint {
  accessExpiresAt: number;
  refreshExpiresAt: number;
}

const HINT = "k1.session";
const LOCK = "k1.refresh";
/** How long before its end an access token is renewed. */
const MARGIN_MS = 60_000;

export type SessionState =
  | { kind: "unknown" }
  | { kind: "signed_out"; reason: "none" | "expired" }
  | { kind: "signed_in"; user: User };

type Listener = () => void;

let state: SessionState = { kind: "unknown" };
const listeners = new Set<Listener>();

/** Returns who is signed in. */
export function sessionState(): SessionState {
  return state;
}

/** Calls the listener at each change of the session; returns how to stop it. */
export function onSessionChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Sets who is signed in, for example after the profile was changed. */
export function setSession(next: SessionState): void {
  state = next;
  for (const listener of listeners) listener();
}

/** Takes over a session that began: its cookies are set already. */
export function beginSession(started: Schemas["SessionStarted"]): void {
  keepHint(started);
  setSession({ kind: "signed_in", user: started.user });
}

/** Forgets the session in this browser. The server's part is `POST /auth/logout`. */
export function endSession(reason: "none" | "expired"): void {
  localStorage.removeItem(HINT);
  setSession({ kind: "signed_out", reason });
}

/** Returns whether this browser has, or may renew, a session. */
export function hasHint(): boolean {
  const hint = readHint();
  return hint !== undefined && hint.refreshExpiresAt > Date.now();
}

/** Renews the session where its access token ends within a minute. */
export async function refreshWhenDue(): Promise<void> {
  const hint = readHint();
  if (hint && hint.accessExpiresAt - MARGIN_MS <= Date.now()) await refreshSession();
}

let refreshing: Promise<boolean> | undefined;

/**
 * Renews the session; returns whether it worked.
 *
 * A refresh token works once and its reuse ends the session, so one tab at a time renews, and the others take over.
 */
export function refreshSession(): Promise<boolean> {
  refreshing ??= withLock(renew).finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

async function renew(): Promise<boolean> {
  const hint = readHint();
  if (hint && hint.accessExpiresAt - MARGIN_MS > Date.now() && hint.accessExpiresAt !== lastRefused) return true;
  if (!hint || hint.refreshExpiresAt <= Date.now()) {
    if (state.kind === "signed_in") endSession("expired");
    return false;
  }
  const response = await fetch("/api/v1/auth/refresh", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-K1-CSRF": "1" },
    body: "{}",
  }).catch(() => {
    throw unreachable();
  });
  if (response.ok) {
    keepHint((await response.json()) as Schemas["SessionStarted"]);
    return true;
  }
  if (response.status !== 401) throw await errorOf(response);
  endSession("expired");
  return false;
}

let lastRefused: number | undefined;

/** Notes that the access token was refused before its end, so that the next refresh does not trust its time. */
export function noteRefused(): void {
  lastRefused = readHint()?.accessExpiresAt;
}

async function withLock(action: () => Promise<boolean>): Promise<boolean> {
  // Web Locks exist in secure contexts only; without them tabs may at worst sign in again.
  return "locks" in navigator ? await navigator.locks.request(LOCK, action) : await action();
}

function keepHint(started: Pick<Schemas["SessionStarted"], "access_expires_at" | "refresh_expires_at">): void {
  const hint: SessionHint = {
    accessExpiresAt: Date.parse(started.access_expires_at),
    refreshExpiresAt: Date.parse(started.refresh_expires_at),
  };
  localStorage.setItem(HINT, JSON.stringify(hint));
}

function readHint(): SessionHint | undefined {
  const text = localStorage.getItem(HINT);
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as SessionHint;
  } catch {
    return undefined;
  }
}
