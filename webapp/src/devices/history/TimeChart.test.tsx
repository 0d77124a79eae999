import { render } from "@testing-library/react";
import type { Options } from "uplot";
import { beforeEach, expect, it, vi } from "vitest";
import type { Palette } from "../../track/beats/canvas/paint/palette";
import type { FieldSeries } from "./series";
import { TimeChart } from "./TimeChart";

const { drawn } = vi.hoisted(() => ({ drawn: [] as Options[] }));
vi.mock("uplot", () => ({
  // jsdom draws nothing.
  default: class {
    readonly ctx = { canvas: document.createElement("canvas") };
    constructor(options: Options) {
      drawn.push(options);
    }
    setScale() {}
    setData() {}
    destroy() {}
  },
}));

beforeEach(() => {
  vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
  vi.stubGlobal("matchMedia", () => ({ matches: false }));
});

const SERIES: FieldSeries = { field: "temp_c", times_ms: [], avg: [], min: [], max: [] };
const color = "#202020";
const palette = { line: color, muted: color, accent: color, font: "sans-serif" } as Palette;

it("names the average and the range of the values in its legend", () => {
  render(<TimeChart series={SERIES} stepS={1} startMs={0} endMs={60_000} palette={palette} label="Temperature" describedBy="summary" />);
  expect(drawn[0]?.series.map(({ label }) => label)).toEqual(["Time", "Average", "Lowest", "Highest"]);
});
