import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hasEnded, MAX_SENDING, nextToSend, reduceQueue, totalsOf, type Queue, type QueueAction } from "./queue";

const id = fc.constantFrom("a", "b", "c", "d");
const action: fc.Arbitrary<QueueAction> = fc.oneof(
  fc.record({ kind: fc.constant("checked" as const), id, duration_ms: fc.nat(1_000_000) }),
  fc.record({ kind: fc.constant("guessed" as const), id, bpm: fc.nat(200) }),
  fc.record({ kind: fc.constant("refused" as const), id, reason: fc.string() }),
  fc.record({ kind: fc.constant("started" as const), id }),
  fc.record({ kind: fc.constant("progressed" as const), id, sent: fc.integer({ min: -10, max: 2000 }) }),
  fc.record({ kind: fc.constantFrom("paused" as const, "resumed" as const, "retried" as const, "removed" as const), id }),
  fc.record({ kind: fc.constant("failed" as const), id, reason: fc.string(), retryable: fc.boolean() }),
  fc.record({ kind: fc.constant("arrived" as const), id, trackId: fc.string(), jobId: id, outcome: fc.constantFrom("queued" as const, "existing" as const, "restored" as const) }),
  fc.record({ kind: fc.constant("analysed" as const), jobId: id }),
  fc.constant({ kind: "cleared" as const }),
);
const START = reduceQueue([], { kind: "added", items: ["a", "b", "c", "d"].map((each) => ({ id: each, name: `${each}.ogg`, size: 1000 })) });

function run(actions: readonly QueueAction[]): Queue[] {
  const states: Queue[] = [START];
  for (const each of actions) states.push(reduceQueue(states.at(-1) ?? [], each));
  return states;
}

describe("the queue of uploads", () => {
  it("never sends more at once than it may, and never more bytes than a file has", () => {
    fc.assert(fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      for (const queue of run(actions)) {
        const sending = queue.filter(({ phase }) => phase === "sending").length;
        expect(sending).toBeLessThanOrEqual(MAX_SENDING);
        expect(sending + nextToSend(queue).length).toBeLessThanOrEqual(Math.max(sending, MAX_SENDING));
        for (const { sent, size } of queue) expect(sent >= 0 && sent <= size).toBe(true);
        expect(totalsOf(queue).percent).toBeLessThanOrEqual(100);
      }
    }));
  });

  it("sends nothing of a file that was refused, and leaves what has ended alone", () => {
    fc.assert(fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const states = run(actions);
      states.slice(1).forEach((queue, index) => {
        for (const before of states[index] ?? []) {
          const after = queue.find((item) => item.id === before.id);
          if (after && hasEnded(before)) expect(after.phase).toBe(before.phase);
          if (before.phase === "refused") expect(before.sent).toBe(0);
        }
      });
    }));
  });

  it("has a track for every file that arrived", () => {
    fc.assert(fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      for (const item of run(actions).at(-1) ?? []) {
        if (["analysing", "ready", "analysis_failed"].includes(item.phase)) expect([item.trackId, item.sent]).toEqual([expect.any(String), item.size]);
      }
    }));
  });

  it("goes on where it was paused, in the order of the files", () => {
    const checked = run(["a", "b", "c"].map((each): QueueAction => ({ kind: "checked", id: each }))).at(-1) ?? [];
    expect(nextToSend(checked)).toEqual(["a", "b"]);
    const sending = reduceQueue(reduceQueue(checked, { kind: "started", id: "a" }), { kind: "progressed", id: "a", sent: 400 });
    const paused = reduceQueue(sending, { kind: "paused", id: "a" });
    expect(nextToSend(paused)).toEqual(["b", "c"]);
    expect(reduceQueue(paused, { kind: "resumed", id: "a" }).find((item) => item.id === "a")).toMatchObject({ phase: "waiting", sent: 400 });
  });

  it("does not try again what cannot be helped", () => {
    const failed = run([{ kind: "checked", id: "a" }, { kind: "started", id: "a" }, { kind: "failed", id: "a", reason: "no audio", retryable: false }]).at(-1) ?? [];
    expect(reduceQueue(failed, { kind: "retried", id: "a" })).toEqual(failed);
  });
});
