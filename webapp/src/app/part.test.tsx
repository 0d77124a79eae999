import { act, render, screen } from "@testing-library/react";
import { Suspense } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { part, preloadWhenIdle } from "./part";

const Hello = ({ name }: { name: string }) => <p>Hello {name}</p>;

function show(Shown: (props: { name: string }) => React.ReactNode) {
  return render(<Suspense fallback="waiting"><Shown name="Ilse" /></Suspense>);
}

describe("a part of the page", () => {
  it("is shown at once where its code is there", async () => {
    const Part = part(() => Promise.resolve({ default: Hello }));
    await Part.preload();
    show(Part);
    expect(screen.getByText("Hello Ilse")).toBeInTheDocument();
  });

  it("loads its code when it is shown", async () => {
    const load = vi.fn(() => Promise.resolve({ default: Hello }));
    await act(async () => void show(part(load)));
    expect(await screen.findByText("Hello Ilse")).toBeInTheDocument();
    expect(load).toHaveBeenCalledOnce();
  });

  it("loads its code again where that failed before it was needed", async () => {
    const load = vi.fn(() => Promise.resolve({ default: Hello })).mockRejectedValueOnce(new TypeError("no connection"));
    const Part = part(load);
    await Part.preload();
    await act(async () => void show(Part));
    expect(await screen.findByText("Hello Ilse")).toBeInTheDocument();
    expect(load).toHaveBeenCalledTimes(2);
  });
});

describe("parts that may be needed", () => {
  afterEach(() => void vi.useRealTimers());

  it("are loaded one after the other, until that is called off", async () => {
    vi.useFakeTimers();
    const loaded: string[] = [];
    const parts = ["charts", "graph", "notes"].map((name) => ({ preload: () => Promise.resolve(void loaded.push(name)) }));
    const stop = preloadWhenIdle(parts);
    await vi.advanceTimersByTimeAsync(900);
    expect(loaded).toEqual([]);
    for (const count of [1, 2]) {
      while (loaded.length < count) await vi.advanceTimersToNextTimerAsync();
      expect(loaded).toHaveLength(count);
    }
    stop();
    await vi.runAllTimersAsync();
    expect(loaded).toEqual(["charts", "graph"]);
  });
});
