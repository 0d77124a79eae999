import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FeedEvent } from "../api/types";
import { LiveHub, type TabChannel, type TabMessage } from "./hub";
import type { Transport } from "./machine";
import type { TransportHandlers } from "./transports";

interface Opened {
  transport: Transport;
  lastId: string | undefined;
  topics: readonly string[];
  handlers: TransportHandlers;
  changes: string[][];
  closed: boolean;
}

/** A browser with tabs, without a network: what Web Locks, BroadcastChannel and the gateway do. */
class FakeBrowser {
  readonly opened: Opened[] = [];
  private readonly channels: TabChannel[] = [];
  private readonly candidates: (() => Promise<void>)[] = [];
  private leading = false;
  private count = 0;

  openTab(): LiveHub {
    const channel: TabChannel = {
      onmessage: null,
      postMessage: (message: TabMessage) => {
        for (const other of [...this.channels]) if (other !== channel) other.onmessage?.({ data: structuredClone(message) });
      },
      close: () => {
        this.channels.splice(this.channels.indexOf(channel), 1);
      },
    };
    this.channels.push(channel);
    return new LiveHub({
      tab: String(++this.count),
      channel,
      openTransport: (transport, lastId, topics, handlers) => {
        const each: Opened = { transport, lastId, topics, handlers, changes: [], closed: false };
        this.opened.push(each);
        return {
          close: () => {
            each.closed = true;
          },
          resubscribe: (added, removed) => each.changes.push([...added], [...removed]),
        };
      },
      elect: (lead) => {
        this.candidates.push(lead);
        void this.elect();
      },
    });
  }

  get last(): Opened {
    const opened = this.opened.at(-1);
    if (!opened) throw new Error("nothing was opened");
    return opened;
  }

  private async elect(): Promise<void> {
    if (this.leading) return;
    const lead = this.candidates.shift();
    if (!lead) return;
    this.leading = true;
    await Promise.resolve();
    await lead();
    this.leading = false;
    void this.elect();
  }
}

function progress(id: string, track = "trk_1"): { id: string; event: FeedEvent } {
  const data = { job_id: "job_1", track_id: track, stage: "beats", percent: 10, at: "2026-11-28T15:00:00Z" };
  return { id, event: { id, type: "job.progressed", topic: "jobs", at: data.at, data } as FeedEvent };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe("the tabs of a browser", () => {
  let browser: FakeBrowser;

  beforeEach(() => {
    vi.useFakeTimers();
    browser = new FakeBrowser();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("open one connection for all topics", async () => {
    const [one, two] = [browser.openTab(), browser.openTab()];
    await settle();
    browser.last.handlers.opened();
    one.subscribe(["jobs"], () => undefined);
    const stop = two.subscribe(["track:trk_1"], () => undefined);
    stop();
    expect(browser.opened).toHaveLength(1);
    expect([one.isLeader, two.isLeader]).toEqual([true, false]);
    expect(browser.last.changes).toEqual([["jobs"], [], ["track:trk_1"], [], [], ["track:trk_1"]]);
  });

  it("all hear what concerns them, once", async () => {
    const [one, two] = [browser.openTab(), browser.openTab()];
    await settle();
    const heard: string[] = [];
    one.subscribe(["jobs"], (event) => heard.push(`one ${event.type}`));
    two.subscribe(["track:trk_1"], (event) => heard.push(`two ${event.type}`));
    two.subscribe(["track:trk_2"], () => heard.push("another track"));
    browser.last.handlers.opened();
    browser.last.handlers.received(progress("5"));
    browser.last.handlers.received(progress("5"));
    expect(heard.sort()).toEqual(["one job.progressed", "two job.progressed"]);
    expect([one.status, two.status]).toEqual([{ kind: "live" }, { kind: "live" }]);
  });

  it("go on from the place of the leader when it is closed", async () => {
    const [one, two] = [browser.openTab(), browser.openTab()];
    await settle();
    two.subscribe(["jobs"], () => undefined);
    browser.last.handlers.opened();
    browser.last.handlers.received(progress("8"));
    one.close();
    await settle();
    expect(browser.opened).toHaveLength(2);
    expect(browser.opened[0]?.closed).toBe(true);
    expect(browser.last).toMatchObject({ transport: "websocket", lastId: "8", topics: ["jobs"] });
    expect(two.isLeader).toBe(true);
  });

  it("tell a new tab the state, and a new leader the topics", async () => {
    const one = browser.openTab();
    await settle();
    browser.last.handlers.opened();
    const [two, three] = [browser.openTab(), browser.openTab()];
    await settle();
    three.subscribe(["fleet"], () => undefined);
    expect(three.status).toEqual({ kind: "live" });
    one.close();
    await settle();
    browser.last.handlers.opened();
    expect(two.isLeader).toBe(true);
    const asked = [...browser.last.topics, ...browser.last.changes.flat()];
    expect(asked).toContain("fleet");
  });

  it("fall back when sockets are blocked, and come back after the gateway restarted", async () => {
    const hub = browser.openTab();
    await settle();
    browser.last.handlers.closed();
    browser.last.handlers.closed();
    browser.last.handlers.opened();
    browser.last.handlers.received(progress("3"));
    expect([browser.last.transport, hub.status.kind]).toEqual(["poll", "polling"]);
    browser.last.handlers.closed();
    expect(hub.status.kind).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(500);
    expect(browser.last).toMatchObject({ transport: "websocket", lastId: "3" });
  });

  it("try at once when a person asks any of them to", async () => {
    const [, two] = [browser.openTab(), browser.openTab()];
    await settle();
    for (let round = 0; round < 3; round++) browser.last.handlers.closed();
    const before = browser.opened.length;
    two.retryNow();
    expect(browser.opened).toHaveLength(before + 1);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(browser.opened).toHaveLength(before + 1);
  });

  it("do not mistake what a replaced transport says for the current one", async () => {
    browser.openTab();
    await settle();
    const first = browser.last;
    first.handlers.closed();
    first.handlers.closed();
    first.handlers.received(progress("1"));
    expect(browser.opened.map(({ transport }) => transport)).toEqual(["websocket", "sse"]);
  });
});
