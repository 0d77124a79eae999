import { fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Schemas } from "../api/types";
import { useLive } from "../live/useLive";
import { DeviceList } from "./DeviceList";

vi.mock("../live/useLive");

const DEVICES = Array.from({ length: 1000 }, (_, index) => ({
  id: `k1-${String(index).padStart(4, "0")}`,
  online: true,
  alarms: [],
  healing: false,
})) as unknown as readonly Schemas["DeviceView"][];

beforeEach(() => {
  // jsdom lays nothing out: the list is 600 px high, and its rows have 45.
  vi.stubGlobal("ResizeObserver", class { observe() {} unobserve() {} disconnect() {} });
  vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(45);
  vi.spyOn(Element.prototype, "clientHeight", "get").mockReturnValue(600);
  vi.spyOn(Element.prototype, "scrollHeight", "get").mockReturnValue(45_000);
  HTMLElement.prototype.scrollTo = function (this: HTMLElement, options?: ScrollToOptions | number) {
    this.scrollTop = typeof options === "object" ? (options.top ?? 0) : 0;
    fireEvent.scroll(this);
  } as typeof HTMLElement.prototype.scrollTo;
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const idsShown = (): (string | undefined)[] => within(screen.getByRole("list")).getAllByRole("listitem").map((row) => DEVICES[Number(row.dataset["index"])]?.id);

it("of 1,000 devices only those in sight exist, and only their readings are listened to", () => {
  render(<DeviceList devices={DEVICES} openId={undefined} />);
  expect(idsShown().length).toBeLessThan(40);
  expect(idsShown()).toContain("k1-0000");
  expect(screen.getAllByRole("listitem")[0]).toHaveAttribute("aria-setsize", "1000");
  const topics = vi.mocked(useLive).mock.calls.at(-1)?.[0].split(",") ?? [];
  expect(topics.length).toBeLessThan(40);
});

it("begins where the open device is", () => {
  render(<DeviceList devices={DEVICES} openId="k1-0700" />);
  expect(idsShown()).toContain("k1-0700");
  expect(idsShown()).not.toContain("k1-0000");
});

it("keeps the row with the focus while the list is scrolled", () => {
  render(<DeviceList devices={DEVICES} openId={undefined} />);
  const list = screen.getByRole("list");
  within(list).getAllByRole("link")[2]?.focus();
  list.parentElement?.scrollTo({ top: 30_000 });
  expect(idsShown()).toContain("k1-0002");
  expect(idsShown()).toContain("k1-0670");
  expect(document.activeElement?.textContent).toContain("k1-0002");
});
