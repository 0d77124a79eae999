import { act, render, screen } from "@testing-library/react";
import { Suspense } from "react";
import { describe, expect, it, vi } from "vitest";
import { part } from "./part";

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
