import { expect, it } from "vitest";
import { keepPlace, readPlace } from "./place";

const PLACE = { view: { startMs: 10, endMs: 300 }, positionMs: 20, gain: 2, following: false };

it("keeps a place for each track", () => {
  keepPlace("one", PLACE);
  expect(readPlace("one")).toEqual(PLACE);
  expect(readPlace("other")).toBeNull();
});

it("takes nothing that is damaged", () => {
  for (const text of ["", "{", "{}", JSON.stringify({ ...PLACE, view: { startMs: 5, endMs: 5 } }), JSON.stringify({ ...PLACE, gain: null })]) {
    sessionStorage.setItem("k1.place.one", text);
    expect(readPlace("one")).toBeNull();
  }
});
