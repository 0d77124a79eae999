import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { statusOf, step, STOPPED, type Command, type ConnectionState, type Input } from "./machine";

function run(inputs: readonly Input[], from: ConnectionState = STOPPED): { state: ConnectionState; commands: Command[] } {
  let state = from;
  const commands: Command[] = [];
  for (const input of inputs) {
    const [next, more] = step(state, input);
    state = next;
    commands.push(...more);
  }
  return { state, commands };
}

const closed: Input = { kind: "closed", now: 1_000 };
const opens = (commands: readonly Command[]) => commands.flatMap((c) => (c.kind === "open" ? [c.transport] : []));
const pauses = (commands: readonly Command[]) => commands.flatMap((c) => (c.kind === "pause" ? [c.ms] : []));

describe("the connection", () => {
  it("tries the next transport at once where one does not open", () => {
    const { state, commands } = run([{ kind: "start" }, closed, closed, { kind: "opened" }]);
    expect(opens(commands)).toEqual(["websocket", "sse", "poll"]);
    expect(pauses(commands)).toEqual([]);
    expect(statusOf(state)).toEqual({ kind: "polling" });
  });

  it("pauses for longer after each round that failed, and says until when", () => {
    const round: Input[] = [closed, closed, closed, { kind: "pause_over" }];
    const { commands } = run([{ kind: "start" }, ...Array.from({ length: 8 }, () => round).flat()]);
    expect(pauses(commands)).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000, 15_000]);
    const { state } = run([{ kind: "start" }, closed, closed, closed]);
    expect(statusOf(state)).toEqual({ kind: "reconnecting", retryAt: 2_000 });
  });

  it("comes back soon after an open connection broke, with the last id", () => {
    const { state, commands } = run([
      { kind: "start" },
      { kind: "opened" },
      { kind: "received", id: "7" },
      { kind: "received", id: undefined },
      closed,
      { kind: "pause_over" },
    ]);
    expect(pauses(commands)).toEqual([500]);
    expect(commands.at(-1)).toEqual({ kind: "open", transport: "websocket", lastId: "7", topics: [] });
    expect(statusOf(state)).toEqual({ kind: "reconnecting", retryAt: undefined });
  });

  it("changes the topics of a socket in place, and opens a stream again", () => {
    const topics: Input = { kind: "topics", topics: ["jobs", "track:1"] };
    const started = { ...STOPPED, topics: ["jobs", "fleet"] };
    expect(run([{ kind: "start" }, { kind: "opened" }, topics], started).commands.at(-1)).toEqual({
      kind: "resubscribe",
      added: ["track:1"],
      removed: ["fleet"],
    });
    const stream = run([{ kind: "start" }, closed, { kind: "opened" }, topics], started).commands;
    expect(stream.slice(-2)).toEqual([
      { kind: "close" },
      { kind: "open", transport: "sse", lastId: undefined, topics: ["jobs", "track:1"] },
    ]);
    expect(run([{ kind: "start" }, { kind: "opened" }, topics, topics], started).commands).toHaveLength(2);
  });

  it("subscribes what was asked for while it opened", () => {
    const topics: Input = { kind: "topics", topics: ["jobs"] };
    expect(run([{ kind: "start" }, topics]).commands).toHaveLength(1);
    expect(run([{ kind: "start" }, topics, { kind: "opened" }]).commands.at(-1)).toEqual({
      kind: "resubscribe",
      added: ["jobs"],
      removed: [],
    });
  });

  it("does nothing after it was stopped", () => {
    const { state, commands } = run([{ kind: "start" }, { kind: "stop" }, { kind: "opened" }, closed, { kind: "pause_over" }]);
    expect(state.phase.kind).toBe("stopped");
    expect(commands.map(({ kind }) => kind)).toEqual(["open", "close"]);
  });

  it("never has two transports, never forgets its place, and always waits or has one open", () => {
    const input = fc.oneof(
      fc.constant<Input>({ kind: "opened" }),
      fc.constant<Input>(closed),
      fc.constant<Input>({ kind: "pause_over" }),
      fc.integer({ min: 0, max: 99 }).map<Input>((id) => ({ kind: "received", id: String(id) })),
      fc.subarray(["jobs", "fleet", "track:1"]).map<Input>((topics) => ({ kind: "topics", topics })),
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 60 }), (inputs) => {
        let state = step(STOPPED, { kind: "start" })[0];
        let lastId: string | undefined;
        for (const each of inputs) {
          const [next, commands] = step(state, each);
          if (each.kind === "received") lastId = each.id;
          const opened = commands.filter(({ kind }) => kind === "open");
          expect(opened.length).toBeLessThanOrEqual(1);
          if (opened.length === 1 && each.kind === "topics") expect(commands[0]?.kind).toBe("close");
          expect(next.lastId).toBe(lastId);
          expect(next.phase.kind).not.toBe("stopped");
          state = next;
        }
      }),
    );
  });
});
