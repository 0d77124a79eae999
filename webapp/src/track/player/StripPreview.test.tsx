import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it, vi } from "vitest";
import { track as trackTexts } from "../../texts/track/track";
import { AudioEngine } from "./engine";
import { StripPreview } from "./StripPreview";
import { useShow, type FlashCheck } from "./useShow";

const t = trackTexts.strip;

vi.mock("./useShow");

beforeEach(() => {
  vi.stubGlobal("matchMedia", () => ({ matches: false }));
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
});

const SHOW = { leds: 180, fps: 60, frames: 1, planes: new Uint8Array(270), symmetric: true };

function open(check: FlashCheck | null): void {
  vi.mocked(useShow).mockReturnValue({ show: SHOW, status: "ready", check });
  render(<StripPreview trackId="trk" version={1} engine={new AudioEngine()} onPlayhead={() => () => undefined} />);
}

it("shows the strip at once when the flash check has passed", () => {
  open({ passed: true, firstMs: null });
  expect(screen.getByRole("img", { name: t.label })).toBeInTheDocument();
  expect(screen.getByText(t.passed)).toBeInTheDocument();
});

it("stands still with a warning when the check has failed, until someone wants to see it", async () => {
  open({ passed: false, firstMs: 83_000 });
  expect(screen.queryByRole("img", { name: t.label })).toBeNull();
  expect(screen.getByRole("alert")).toHaveTextContent("1:23");
  await userEvent.click(screen.getByRole("button", { name: t.showAnyway }));
  expect(screen.getByRole("img", { name: t.label })).toBeInTheDocument();
});

it("stands still for those who asked their system for less motion", () => {
  vi.stubGlobal("matchMedia", () => ({ matches: true }));
  open({ passed: true, firstMs: null });
  expect(screen.queryByRole("img", { name: t.label })).toBeNull();
  expect(screen.getByText(t.reduced)).toBeInTheDocument();
});
