import createClient, { type Middleware } from "openapi-fetch";
import { ApiError, asProblem, errorOf, retryAfter, unreachable } from "./errors";
import type { paths } from "./schema";
import { noteRefused, refreshSession, refreshWhenDue } from "./session";

export const API = "/api/v1";

const changes = new Set(["POST", "PUT", "PATCH", "DELETE"]);

/** Sends a request with the cookies of the user, and once more after a refresh where the session had expired. */
async function send(request: Request): Promise<Response> {
  const isAboutSession = new URL(request.url).pathname.startsWith(`${API}/auth/`);
  if (!isAboutSession) await refreshWhenDue();
  const again = request.clone();
  try {
    const response = await fetch(request);
    if (response.status !== 401 || isAboutSession) return response;
    noteRefused();
    if (await refreshSession()) return await fetch(again);
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
}

const csrf: Middleware = {
  onRequest({ request }) {
    if (changes.has(request.method)) request.headers.set("X-K1-CSRF", "1");
    return request;
  },
};

/** The client of the API: `await api.GET("/tracks/{track_id}", { params: { path: { track_id } } })`. */
export const api = createClient<paths>({ baseUrl: location.origin + API, fetch: send });
api.use(csrf);

interface Result<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/**
 * Returns the data of an answer: `const page = await unwrap(api.GET("/tracks"))`.
 *
 * Throws ApiError for every answer that is no success.
 */
export async function unwrap<Data>(answer: Promise<Result<Data>>): Promise<NonNullable<Data>> {
  return (await unwrapTagged(answer)).data;
}

export interface Tagged<Data> {
  data: Data;
  /** What a change must send as `If-Match`; undefined where the answer has no ETag. */
  etag: string | undefined;
}

/** Returns the data of an answer together with its ETag. */
export async function unwrapTagged<Data>(answer: Promise<Result<Data>>): Promise<Tagged<NonNullable<Data>>> {
  const { data, error, response } = await answer;
  if (!response.ok) throw new ApiError(response.status, asProblem(error), retryAfter(response));
  return { data: data as NonNullable<Data>, etag: response.headers.get("ETag") ?? undefined };
}

/** Fetches what the typed client does not cover (audio, binary peaks) with the same session and errors. */
export async function fetchApi(path: string, init: RequestInit = {}): Promise<Response> {
  const request = new Request(new URL(`${API}${path}`, location.origin), init);
  if (changes.has(request.method)) request.headers.set("X-K1-CSRF", "1");
  const response = await send(request);
  if (!response.ok) throw await errorOf(response);
  return response;
}
