import type { FeedEvent } from "../api/types";
import { SeenIds, type Incoming } from "./events";
import { statusOf, step, STOPPED, type Command, type ConnectionState, type ConnectionStatus, type Input } from "./machine";
import type { OpenTransport, OpenTransportFunction } from "./transports";

export interface ConnectionHandlers {
  /** An event, once, or a new place in the feed without one. */
  received: (event: FeedEvent | undefined, lastId: string | undefined) => void;
  status: (status: ConnectionStatus) => void;
}

/** Carries out what the state machine decides. One lives in the leading tab. */
export class Connection {
  private state: ConnectionState;
  private current: OpenTransport | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly seen = new SeenIds();

  constructor(
    private readonly openTransport: OpenTransportFunction,
    private readonly handlers: ConnectionHandlers,
    lastId: string | undefined,
    topics: readonly string[],
  ) {
    this.state = { ...STOPPED, lastId, topics };
  }

  /** Connects, and stays connected until `stop`. */
  start(): void {
    this.take({ kind: "start" });
  }

  stop(): void {
    clearTimeout(this.timer);
    this.take({ kind: "stop" });
  }

  /** Tries again at once where it waits: the person pressed the button, or the network is back. */
  retryNow(): void {
    clearTimeout(this.timer);
    this.take({ kind: "pause_over" });
  }

  setTopics(topics: readonly string[]): void {
    this.take({ kind: "topics", topics });
  }

  private take(input: Input): void {
    const before = this.state;
    const [state, commands] = step(before, input);
    this.state = state;
    if (state.phase !== before.phase) this.handlers.status(statusOf(state));
    for (const command of commands) this.carryOut(command);
  }

  private carryOut(command: Command): void {
    switch (command.kind) {
      case "open":
        this.open(command);
        break;
      case "close":
        this.leaveTransport();
        break;
      case "pause":
        this.timer = setTimeout(() => this.take({ kind: "pause_over" }), command.ms);
        break;
      case "resubscribe":
        this.current?.resubscribe(command.added, command.removed);
        break;
    }
  }

  private open({ transport, lastId, topics }: Extract<Command, { kind: "open" }>): void {
    // What a replaced transport still reports is not about the one that counts.
    const isCurrent = () => this.generation === generation;
    const generation = ++this.generation;
    this.current = this.openTransport(transport, lastId, topics, {
      opened: () => isCurrent() && this.take({ kind: "opened" }),
      closed: () => isCurrent() && this.take({ kind: "closed", now: Date.now() }),
      received: (incoming) => isCurrent() && this.receive(incoming),
    });
  }

  private generation = 0;

  private leaveTransport(): void {
    this.generation++;
    this.current?.close();
    this.current = undefined;
  }

  private receive({ id, event }: Incoming): void {
    this.take({ kind: "received", id });
    const isNew = !event || id === undefined || this.seen.add(id);
    this.handlers.received(isNew ? event : undefined, this.state.lastId);
  }
}
