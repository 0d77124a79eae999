/** The queue of uploads as a pure state machine: what a file is at, and what each happening makes of it. */

export const MAX_BYTES = 50_000_000;
export const MAX_MS = 20 * 60_000;
/** Files that are sent at once; more would only share the same line. */
export const MAX_SENDING = 2;

export type Phase =
  /** Its first bytes are read and it is decoded, before anything is sent. */
  | "checking"
  /** It is no song that can be taken; nothing was sent. */
  | "refused"
  | "waiting"
  | "sending"
  | "paused"
  /** Sending broke off, or the server refused it. */
  | "failed"
  /** It has arrived and is a track; the analysis runs. */
  | "analysing"
  | "ready"
  | "analysis_failed";

export type Outcome = "queued" | "existing" | "restored";

export interface QueueItem {
  id: string;
  name: string;
  size: number;
  phase: Phase;
  /** Bytes that have arrived. */
  sent: number;
  duration_ms?: number;
  /** A guess by this page, until the analysis knows better. */
  bpm?: number;
  /** Why it was refused or failed, and what to do. */
  reason?: string;
  /** Whether trying again may help. */
  retryable?: boolean;
  trackId?: string;
  jobId?: string;
  outcome?: Outcome;
}

export type Queue = readonly QueueItem[];

export type QueueAction =
  | { kind: "added"; items: readonly { id: string; name: string; size: number }[] }
  | { kind: "checked"; id: string; duration_ms?: number }
  | { kind: "guessed"; id: string; bpm: number }
  | { kind: "refused"; id: string; reason: string }
  | { kind: "started"; id: string }
  | { kind: "progressed"; id: string; sent: number }
  | { kind: "paused"; id: string }
  | { kind: "resumed"; id: string }
  | { kind: "failed"; id: string; reason: string; retryable: boolean }
  | { kind: "retried"; id: string }
  | { kind: "arrived"; id: string; trackId: string; jobId: string; outcome: Outcome }
  | { kind: "analysed"; jobId: string; reason?: string }
  | { kind: "removed"; id: string }
  | { kind: "cleared" };

const ENDED: readonly Phase[] = ["refused", "ready", "analysis_failed"];

/** Returns whether nothing more happens to the file by itself. */
export function hasEnded({ phase }: QueueItem): boolean {
  return ENDED.includes(phase);
}

/** Returns the queue after something happened. What cannot happen in a phase changes nothing. */
export function reduceQueue(queue: Queue, action: QueueAction): Queue {
  switch (action.kind) {
    case "added":
      return [...queue, ...action.items.map((item): QueueItem => ({ ...item, phase: "checking", sent: 0 }))];
    case "checked":
      return change(queue, action.id, ["checking"], { phase: "waiting", ...(action.duration_ms === undefined ? {} : { duration_ms: action.duration_ms }) });
    case "guessed":
      return change(queue, action.id, ["checking", "waiting", "sending", "paused", "failed", "analysing", "ready"], { bpm: action.bpm });
    case "refused":
      return change(queue, action.id, ["checking"], { phase: "refused", reason: action.reason, retryable: false });
    case "started":
      return queue.filter(({ phase }) => phase === "sending").length >= MAX_SENDING ? queue : change(queue, action.id, ["waiting"], { phase: "sending" });
    case "progressed":
      return queue.map((item) => (item.id === action.id && item.phase === "sending" ? { ...item, sent: Math.min(item.size, Math.max(0, action.sent)) } : item));
    case "paused":
      return change(queue, action.id, ["waiting", "sending"], { phase: "paused" });
    case "resumed":
      return change(queue, action.id, ["paused"], { phase: "waiting" });
    case "failed":
      return change(queue, action.id, ["sending"], { phase: "failed", reason: action.reason, retryable: action.retryable });
    case "retried":
      return queue.map((item) => (item.id === action.id && item.phase === "failed" && item.retryable ? withoutReason(item) : item));
    case "arrived":
      return queue.map((item) => (item.id === action.id && item.phase === "sending" ? arrived(item, action) : item));
    case "analysed":
      return queue.map((item) => (item.jobId === action.jobId && item.phase === "analysing" ? analysed(item, action.reason) : item));
    case "removed":
      return queue.filter(({ id }) => id !== action.id);
    case "cleared":
      return queue.filter((item) => !hasEnded(item));
  }
}

/** Returns the ids of the files to send now, in the order in which they were added. */
export function nextToSend(queue: Queue): string[] {
  const free = MAX_SENDING - queue.filter(({ phase }) => phase === "sending").length;
  return queue.filter(({ phase }) => phase === "waiting").slice(0, Math.max(0, free)).map(({ id }) => id);
}

export interface QueueTotals {
  files: number;
  /** Files that are being checked, sent or wait for it. */
  open: number;
  paused: number;
  failed: number;
  ready: number;
  analysing: number;
  /** Share of the bytes of all accepted files that have arrived, 0 to 100. */
  percent: number;
}

/** Sums the queue up for its heading. */
export function totalsOf(queue: Queue): QueueTotals {
  const count = (...phases: Phase[]) => queue.filter(({ phase }) => phases.includes(phase)).length;
  const accepted = queue.filter(({ phase }) => phase !== "refused");
  const bytes = accepted.reduce((sum, { size }) => sum + size, 0);
  const sent = accepted.reduce((sum, item) => sum + item.sent, 0);
  return {
    files: queue.length,
    open: count("checking", "waiting", "sending"),
    paused: count("paused"),
    failed: count("refused", "failed", "analysis_failed"),
    ready: count("ready"),
    analysing: count("analysing"),
    percent: bytes === 0 ? 100 : (100 * sent) / bytes,
  };
}

function change(queue: Queue, id: string, from: readonly Phase[], changes: Partial<QueueItem>): Queue {
  return queue.map((item) => (item.id === id && from.includes(item.phase) ? { ...item, ...changes } : item));
}

function arrived(item: QueueItem, { trackId, jobId, outcome }: Extract<QueueAction, { kind: "arrived" }>): QueueItem {
  return { ...item, trackId, jobId, outcome, sent: item.size, phase: outcome === "existing" ? "ready" : "analysing" };
}

function analysed(item: QueueItem, reason: string | undefined): QueueItem {
  return reason === undefined ? { ...item, phase: "ready" } : { ...item, phase: "analysis_failed", reason };
}

function withoutReason({ reason: _reason, retryable: _retryable, ...rest }: QueueItem): QueueItem {
  return { ...rest, phase: "waiting" };
}
