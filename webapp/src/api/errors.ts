import { texts } from "../texts";
import type { Schemas } from "./types";

/** A problem that the API reported (RFC 9457), or the lack of an answer. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** The HTTP status; 0 where nothing answered. */
  readonly status: number;
  /** The stable code of the problem, for example `if_match_required`. */
  readonly code: string;
  /** What to do, as a sentence. */
  readonly detail: string;
  readonly traceId: string | undefined;
  /** Faults of single fields of the body. */
  readonly faults: readonly Schemas["Fault"][];
  /** The rules that a graph breaks, and how to mend each. */
  readonly violations: readonly Schemas["Violation"][];
  /** Seconds after which the same request may be sent again. */
  readonly retryAfter_s: number | undefined;

  constructor(status: number, problem: Partial<Schemas["Problem"]>, retryAfter_s?: number) {
    super(problem.detail ?? texts.errors.unexpected);
    this.status = status;
    this.code = problem.code ?? "unknown";
    this.detail = problem.detail ?? texts.errors.unexpected;
    this.traceId = problem.trace_id;
    this.faults = problem.errors ?? [];
    this.violations = problem.violations ?? [];
    this.retryAfter_s = retryAfter_s;
  }

  /** Returns whether somebody else changed the resource since it was read. */
  get isConflict(): boolean {
    return this.status === 412 || this.status === 409;
  }
}

/** Makes an error from an answer that is no success. */
export async function errorOf(response: Response): Promise<ApiError> {
  const problem = await response.json().then(asProblem, () => ({}));
  return new ApiError(response.status, problem, retryAfter(response));
}

/** Returns the seconds of the header `Retry-After`, where there is one. */
export function retryAfter(response: Response): number | undefined {
  const header = response.headers.get("Retry-After");
  const seconds = Number(header);
  return header !== null && Number.isFinite(seconds) ? seconds : undefined;
}

/** Makes an error from a parsed body. */
export function asProblem(value: unknown): Partial<Schemas["Problem"]> {
  return typeof value === "object" && value !== null ? value : {};
}

/** The error of a request that nothing answered. */
export function unreachable(): ApiError {
  return new ApiError(0, { code: "unreachable", detail: texts.errors.unreachable });
}

export interface ErrorTexts {
  title: string;
  detail: string;
  traceId: string | undefined;
}

/** Returns what to tell a person about an error of any kind. */
export function describeError(error: unknown): ErrorTexts {
  if (error instanceof ApiError) {
    return { title: titleOf(error), detail: error.detail, traceId: error.traceId };
  }
  return {
    title: texts.errors.pageFailed,
    detail: error instanceof Error ? error.message : texts.errors.unexpected,
    traceId: undefined,
  };
}

function titleOf({ status }: ApiError): string {
  if (status === 0 || status === 502 || status === 503 || status === 504) return texts.errors.away;
  if (status === 403) return texts.errors.forbidden;
  if (status === 404 || status === 410) return texts.errors.notFound;
  if (status === 409 || status === 412) return texts.errors.conflict;
  if (status === 429) return texts.errors.tooMany;
  if (status >= 500) return texts.errors.server;
  return texts.errors.refused;
}
