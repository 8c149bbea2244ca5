/*
 * One request to the daemon, and the three ways in which it can fail.
 * Promises: every failure is an ApiError (the daemon said no, with a next step), an Unreachable (nobody answered) or the
 * AbortError of whoever stopped it. A 401 is reported to `onUnauthorized`, silence to `onUnreachable`, wherever it happens.
 * Does not cover: retrying. Credentials are the session cookie, which the browser keeps and this code never sees.
 */
import type { ErrorBody } from "./contract";

export class ApiError extends Error {
  readonly status: number;
  readonly body: ErrorBody;

  constructor(status: number, body: ErrorBody) {
    super(body.message);
    this.name = "ApiError";
    this.status = status;
    this.body = body;
  }
}

export class Unreachable extends Error {
  constructor() {
    super("The daemon is not answering.");
    this.name = "Unreachable";
  }
}

interface Hooks {
  onUnauthorized: () => void;
  onUnreachable: () => void;
}

const hooks: Hooks = { onUnauthorized: () => undefined, onUnreachable: () => undefined };

export function listen(to: Partial<Hooks>): void {
  Object.assign(hooks, to);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** What went wrong, in the one shape the page shows. */
export function asErrorBody(error: unknown): ErrorBody {
  if (error instanceof ApiError) return error.body;
  if (error instanceof Unreachable) {
    return { code: "unreachable", message: error.message, next_step: "Start it with: homefire up" };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "page", message: `The page itself failed: ${message}`, next_step: "Reload the page." };
}

async function readError(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  try {
    const body = (JSON.parse(text) as { error?: ErrorBody }).error;
    if (body?.message) return new ApiError(response.status, body);
  } catch {
    // Not the envelope: something between the page and the daemon answered.
  }
  return new ApiError(response.status, {
    code: `http_${response.status}`,
    message: `The daemon answered with ${response.status}, without saying why.`,
    next_step: "See the log; homefire status names its folder.",
  });
}

export interface Options {
  body?: unknown;
  signal?: AbortSignal;
  /** Of a route that answers in two ways, which one. */
  accept?: string;
}

export async function request(
  method: string,
  path: string,
  options: Options = {},
): Promise<Response> {
  const init: RequestInit = { method, cache: "no-store", headers: { Accept: options.accept ?? "application/json, text/event-stream" } };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    init.body = JSON.stringify(options.body);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (isAbort(error)) throw error;
    hooks.onUnreachable();
    throw new Unreachable();
  }
  if (response.ok) return response;
  const error = await readError(response);
  if (response.status === 401 && error.body.code !== "bad_login_code") hooks.onUnauthorized();
  throw error;
}

export async function requestJson<T>(
  method: string,
  path: string,
  options: Options = {},
): Promise<T> {
  const response = await request(method, path, options);
  return (await response.json()) as T;
}
