import type { FeedEvent } from "../api/types";
import { Connection } from "./connection";
import type { ConnectionStatus } from "./machine";
import type { OpenTransportFunction } from "./transports";

/** What tabs tell each other. */
export type TabMessage =
  | { kind: "event"; event: FeedEvent | undefined; lastId: string | undefined }
  | { kind: "status"; status: ConnectionStatus }
  | { kind: "topics"; tab: string; topics: readonly string[] }
  | { kind: "gone"; tab: string }
  | { kind: "retry" }
  /** A new leader asks every tab for its topics. */
  | { kind: "new_leader" };

/** A channel between tabs; `BroadcastChannel` in a browser. */
export interface TabChannel {
  postMessage: (message: TabMessage) => void;
  onmessage: ((event: { data: TabMessage }) => void) | null;
  close: () => void;
}

export interface HubParts {
  tab: string;
  channel: TabChannel;
  openTransport: OpenTransportFunction;
  /** Calls `lead` once this tab is the leader; the leadership ends with the promise, or with the tab. */
  elect: (lead: () => Promise<void>) => void;
}

type EventHandler = (event: FeedEvent) => void;

/** A tab's part in the one connection of the browser: it leads, or hears what the leader hears. */
export class LiveHub {
  private readonly handlers = new Map<EventHandler, readonly string[]>();
  private readonly statusListeners = new Set<() => void>();
  private readonly topicsOfTabs = new Map<string, readonly string[]>();
  private connection: Connection | undefined;
  private endLeadership: (() => void) | undefined;
  private lastId: string | undefined;
  private currentStatus: ConnectionStatus = { kind: "connecting" };
  private isClosed = false;

  constructor(private readonly parts: HubParts) {
    parts.channel.onmessage = ({ data }) => this.hear(data);
    parts.elect(() => this.lead());
  }

  /** The state of the connection, whichever tab holds it. */
  get status(): ConnectionStatus {
    return this.currentStatus;
  }

  get isLeader(): boolean {
    return this.connection !== undefined;
  }

  /** Calls the handler with each event of the topics; returns how to stop it. */
  subscribe(topics: readonly string[], handler: EventHandler): () => void {
    this.handlers.set(handler, topics);
    this.announceTopics();
    return () => {
      this.handlers.delete(handler);
      this.announceTopics();
    };
  }

  onStatus(listener: () => void): () => void {
    this.statusListeners.add(listener);
    return () => this.statusListeners.delete(listener);
  }

  /** Ends the pause before the next attempt. */
  retryNow(): void {
    if (this.connection) this.connection.retryNow();
    else this.parts.channel.postMessage({ kind: "retry" });
  }

  /** Leaves: another tab takes over if this one led. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.parts.channel.postMessage({ kind: "gone", tab: this.parts.tab });
    this.connection?.stop();
    this.connection = undefined;
    this.endLeadership?.();
    this.parts.channel.close();
  }

  private lead(): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    // The place of the former leader, as far as this tab heard it: what was missed meanwhile is sent again.
    const connection = new Connection(this.parts.openTransport, {
      received: (event, lastId) => {
        this.parts.channel.postMessage({ kind: "event", event, lastId });
        this.receive(event, lastId);
      },
      status: (status) => {
        this.parts.channel.postMessage({ kind: "status", status });
        this.setStatus(status);
      },
    }, this.lastId, this.allTopics());
    this.connection = connection;
    this.parts.channel.postMessage({ kind: "new_leader" });
    connection.start();
    return new Promise((resolve) => {
      this.endLeadership = resolve;
    });
  }

  private hear(message: TabMessage): void {
    switch (message.kind) {
      case "event":
        this.receive(message.event, message.lastId);
        break;
      case "status":
        this.setStatus(message.status);
        break;
      case "topics":
        this.topicsOfTabs.set(message.tab, message.topics);
        this.connection?.setTopics(this.allTopics());
        // A tab that just came does not know the state yet.
        if (this.connection) this.parts.channel.postMessage({ kind: "status", status: this.currentStatus });
        break;
      case "gone":
        this.topicsOfTabs.delete(message.tab);
        this.connection?.setTopics(this.allTopics());
        break;
      case "retry":
        this.connection?.retryNow();
        break;
      case "new_leader":
        this.announceTopics();
        break;
    }
  }

  private announceTopics(): void {
    if (this.isClosed) return;
    const topics = this.ownTopics();
    if (this.connection) this.connection.setTopics(this.allTopics());
    else this.parts.channel.postMessage({ kind: "topics", tab: this.parts.tab, topics });
  }

  private ownTopics(): string[] {
    return [...new Set([...this.handlers.values()].flat())].sort();
  }

  private allTopics(): string[] {
    return [...new Set([...this.ownTopics(), ...[...this.topicsOfTabs.values()].flat()])].sort();
  }

  private receive(event: FeedEvent | undefined, lastId: string | undefined): void {
    this.lastId = lastId ?? this.lastId;
    if (!event) return;
    for (const [handler, topics] of this.handlers) if (concerns(event, topics)) handler(event);
  }

  private setStatus(status: ConnectionStatus): void {
    this.currentStatus = status;
    for (const listener of this.statusListeners) listener();
  }
}

/** Returns whether an event is for a subscriber of the topics. Notices about the feed itself are for everyone. */
export function concerns(event: FeedEvent, topics: readonly string[]): boolean {
  if (!("topic" in event) || typeof event.topic !== "string") return true;
  return topics.some((topic) => belongs(event, topic));
}

/** The gateway names one topic of an event only, so what it is about decides for `track:ID` and the like. */
function belongs(event: FeedEvent, topic: string): boolean {
  if ("topic" in event && event.topic === topic) return true;
  const [area, id] = topic.split(":");
  const data: Record<string, unknown> = "data" in event ? { ...event.data } : {};
  switch (area) {
    case "track":
      return data["track_id"] === id;
    case "device":
      return data["device_id"] === id;
    case "deployment":
      return data["deployment_id"] === id;
    case "jobs":
      return event.type.startsWith("analysis.") || event.type === "job.progressed";
    case "alarms":
      return event.type === "device.alarm" || event.type.startsWith("alarm.");
    case "fleet":
      return FLEET.has(event.type) || event.type.startsWith("alarm.");
    case "activity":
      return !SAMPLES.has(event.type) && event.type !== "device.alarm";
    default:
      return false;
  }
}

const SAMPLES: ReadonlySet<string> = new Set(["job.progressed", "deployment.changed", "device.reading", "fleet.summary"]);
const FLEET: ReadonlySet<string> = new Set(["device.alarm", "device.online", "device.offline", "fleet.summary"]);
