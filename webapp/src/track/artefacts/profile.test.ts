import { expect, test } from "vitest";
import { blocksWithin, readProfile } from "./profile";

const FILE = {
  shared: { frames: [{ name: "run", file: "/srv/k1/jobs/tasks.py", line: 7 }, { name: "beats" }] },
  profiles: [
    {
      type: "evented",
      unit: "seconds",
      startValue: 0,
      endValue: 10,
      events: [
        { type: "O", frame: 0, at: 0 },
        { type: "O", frame: 1, at: 2 },
        { type: "C", frame: 1, at: 8 },
        { type: "C", frame: 0, at: 10 },
      ],
    },
  ],
};

test("readProfile returns the calls within one another", () => {
  const profile = readProfile(FILE);
  expect(profile).toMatchObject({ unit: "seconds", start: 0, end: 10, depth: 2 });
  expect(profile?.blocks).toEqual([
    { name: "beats", place: "", depth: 1, start: 2, end: 8 },
    { name: "run", place: "jobs/tasks.py:7", depth: 0, start: 0, end: 10 },
  ]);
  expect(blocksWithin(profile?.blocks ?? [], 7, 10).map(({ start, end }) => [start, end])).toEqual([[7, 8], [7, 10]]);
});

test("readProfile returns null for what is no evented profile, or is damaged", () => {
  for (const file of [null, {}, { profiles: [{ type: "sampled" }] }]) expect(readProfile(file)).toBeNull();
  const crossed = { ...FILE, profiles: [{ ...FILE.profiles[0], events: [{ type: "O", frame: 0, at: 0 }, { type: "C", frame: 1, at: 1 }] }] };
  expect(readProfile(crossed)).toBeNull();
});
