import { fetchApi } from "../api/client";
import { refreshWhenDue } from "../api/session";
import type { Schemas } from "../api/types";
import { readMessage, readObject, type Incoming } from "./events";
import type { Transport } from "./machine";

export interface TransportHandlers {
  opened: () => void;
  /** Called once, also where it never opened. */
  closed: () => void;
  received: (incoming: Incoming) => void;
}

export interface OpenTransport {
  close: () => void;
  /** Changes the topics of an open WebSocket. */
  resubscribe: (added: readonly string[], removed: readonly string[]) => void;
}

export type OpenTransportFunction = (
  transport: Transport,
  lastId: string | undefined,
  topics: readonly string[],
  handlers: TransportHandlers,
) => OpenTransport;

/** How long each transport may take to open; a proxy that swallows streams never answers. */
const OPEN_WITHIN_MS = 6_000;
/** The gateway sends a heartbeat every 15 s; a connection that is silent for longer is dead. */
const SILENCE_MS = 40_000;

/** Opens a transport of the gateway's feed. */
export const openTransport: OpenTransportFunction = (transport, lastId, topics, handlers) => {
  const guarded = closeOnce(handlers);
  let opened: OpenTransport | undefined;
  // Sockets and streams cannot answer a 401 by a refresh: the cookie must be good when they open.
  void refreshWhenDue().then(
    () => {
      if (!guarded.isClosed()) opened = OPENERS[transport](lastId, topics, guarded);
    },
    () => guarded.closed(),
  );
  return {
    close: () => (opened ? opened.close() : guarded.closed()),
    resubscribe: (added, removed) => opened?.resubscribe(added, removed),
  };
};

type Opener = (lastId: string | undefined, topics: readonly string[], handlers: Guarded) => OpenTransport;

const OPENERS: Record<Transport, Opener> = { websocket: openSocket, sse: openEventSource, poll: openPoll };

interface Guarded extends TransportHandlers {
  isClosed: () => boolean;
}

function closeOnce(handlers: TransportHandlers): Guarded {
  let isClosed = false;
  return {
    opened: () => !isClosed && handlers.opened(),
    received: (incoming) => !isClosed && handlers.received(incoming),
    closed: () => {
      if (isClosed) return;
      isClosed = true;
      handlers.closed();
    },
    isClosed: () => isClosed,
  };
}

/** Ends a connection that does not open in time, or falls silent. */
function watchdog(end: () => void): { beat: () => void; stop: () => void } {
  let timer = setTimeout(end, OPEN_WITHIN_MS);
  return {
    beat: () => {
      clearTimeout(timer);
      timer = setTimeout(end, SILENCE_MS);
    },
    stop: () => clearTimeout(timer),
  };
}

function openSocket(lastId: string | undefined, topics: readonly string[], handlers: Guarded): OpenTransport {
  const url = new URL(`/api/v1/ws?${query(topics, "last_event_id", lastId)}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url, ["k1.json"]);
  const end = () => {
    dog.stop();
    socket.close();
    handlers.closed();
  };
  const dog = watchdog(end);
  socket.onclose = end;
  socket.onmessage = ({ data }) => {
    dog.beat();
    const incoming = typeof data === "string" ? readMessage(data) : undefined;
    if (!incoming) return;
    // The first message is `hello`: only then does the gateway really listen.
    handlers.opened();
    handlers.received(incoming);
  };
  const send = (action: string, changed: readonly string[]) => {
    // A connection that is closing is followed by another, which opens with the topics of then.
    if (changed.length > 0 && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ action, topics: changed }));
  };
  return {
    close: end,
    resubscribe: (added, removed) => {
      send("subscribe", added);
      send("unsubscribe", removed);
    },
  };
}

function openEventSource(lastId: string | undefined, topics: readonly string[], handlers: Guarded): OpenTransport {
  const source = new EventSource(`/api/v1/events/stream?${query(topics, "last_event_id", lastId)}`);
  const end = () => {
    dog.stop();
    source.close();
    handlers.closed();
  };
  const dog = watchdog(end);
  source.onopen = () => {
    dog.beat();
    handlers.opened();
  };
  source.onerror = end;
  source.onmessage = ({ data }) => {
    dog.beat();
    const incoming = typeof data === "string" ? readMessage(data) : undefined;
    if (incoming) handlers.received(incoming);
  };
  return { close: end, resubscribe: () => undefined };
}

function openPoll(lastId: string | undefined, topics: readonly string[], handlers: Guarded): OpenTransport {
  const abort = new AbortController();
  const end = () => {
    abort.abort();
    handlers.closed();
  };
  void poll(lastId, topics, handlers, abort.signal).then(end, end);
  return { close: end, resubscribe: () => undefined };
}

async function poll(lastId: string | undefined, topics: readonly string[], handlers: Guarded, signal: AbortSignal): Promise<void> {
  let after = lastId;
  while (!handlers.isClosed()) {
    const wait = after === undefined ? "" : "&timeout_s=25";
    const response = await fetchApi(`/events/poll?${query(topics, "after", after)}${wait}`, { signal });
    const page = (await response.json()) as Schemas["FeedPage"];
    handlers.opened();
    for (const event of page.events) {
      const incoming = readObject(event);
      if (incoming) handlers.received(incoming);
    }
    after = page.last_id;
    handlers.received({ id: after, event: undefined });
  }
}

function query(topics: readonly string[], name: string, id: string | undefined): string {
  const parameters = new URLSearchParams();
  if (topics.length > 0) parameters.set("topics", topics.join(","));
  if (id !== undefined) parameters.set(name, id);
  return parameters.toString();
}
