import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NO_FILTERS, PRESETS, readFilters, SORTS, STATUSES, toQuery, writeFilters, type Filters } from "./filters";
import { extend, NOTHING, toggle, toggleAll } from "./list/selection";
import { PAGE_SIZE } from "./list/pageSize";
import { pagesOf } from "./list/useTrackList";

describe("filters", () => {
  const some = fc.record<Filters>({
    search: fc.string({ maxLength: 20 }),
    status: fc.constantFrom(undefined, ...STATUSES),
    preset: fc.constantFrom(undefined, ...PRESETS),
    tag: fc.option(fc.string({ minLength: 1, maxLength: 10 }), { nil: undefined }),
    fMeasure: fc.constantFrom(undefined, "low", "high"),
    minBpm: fc.constantFrom(undefined, 0, 92.5),
    maxBpm: fc.constantFrom(undefined, 128),
    sort: fc.constantFrom(...SORTS),
  });

  it("come back from the address as they went into it", () => {
    fc.assert(
      fc.property(some, (filters) => {
        const parameters = new URLSearchParams();
        for (const [name, value] of Object.entries(writeFilters(filters))) if (value !== undefined) parameters.set(name, value);
        expect(readFilters(parameters)).toEqual(filters);
      }),
    );
  });

  it("of a mistyped address count as absent", () => {
    expect(readFilters(new URLSearchParams("status=broken&preset=polka&sort=random&f=0.5&from=fast&to=-1"))).toEqual(NO_FILTERS);
  });

  it("ask the API for what they say", () => {
    expect(toQuery({ ...NO_FILTERS, search: "  abyss ", tag: "live", fMeasure: "low", minBpm: 92.5, maxBpm: 128, status: "ready" })).toEqual({
      sort: "newest",
      search: "abyss",
      tag: ["live"],
      max_f_measure: 0.8,
      min_bpm: 92.5,
      max_bpm: 128,
      status: "ready",
    });
  });
});

describe("the selection", () => {
  const order = ["a", "b", "c", "d", "e"];

  it("extends from the track that was clicked last, in both directions", () => {
    const first = toggle(NOTHING, "c");
    expect([...extend(first, "e", order).ids].sort()).toEqual(["c", "d", "e"]);
    expect([...extend(extend(first, "e", order), "a", order).ids].sort()).toEqual(order);
  });

  it("begins a range at the track itself where there is no anchor any more", () => {
    expect([...extend(NOTHING, "b", order).ids]).toEqual(["b"]);
    expect([...extend(toggle(NOTHING, "gone"), "b", order).ids].sort()).toEqual(["b", "gone"]);
  });

  it("takes all, and none when all are taken", () => {
    const all = toggleAll(toggle(NOTHING, "a"), order);
    expect(all.ids.size).toBe(5);
    expect(toggleAll(all, order)).toEqual(NOTHING);
  });
});

describe("the pages of a long list", () => {
  it("are those of the visible rows alone", () => {
    expect(pagesOf(0, 20, 10_000)).toEqual([0]);
    expect(pagesOf(PAGE_SIZE - 1, PAGE_SIZE, 10_000)).toEqual([0, 1]);
    expect(pagesOf(9_990, 10_020, 10_000)).toEqual([99]);
    expect(pagesOf(500, 520, 3)).toEqual([0]);
    expect(pagesOf(0, 20, 0)).toEqual([]);
  });
});
