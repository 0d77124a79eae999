import { refreshSession, refreshWhenDue } from "../api/session";
import { API } from "../api/client";
import { asProblem } from "../api/errors";
import { uploadTexts } from "../texts/upload";
import type { Outcome } from "./queue";
import type { DetailedError, HttpRequest, HttpResponse, Upload } from "tus-js-client";

const RETRY_DELAYS_MS = [0, 1_000, 3_000, 5_000, 10_000, 20_000];
/** Small enough that a pause or a broken line loses little, large enough to fill a fast one. */
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Statuses after which the same request may succeed. */
const PASSING = new Set([0, 401, 408, 409, 423, 425, 429, 500, 502, 503, 504]);

export interface SendHandlers {
  progressed: (sent: number) => void;
  arrived: (trackId: string, jobId: string, outcome: Outcome) => void;
  failed: (reason: string, retryable: boolean) => void;
}

/** A file on its way, which can be stopped and gone on with. */
export interface Sending {
  /** Stops; what has arrived stays for a day, and `sendFile` of the same file goes on from there. */
  pause: () => void;
  /** Stops, and has the server forget what has arrived. */
  cancel: () => void;
}

/** Sends a file by tus 1.0. A file that was sent in part before, also by an earlier visit, goes on where it stopped. */
export async function sendFile(file: File, handlers: SendHandlers): Promise<Sending> {
  const { Upload } = await import("tus-js-client");
  const upload = new Upload(file, {
    endpoint: `${location.origin}${API}/uploads`,
    chunkSize: CHUNK_BYTES,
    retryDelays: RETRY_DELAYS_MS,
    metadata: { filename: file.name, filetype: file.type },
    removeFingerprintOnSuccess: true,
    onBeforeRequest: prepare,
    onAfterResponse: renewWhenRefused,
    onShouldRetry: (error) => PASSING.has(statusOf(error)),
    onProgress: (sent) => handlers.progressed(sent),
    onSuccess: ({ lastResponse }) => reportArrival(lastResponse, handlers),
    onError: (error) => handlers.failed(reasonOf(error), PASSING.has(statusOf(error))),
  });
  await start(upload);
  return { pause: () => void upload.abort(), cancel: () => void upload.abort(true).catch(() => undefined) };
}

async function start(upload: Upload): Promise<void> {
  const previous = (await upload.findPreviousUploads()).at(-1);
  if (previous) upload.resumeFromPreviousUpload(previous);
  upload.start();
}

async function prepare(request: HttpRequest): Promise<void> {
  await refreshWhenDue();
  if (request.getMethod() !== "HEAD") request.setHeader("X-K1-CSRF", "1");
}

async function renewWhenRefused(_request: HttpRequest, response: HttpResponse): Promise<void> {
  if (response.getStatus() === 401) await refreshSession();
}

function reportArrival(response: HttpResponse, handlers: SendHandlers): void {
  const outcome = response.getHeader("K1-Upload-Status") as Outcome | undefined;
  const trackId = response.getHeader("K1-Track-Id");
  if (trackId) handlers.arrived(trackId, response.getHeader("K1-Job-Id") ?? "", outcome ?? "queued");
  else handlers.failed(uploadTexts.noAnswer, true);
}

function statusOf(error: Error | DetailedError): number {
  return "originalResponse" in error ? (error.originalResponse?.getStatus() ?? 0) : 0;
}

function reasonOf(error: Error | DetailedError): string {
  const body = "originalResponse" in error ? error.originalResponse?.getBody() : undefined;
  try {
    return asProblem(JSON.parse(body ?? "")).detail ?? uploadTexts.noAnswer;
  } catch {
    return uploadTexts.noAnswer;
  }
}
