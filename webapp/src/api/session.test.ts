import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const HOUR = 3_600_000;

function started(accessIn: number, refreshIn: number) {
  return {
    session_id: "ses_1",
    access_expires_at: new Date(Date.now() + accessIn).toISOString(),
    refresh_expires_at: new Date(Date.now() + refreshIn).toISOString(),
    user: { id: "usr_1", name: "Ada", role: "editor" },
  };
}

function answer(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
}

/** Serves paths of the API, and counts how often each was asked for. */
function serve(answers: Record<string, () => Response>): Record<string, number> {
  const asked: Record<string, number> = {};
  vi.stubGlobal("fetch", (input: Request | string) => {
    const path = new URL(typeof input === "string" ? input : input.url, location.origin).pathname.replace("/api/v1", "");
    asked[path] = (asked[path] ?? 0) + 1;
    return Promise.resolve(answers[path]?.() ?? answer(404, { code: "not_found" }));
  });
  return asked;
}

async function load() {
  vi.resetModules();
  const session = await import("./session");
  const client = await import("./client");
  return { ...session, ...client };
}

describe("the session", () => {
  beforeEach(() => localStorage.clear());
  afterEach(() => vi.unstubAllGlobals());

  it("is renewed before its end, once for all requests", async () => {
    const asked = serve({ "/auth/refresh": () => answer(200, started(HOUR, HOUR)), "/presets": () => answer(200, { presets: [] }) });
    const { api, beginSession } = await load();
    beginSession(started(30_000, HOUR) as never);
    await Promise.all([api.GET("/presets"), api.GET("/presets"), api.GET("/presets")]);
    await api.GET("/presets");
    expect(asked).toEqual({ "/auth/refresh": 1, "/presets": 4 });
  });

  it("is renewed after a 401, and the request is sent once more", async () => {
    let isFirst = true;
    const asked = serve({
      "/auth/refresh": () => answer(200, started(2 * HOUR, 2 * HOUR)),
      "/presets": () => {
        const status = isFirst ? 401 : 200;
        isFirst = false;
        return answer(status, { presets: [] });
      },
    });
    const { api, beginSession, unwrap } = await load();
    beginSession(started(HOUR, HOUR) as never);
    expect(await unwrap(api.GET("/presets"))).toEqual({ presets: [] });
    expect(asked).toEqual({ "/auth/refresh": 1, "/presets": 2 });
  });

  it("ends where the refresh is refused, and the error says so", async () => {
    const asked = serve({
      "/auth/refresh": () => answer(401, { code: "invalid_refresh_token", detail: "Sign in again." }),
      "/presets": () => answer(401, { code: "unauthenticated", detail: "Sign in.", trace_id: "t" }),
    });
    const { api, beginSession, sessionState, unwrap } = await load();
    beginSession(started(HOUR, HOUR) as never);
    await expect(unwrap(api.GET("/presets"))).rejects.toMatchObject({ status: 401, code: "unauthenticated", traceId: "t" });
    expect(sessionState()).toEqual({ kind: "signed_out", reason: "expired" });
    expect(asked).toEqual({ "/auth/refresh": 1, "/presets": 1 });
  });

  it("stays where the gateway is away: it may be back in a moment", async () => {
    const { api, beginSession, sessionState, unwrap } = await load();
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed")));
    beginSession(started(30_000, HOUR) as never);
    await expect(unwrap(api.GET("/presets"))).rejects.toMatchObject({ status: 0, code: "unreachable" });
    expect(sessionState().kind).toBe("signed_in");
  });

  it("sends the header against forged requests with every change, and with no other", async () => {
    const seen: (string | null)[] = [];
    vi.stubGlobal("fetch", (request: Request) => {
      seen.push(request.headers.get("X-K1-CSRF"));
      return Promise.resolve(answer(200, {}));
    });
    const { api, fetchApi } = await load();
    await api.GET("/presets");
    await api.PATCH("/me", { body: { name: "Ada" } });
    await fetchApi("/uploads", { method: "POST" });
    expect(seen).toEqual([null, "1", "1"]);
  });
});
