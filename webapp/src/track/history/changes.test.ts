// @vitest-environment node
import { expect, it } from "vitest";
import { changesOf, nameOf } from "./changes";

it("names the fields of the track and of its versions that changed, without jobs and without hashes", () => {
  const before = { jobs: { job_1: { status: "queued" } }, track: { bpm: null, tags: [], updated_at: "1", title: "Same" } };
  const after = {
    jobs: { job_1: { status: "completed" } },
    track: { bpm: 160, tags: ["live", "loud"], updated_at: "2", title: "Same" },
    versions: { 1: { map_sha256: "00", summary: { beat_count: 498 } } },
  };
  expect(changesOf({ before, after })).toEqual([
    { label: "Tempo (BPM)", before: "", after: "160" },
    { label: "Tags", before: "", after: "live, loud" },
    { label: "v1 Beats", before: "", after: "498" },
  ]);
});

it("cuts long texts, and knows nothing of empty events", () => {
  expect(changesOf({})).toEqual([]);
  const [change] = changesOf({ before: null, after: { track: { notes: "x".repeat(500) } } });
  expect(change?.after).toHaveLength(160);
});

it("reads actions as sentences", () => {
  expect(nameOf("completed")).toBe("Analysis completed");
  expect(nameOf("graph edited")).toBe("Graph edited");
});
