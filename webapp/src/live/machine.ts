/**
 * Decides how the one connection of the browser is opened, replaced and reopened. Pure: `step` takes the state and what
 * happened, and returns the next state and what to do.
 *
 * Each round tries the WebSocket, then server-sent events, then long polling, without a pause between them, since a
 * network may block one and not the other. When all three fail, the next round begins after a growing pause.
 */

export type Transport = "websocket" | "sse" | "poll";

const LADDER: readonly Transport[] = ["websocket", "sse", "poll"];
const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

export type Phase =
  | { kind: "stopped" }
  | { kind: "opening"; transport: Transport; topics: readonly string[] }
  | { kind: "open"; transport: Transport }
  | { kind: "waiting"; until: number };

export interface ConnectionState {
  phase: Phase;
  /** Rounds that failed since the connection was last open. */
  failures: number;
  /** The place in the feed: what follows it has not been seen. */
  lastId: string | undefined;
  topics: readonly string[];
}

export type Input =
  | { kind: "start" }
  | { kind: "stop" }
  | { kind: "opened" }
  | { kind: "closed"; now: number }
  | { kind: "pause_over" }
  | { kind: "received"; id: string | undefined }
  | { kind: "topics"; topics: readonly string[] };

export type Command =
  | { kind: "open"; transport: Transport; lastId: string | undefined; topics: readonly string[] }
  | { kind: "close" }
  | { kind: "pause"; ms: number }
  | { kind: "resubscribe"; added: readonly string[]; removed: readonly string[] };

export type Step = readonly [ConnectionState, readonly Command[]];

export const STOPPED: ConnectionState = { phase: { kind: "stopped" }, failures: 0, lastId: undefined, topics: [] };

/** Returns the state after an input, and the commands that carry it out. */
export function step(state: ConnectionState, input: Input): Step {
  switch (input.kind) {
    case "start":
      return state.phase.kind === "stopped" ? open(state, "websocket") : [state, []];
    case "stop":
      return state.phase.kind === "stopped" ? [state, []] : [{ ...state, phase: { kind: "stopped" } }, [{ kind: "close" }]];
    case "opened":
      return opened(state);
    case "closed":
      return closed(state, input.now);
    case "pause_over":
      return state.phase.kind === "waiting" ? open(state, "websocket") : [state, []];
    case "received":
      return [input.id === undefined ? state : { ...state, lastId: input.id }, []];
    case "topics":
      return changeTopics(state, input.topics);
  }
}

function open(state: ConnectionState, transport: Transport): Step {
  const { lastId, topics } = state;
  return [{ ...state, phase: { kind: "opening", transport, topics } }, [{ kind: "open", transport, lastId, topics }]];
}

function opened(state: ConnectionState): Step {
  const { phase } = state;
  if (phase.kind !== "opening") return [state, []];
  const open: ConnectionState = { ...state, phase: { kind: "open", transport: phase.transport }, failures: 0 };
  // What was subscribed while it opened is not among the topics that it opened with.
  return changeTopics({ ...open, topics: phase.topics }, state.topics);
}

function closed(state: ConnectionState, now: number): Step {
  const { phase } = state;
  if (phase.kind === "open") return pause(state, now);
  if (phase.kind !== "opening") return [state, []];
  const next = LADDER[LADDER.indexOf(phase.transport) + 1];
  return next ? open(state, next) : pause({ ...state, failures: state.failures + 1 }, now);
}

function pause(state: ConnectionState, now: number): Step {
  const ms = PAUSES_MS[Math.min(state.failures, PAUSES_MS.length - 1)] ?? 0;
  return [{ ...state, phase: { kind: "waiting", until: now + ms } }, [{ kind: "pause", ms }]];
}

function changeTopics(state: ConnectionState, topics: readonly string[]): Step {
  const added = topics.filter((topic) => !state.topics.includes(topic));
  const removed = state.topics.filter((topic) => !topics.includes(topic));
  if (added.length === 0 && removed.length === 0) return [state, []];
  const next = { ...state, topics };
  if (state.phase.kind !== "open") return [next, []];
  const { transport } = state.phase;
  if (transport === "websocket") return [next, [{ kind: "resubscribe", added, removed }]];
  // The other transports take their topics when they open.
  const [reopened, commands] = open(next, transport);
  return [reopened, [{ kind: "close" }, ...commands]];
}

export type ConnectionStatus =
  | { kind: "connecting" }
  | { kind: "live" }
  | { kind: "polling" }
  | { kind: "reconnecting"; retryAt: number | undefined };

/** Returns what a person is told about the connection. */
export function statusOf({ phase, failures, lastId }: ConnectionState): ConnectionStatus {
  switch (phase.kind) {
    case "open":
      return phase.transport === "poll" ? { kind: "polling" } : { kind: "live" };
    case "waiting":
      return { kind: "reconnecting", retryAt: phase.until };
    case "opening":
      return failures > 0 || lastId !== undefined ? { kind: "reconnecting", retryAt: undefined } : { kind: "connecting" };
    case "stopped":
      return { kind: "connecting" };
  }
}
