import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Schemas } from "../../api/types";
import { trackDetail } from "../../api/queries";
import { useNotes } from "./useNotes";

type Track = Schemas["Track"];

const TRACK: Track = { id: "trk_1", title: "Song", status: "ready", tags: [], created_at: "", updated_at: "", filename: "a.ogg", notes: "old" };
const detail = (track: Track): Schemas["TrackDetail"] => ({ revision: 1, track, versions: [], deployments: [], same_recording_as: [] });

/** The track as the server has it; a change needs its tag. */
let stored: { track: Track; tag: number };
let patches: number;

function respond(status: number, body: unknown): Response {
  const headers = { "Content-Type": status < 400 ? "application/json" : "application/problem+json", ETag: `"${stored.tag}"` };
  return new Response(JSON.stringify(body), { status, headers });
}

async function serve(input: Request): Promise<Response> {
  if (input.method === "PATCH") {
    patches += 1;
    if (input.headers.get("If-Match") !== `"${stored.tag}"`) return respond(412, { status: 412, code: "track_changed", title: "Changed", detail: "" });
    const { notes } = (await input.json()) as Pick<Track, "notes">;
    stored = { track: { ...stored.track, notes: notes ?? null }, tag: stored.tag + 1 };
  }
  return respond(200, detail(stored.track));
}

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  sessionStorage.clear();
  stored = { track: TRACK, tag: 1 };
  patches = 0;
  vi.stubGlobal("fetch", serve);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function open() {
  const queryClient = new QueryClient();
  queryClient.setQueryData(trackDetail("trk_1").queryKey, { data: detail(TRACK), etag: '"1"' });
  const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={queryClient}>{children}</QueryClientProvider>;
  return renderHook(({ track }) => useNotes(track), { wrapper, initialProps: { track: TRACK } });
}

const settle = () => act(() => vi.advanceTimersByTimeAsync(1500));

it("saves itself a moment after the last key, once", async () => {
  const { result } = open();
  act(() => result.current.change("n"));
  act(() => result.current.change("new"));
  expect(result.current.status).toBe("unsaved");
  await settle();
  expect(stored.track.notes).toBe("new");
  expect(patches).toBe(1);
  expect(result.current.status).toBe("saved");
});

it("goes on where someone changed another field", async () => {
  const { result } = open();
  stored = { track: { ...TRACK, title: "Other title" }, tag: 2 };
  act(() => result.current.change("new"));
  await settle();
  expect(stored.track).toMatchObject({ notes: "new", title: "Other title" });
});

it("shows the notes of someone else and overwrites them only on demand", async () => {
  const { result } = open();
  stored = { track: { ...TRACK, notes: "theirs" }, tag: 2 };
  act(() => result.current.change("mine"));
  await settle();
  expect(stored.track.notes).toBe("theirs");
  expect(result.current).toMatchObject({ theirs: "theirs", text: "mine" });
  act(() => result.current.keepMine());
  await settle();
  expect(stored.track.notes).toBe("mine");
});

it("keeps the text in the tab while the server does not answer", async () => {
  vi.stubGlobal("fetch", () => Promise.resolve(respond(422, { status: 422, code: "invalid", title: "No", detail: "" })));
  const { result, unmount } = open();
  act(() => result.current.change("precious"));
  await settle();
  expect(result.current.status).toBe("failed");
  unmount();
  expect(open().result.current.text).toBe("precious");
});
